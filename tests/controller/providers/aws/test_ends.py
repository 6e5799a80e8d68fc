"""Why a job failed, from what AWS was reported to say: statusReason, the container's reason and exit code."""

from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from controller.domain import reasons
from controller.providers.aws import ends, observation, remarks, tags, wire
from dev.emulators.aws import outcomes

STARTED = {"startedAt": 1000, "stoppedAt": 32_400_000}
EXITED, NOT_STARTED = "Essential container in task exited", "Task failed to start"


def job(status_reason: str, reason: str | None = None, code: int | None = None, **more: object) -> dict:
    container = {key: value for key, value in (("reason", reason), ("exitCode", code)) if value is not None}
    return {"status": "FAILED", "statusReason": status_reason, "container": container, **more}


ANSWERS = yaml.safe_load((Path(__file__).parent / "answers.yaml").read_text())
CORPUS = [
    (
        job(one.get("status", ""), one.get("reason"), one.get("code"), **(STARTED if one.get("ran") else {})),
        one["why"],
        one["message"],
    )
    for one in ANSWERS["ends"]
]
LOGS = [(one["text"], one["remedy"]) for one in ANSWERS["logs"]]


def reason_of(start: str) -> str:
    """The first of the corpus' reasons that begins so."""
    return next(str(one["reason"]) for one in ANSWERS["ends"] if one.get("reason", "").startswith(start))


def seen(fields: dict, *, spot: bool = False, tasks: tuple[dict, ...] = ()):
    container = {
        "image": "acme/tool:1",
        "resourceRequirements": [{"type": "MEMORY", "value": "2048"}],
        "logConfiguration": {"options": {"awslogs-group": "/acme/jobs"}},
        **fields.get("container", {}),
    }
    base = {"jobId": "id", "jobName": "name", "timeout": {"attemptDurationSeconds": 60}}
    asked = {tags.ASKED: remarks.encode({remarks.SPOT: ()})} if spot else {}
    detail = msgspec.convert({**base, **fields, "container": container, "tags": asked}, wire.Detail)
    failed = tuple(msgspec.convert({"jobName": "name", **task}, wire.Summary) for task in tasks)
    return observation.observation(detail, "eu-west-1", failed)


@pytest.mark.parametrize(("fields", "reason", "words"), CORPUS)
def test_what_the_service_says_has_a_reason_and_whole_words(fields: dict, reason: str, words: str) -> None:
    one = seen(fields)
    assert (one.reason, words in one.message) == (reason, True)
    assert one.exit_code != 0
    for text in (fields.get("statusReason"), fields.get("container", {}).get("reason")):
        assert " ".join((text or "").split()) in one.message


@pytest.mark.parametrize("platform", ["EC2", "Fargate"])
@pytest.mark.parametrize(("text", "remedy"), LOGS)
def test_the_log_driver_is_not_the_command(text: str, remedy: str, platform: str) -> None:
    one = seen(job(NOT_STARTED, text) if platform == "EC2" else job(text))
    assert (one.reason, remedy in one.message, one.exit_code) == (reasons.CONTAINER_NOT_STARTED, True, None)


@pytest.mark.parametrize("text", [text for text, _ in LOGS])
@pytest.mark.parametrize("length", [255, 200, 150])
def test_a_text_that_is_cut_has_no_other_reason(text: str, length: int) -> None:
    one = seen(job(NOT_STARTED, text[:length]))
    assert (one.reason, "/acme/jobs" in one.message) == (reasons.CONTAINER_NOT_STARTED, True)


@pytest.mark.parametrize(
    ("fields", "has_start"),
    [
        ({**fields, **STARTED}, reason not in ends._NEVER_BEGAN)
        for fields, reason, _ in CORPUS
        if not fields["statusReason"].startswith("Host EC2")  # with a start it began
    ],
)
def test_what_never_began_has_no_start(fields: dict, has_start: bool) -> None:
    assert (seen(fields).started_at is not None) == has_start


def test_an_agents_fault_is_not_said_to_be_tried_again() -> None:
    one = seen(job(NOT_STARTED, "InternalError: failed to create container model"))
    assert (one.reason, one.message.partition("; reported")[0]) == (
        reasons.MACHINE_FAILED,
        "the machine failed before the program began; submit the job again",
    )


def test_only_a_machine_of_spot_capacity_was_taken_back() -> None:
    lost = job("Host EC2 (instance i-0ab1) terminated.", **STARTED)
    assert (seen(lost, spot=True).reason, seen(lost).reason) == (reasons.PREEMPTED, reasons.RESULT_LOST)


