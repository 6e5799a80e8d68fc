"""A job's description to Observation, without a service."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain import names, reasons
from controller.domain.phases import Phase
from controller.providers.aws import links, observation, tags, wire
from controller.providers.aws.observation import PHASES, NativeState
from dev.emulators.aws import shapes

UID = "3e1f6d0a-7f0b-4b52-9c1e-0d9a5b6c7d8e"


def detail(**fields: object) -> wire.Detail:
    base = {"jobId": "id", "jobName": "name", "jobArn": "arn:aws:batch:eu-west-1:1:job/id", "createdAt": 1000}
    return msgspec.convert({**base, **fields}, wire.Detail)


def seen(**fields: object):
    return observation.observation(detail(**fields), "eu-west-1")


def test_every_state_of_the_sdk_is_in_the_table() -> None:
    states = shapes._model().shape_for("JobStatus").enum
    assert set(states) == {state.value for state in NativeState} == {state.value for state in PHASES}


def test_an_unknown_state_is_left_out() -> None:
    assert seen(status="DREAMING") is None
    assert seen() is None


@pytest.mark.parametrize(
    ("fields", "phase", "reason"),
    [
        ({"status": "RUNNABLE"}, Phase.PENDING, None),
        ({"status": "STARTING"}, Phase.SCHEDULED, None),
        ({"status": "RUNNING"}, Phase.RUNNING, None),
        ({"status": "SUCCEEDED"}, Phase.COMPLETED, None),
        ({"status": "FAILED"}, Phase.FAILED, reasons.FAILED),
        ({"status": "FAILED", "container": {"exitCode": 3}}, Phase.FAILED, reasons.NON_ZERO_EXIT),
        (
            {"status": "FAILED", "isTerminated": True, "statusReason": "Jennah: user", "container": {"exitCode": 137}},
            Phase.CANCELLED,
            reasons.CANCELLED,
        ),
        (
            {"status": "FAILED", "isTerminated": True, "statusReason": "by hand", "container": {"exitCode": 137}},
            Phase.CANCELLED,
            reasons.CANCELLED,
        ),
        ({"status": "SUCCEEDED", "statusReason": "Jennah: too late"}, Phase.COMPLETED, None),
        (
            {"status": "FAILED", "container": {"exitCode": 137, "reason": "OutOfMemoryError: Container killed"}},
            Phase.FAILED,
            reasons.OUT_OF_MEMORY,
        ),
        (
            {"status": "FAILED", "container": {"reason": "CannotPullContainerError: no such image"}},
            Phase.FAILED,
            reasons.IMAGE_PULL_FAILED,
        ),
        (
            {
                "status": "FAILED",
                "statusReason": "Job attempt duration exceeded timeout",
                "container": {"exitCode": 137},
            },
            Phase.FAILED,
            reasons.DEADLINE_EXCEEDED,
        ),
        (
            {"status": "FAILED", "statusReason": "Host EC2 (instance i-0) terminated."},
            Phase.FAILED,
            reasons.MACHINE_FAILED,
        ),
        (
            {"status": "FAILED", "container": {"reason": 'exec: "nope": executable file not found in $PATH'}},
            Phase.FAILED,
            reasons.COMMAND_NOT_FOUND,
        ),
    ],
)
def test_states_and_texts_mean_phases_and_reasons(fields: dict, phase: Phase, reason: str | None) -> None:
    one = seen(**fields)
    assert (one.phase, one.reason) == (phase, reason)


@pytest.mark.parametrize(
    ("fields", "unless_asked", "message"),
    [
        ({"isTerminated": True, "statusReason": "Jennah: user"}, None, "user"),
        ({"isCancelled": True, "statusReason": "by hand"}, reasons.DELETED_EXTERNALLY, "by hand"),
        ({"isTerminated": True}, reasons.DELETED_EXTERNALLY, ""),
        ({"statusReason": "by hand"}, None, "the job failed; reported: by hand"),
        (
            {"isCancelled": True, "statusReason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"},
            reasons.DELETED_EXTERNALLY,
            "the queue's own limit for jobs that wait ended it; reported: MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
        ),
    ],
)
def test_what_was_ended_without_our_words_was_ended_by_somebody_else_unless_we_asked(
    fields: dict, unless_asked: str | None, message: str
) -> None:
    one = seen(status="FAILED", **fields)
    assert (one.failed_unless_asked, one.message) == (unless_asked, message)


@pytest.mark.parametrize(
    ("fields", "uid"),
    [
        ({"tags": {tags.UID: "another"}}, "another"),
        ({"tags": {}}, UID),
        ({}, UID),
        ({"jobId": "array:3"}, ""),
        ({"jobName": "not-ours"}, ""),
    ],
)
def test_whose_a_job_is_its_tag_tells_or_else_its_name(fields: dict, uid: str) -> None:
    assert seen(**{"status": "RUNNING", "jobName": names.external_name("job", UID), **fields}).uid == uid


def test_a_start_counts_only_from_running_on() -> None:
    assert seen(status="STARTING", startedAt=5000).started_at is None
    assert seen(status="RUNNING", startedAt=0).started_at is None
    assert seen(status="RUNNING", startedAt=5000).started_at.timestamp() == 5
    assert seen(status="RUNNABLE", startedAt=5000, attempts=[{"stoppedAt": 9}]).started_at is None
    assert seen(status="RUNNING", startedAt=5000, stoppedAt=6000).completed_at is None


def test_retries_are_attempts_that_ended_whether_or_not_the_running_one_is_listed() -> None:
    done, runs = {"stoppedAt": 1}, {"startedAt": 1}
    assert seen(status="RUNNING", attempts=[done, runs]).retries == 1
    assert seen(status="RUNNING", attempts=[done]).retries == 1
    assert seen(status="RUNNABLE", attempts=[done]).retries == 1
    assert seen(status="FAILED", attempts=[done, done]).retries == 1
    assert seen(status="FAILED", attempts=[]).retries == 0


@pytest.mark.parametrize(
    ("counts", "phase"),
    [
        ({"RUNNABLE": 3}, Phase.PENDING),
        ({"RUNNABLE": 2, "STARTING": 1}, Phase.SCHEDULED),
        ({"RUNNABLE": 2, "RUNNING": 1}, Phase.RUNNING),
        ({"RUNNABLE": 2, "SUCCEEDED": 1}, Phase.RUNNING),
        ({"FAILED": 1, "RUNNABLE": 2}, Phase.RUNNING),
        ({}, Phase.PENDING),
    ],
)
def test_an_array_is_where_its_tasks_are(counts: dict[str, int], phase: Phase) -> None:
    one = seen(status="PENDING", arrayProperties={"size": 3, "statusSummary": counts})
    assert one.phase is phase
    assert one.tasks.total == one.tasks.pending + one.tasks.running + one.tasks.succeeded + one.tasks.failed == 3


def test_the_reason_for_waiting_is_told_while_it_waits() -> None:
    why = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - none"
    assert seen(status="RUNNABLE", statusReason=why).waits_because == why
    assert seen(status="RUNNABLE", statusReason=why, attempts=[{"stoppedAt": 1}]).waits_because == why
    assert seen(status="RUNNABLE", statusReason="exited", attempts=[{"stoppedAt": 1}]).waits_because is None
    assert seen(status="STARTING", statusReason=why).waits_because is None


def test_links_lead_to_the_console_of_the_partition() -> None:
    assert (
        links.job("arn:aws:batch:r:1:job/i", "r", "i")
        == "https://r.console.aws.amazon.com/batch/home?region=r#jobs/detail/i"
    )
    assert links.job("arn:aws-cn:batch:r:1:job/i", "r", "i").startswith("https://r.console.amazonaws.cn/")
    assert "log-group/$252Faws$252Fbatch$252Fjob/log-events/d$252Fx" in links.log("", "r", "/aws/batch/job", "d/x")


texts = st.none() | st.text(max_size=20)
numbers = st.none() | st.integers(-(10**18), 10**18)
containers = st.none() | st.builds(
    wire.Container, exit_code=st.none() | st.integers(-1, 300), reason=texts, log_stream_name=texts
)
details = st.builds(
    wire.Detail,
    job_id=st.text(max_size=5),
    job_name=st.text(max_size=5),
    job_arn=texts,
    created_at=numbers,
    status=st.none() | st.sampled_from([*NativeState, "OTHER"]) | st.text(max_size=5),
    status_reason=texts | st.just("Jennah: x"),
    started_at=numbers,
    stopped_at=numbers,
    container=containers,
    array_properties=st.none()
    | st.builds(
        wire.ArrayProperties,
        size=st.none() | st.integers(-1, 5),
        index=st.none() | st.integers(0, 5),
        status_summary=st.none() | st.dictionaries(st.sampled_from([*NativeState, "OTHER"]), st.integers(-1, 9)),
    ),
    is_cancelled=st.none() | st.booleans(),
    is_terminated=st.none() | st.booleans(),
    attempts=st.none() | st.lists(st.builds(wire.Attempt, container=containers, stopped_at=numbers), max_size=3),
    tags=st.none() | st.dictionaries(st.sampled_from([tags.UID, tags.ASKED, "x"]), st.text(max_size=5)),
)


@given(details, st.none() | details)
def test_whatever_the_service_says_is_survived_and_adds_up(job: wire.Detail, task: wire.Detail | None) -> None:
    one = observation.observation(job, "r", (task,) if task else ())
    if one is None:
        assert job.status not in {state.value for state in NativeState}
        return
    counts = one.tasks
    assert counts.total == counts.pending + counts.running + counts.succeeded + counts.failed
    assert min(counts.pending, counts.running, counts.succeeded, counts.failed) >= 0
    assert (one.reason is None) == (one.phase not in (Phase.FAILED, Phase.CANCELLED))
    assert one.has_ended or one.completed_at is None
    assert min(one.retries, one.preemptions) >= 0
    assert one.exit_code != 0 or one.phase is not Phase.FAILED