@pytest.mark.parametrize(
    ("strategy", "limit"),
    [
        ({"attempts": 4}, "backoffLimit (which counts lost machines as well)"),
        ({"attempts": 4, "evaluateOnExit": []}, "backoffLimit (which counts lost machines as well)"),
        ({"attempts": 1}, "preemptionLimit"),
        ({"attempts": 4, "evaluateOnExit": [{"onReason": "*", "action": "EXIT"}]}, "preemptionLimit"),
        (None, "preemptionLimit"),
    ],
)
def test_the_limit_that_is_named_is_the_one_that_held(strategy: dict | None, limit: str) -> None:
    more = {"retryStrategy": strategy} if strategy else {}
    taken = seen(job("Host EC2 (instance i-0ab1) terminated.", **STARTED, **more), spot=True)
    early = seen(job(NOT_STARTED, reason_of("DockerTimeoutError"), **more))
    assert f"more often than {limit} allows" in (taken.message or "")
    assert f"more often than {limit} allows" in (early.message or "")


HOST = {**STARTED, "statusReason": "Host EC2 (instance i-0ab1) terminated."}
TIMEOUT = {"stoppedAt": 9, "statusReason": NOT_STARTED, "container": {"reason": reason_of("DockerTimeoutError")}}
INSPECT = {**STARTED, "statusReason": EXITED, "container": {"reason": reason_of("CannotInspect")}}
FAILED = {**STARTED, "statusReason": EXITED, "container": {"exitCode": 1}}
DONE = {**STARTED, "statusReason": EXITED, "container": {"exitCode": 0}}


@pytest.mark.parametrize(
    ("status", "attempts", "counts"),
    [
        # (retries, preemptions)
        ("RUNNING", [HOST, FAILED, {"startedAt": 1}], (1, 1)),
        ("RUNNABLE", [HOST, HOST, TIMEOUT], (0, 3)),
        ("SUCCEEDED", [HOST, FAILED, DONE], (1, 1)),
        ("SUCCEEDED", [DONE], (0, 0)),
        ("FAILED", [FAILED], (0, 0)),
        ("FAILED", [FAILED, FAILED], (1, 0)),
        ("FAILED", [HOST, HOST], (0, 2)),
        ("FAILED", [TIMEOUT], (0, 1)),
        ("FAILED", [INSPECT], (0, 0)),
        ("FAILED", [INSPECT, FAILED], (1, 0)),
    ],
)
def test_failures_that_were_run_again_and_losses_are_counted_apart(
    status: str, attempts: list[dict], counts: tuple[int, int]
) -> None:
    last = attempts[-1]
    ended = {key: last[key] for key in ("statusReason", "container") if key in last} if status == "FAILED" else {}
    one = seen({"status": status, "attempts": attempts, **ended})
    assert (one.retries, one.preemptions) == counts


def test_a_loss_without_an_attempt_in_the_list_counts() -> None:
    assert seen(job(NOT_STARTED, reason_of("DockerTimeoutError"))).preemptions == 1
    assert seen(job(EXITED, reason_of("CannotInspect"))).preemptions == 0


def test_the_last_attempt_decides_and_an_earlier_one_where_it_says_nothing() -> None:
    nothing = {**STARTED, "container": {}}
    oom = {**STARTED, "container": {"exitCode": 137, "reason": "OutOfMemoryError: Container killed"}}
    assert seen({"status": "FAILED", "attempts": [oom, FAILED]}).reason == reasons.NON_ZERO_EXIT
    assert seen({"status": "FAILED", "attempts": [oom, nothing]}).reason == reasons.OUT_OF_MEMORY


def test_of_an_array_a_task_that_tells_why_is_named() -> None:
    array = {"status": "FAILED", "statusReason": "Array Child Job failed", "arrayProperties": {"size": 3}}
    silent = {"jobId": "id:0", "arrayProperties": {"index": 0}, "statusReason": "Array Child Job failed"}
    telling = {"jobId": "id:2", "arrayProperties": {"index": 2}, "container": {"exitCode": 4}, "statusReason": EXITED}
    one = seen(array, tasks=(silent, telling))
    assert (one.reason, one.exit_code, one.message.startswith("task 2: ")) == (reasons.NON_ZERO_EXIT, 4, True)
    assert seen(array, tasks=(silent,)).reason == reasons.FAILED


@pytest.mark.parametrize("fault", ["HostTerminated", "SpotInterrupted", "DockerTimeout"])
def test_what_is_run_again_as_a_loss_is_counted_as_one(fault: str) -> None:
    one = outcomes.FAULTS[fault]
    assert ends.is_loss(ends.End(texts=(one.status_reason, one.reason), has_start=one.begins))


texts = st.lists(st.text(max_size=30) | st.sampled_from([text for text, _ in LOGS]), max_size=3)


@given(texts, st.none() | st.integers())
def test_whatever_it_says_is_survived(texts: list[str], code: int | None) -> None:
    found = ends.failure(ends.End(texts=tuple(texts), exit_code=code), ends.Asked())
    assert found.exit_code != 0
    assert found.message
