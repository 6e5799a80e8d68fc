"""Faults that users of such systems reported in public, tried with jobs and answers of our own on every service that
can have them. `test_reports_of_machines` has those of machines and images.

Two need running programs: that the reason for which a job waited is told to its end is in
`tests/e2e/test_waiting_words.py` and `tests/e2e/test_kubernetes_jobs.py`; what is said where a task has no log is in
`tests/controller/providers/aws/test_moto.py`.
"""

import json
from typing import Any

import pytest

from controller.domain import conditions, reasons
from controller.domain.job import AwsOptions
from controller.providers.kubernetes import failure
from controller.providers.kubernetes.attempts import attempt_of
from tests.controller.providers.aws.test_ends import seen as seen_on_aws
from tests.controller.providers.azure.test_reasons import failed as azure_failed
from tests.controller.providers.azure.test_reasons import seen as seen_on_azure
from tests.controller.providers.kubernetes.harness import at, pod
from tests.controller.providers.mapped import PROVIDERS, mapped
from tests.controller.providers.reports import gcp_task, job, refusal, told


@pytest.mark.parametrize("size", [4_900, 5_000, 5_500, 8_191, 8_192, 9_300, 13_000])
@pytest.mark.parametrize("part", ["args", "env"])
def test_on_aws_overrides_stay_within_what_ecs_takes_and_nothing_is_lost(part: str, size: int) -> None:
    text = ("# " + "é\n\"'" * size)[:size]
    spec = job(command=("python", "-c"), args=(text,) if part == "args" else ("pass",))
    found = mapped("aws", spec, {"SCRIPT": text} if part == "env" else {})
    overrides = found.sent["SubmitJob"]["containerOverrides"]
    defined = found.sent["RegisterJobDefinition"]["containerProperties"]
    sent = {name: overrides[name] for name in ("command", "environment") if name in overrides}
    assert len(json.dumps(sent, ensure_ascii=False, separators=(",", ":"))) <= 8192
    assert len(json.dumps(defined, ensure_ascii=False, separators=(",", ":")).encode()) <= 30 * 1024
    command = overrides.get("command") or defined["command"]
    variables = {one["name"]: one["value"] for one in overrides.get("environment") or defined["environment"]}
    assert text == (command[-1] if part == "args" else variables["SCRIPT"])


def test_on_aws_what_fits_nowhere_is_refused_by_the_field_that_is_large() -> None:
    assert "spec.args: " in refusal("aws", job(command=("sh", "-c"), args=("x" * 25_000,)))
    assert "spec.command: " in refusal("aws", job(command=("sh", "-c", "x" * 25_000)))
    assert "spec.env: " in refusal("aws", job(command=("true",)), {"A": "x" * 25_000})


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("letter", ["y", "ü", "漢"])
def test_a_word_or_variable_that_linux_cannot_start_is_refused_to_the_byte(provider: str, letter: str) -> None:
    size = len(letter.encode())
    fits, over = letter * (131_071 // size), letter * (131_071 // size + 1)
    assert "spec.args[0] has" in refusal(provider, job(args=(over,)))
    assert "spec.command[1] has" in refusal(provider, job(command=("sh", over)))
    assert "spec.env: LONG has" in refusal(provider, job(command=("true",)), {"LONG": over})
    if provider != "aws":  # whose job definitions are smaller
        mapped(provider, job(command=("sh", fits)))


def test_such_a_word_that_got_through_is_not_called_a_missing_command() -> None:
    words = "failed to create shim task: OCI runtime create failed: exec /usr/bin/env: argument list too long: unknown"
    ended = {"exitCode": 128, "reason": "StartError", "message": words, "finishedAt": at(3)}
    found = failure.failure_of(pod("Failed", state={"terminated": {**ended, "startedAt": "1970-01-01T00:00:00Z"}}))
    assert (found.reason, found.exit_code) == (reasons.CONTAINER_NOT_STARTED, None)
    azures = seen_on_azure(azure_failed("FailureExitCode", seconds=1, exit_code=126, container=f"OCI runtime: {words}"))
    assert (azures.reason, azures.started_at) == (reasons.CONTAINER_NOT_STARTED, None)


def test_on_aws_an_empty_word_is_refused_with_its_place() -> None:
    assert "spec.args[1]: " in refusal("aws", job(command=("sh", "-c"), args=("echo $#", "")))
    assert "spec.command[0]: " in refusal("aws", job(command=("",)))
    for provider in PROVIDERS:
        if provider != "aws":
            mapped(provider, job(command=("sh", "-c", "echo $#", "")))


@pytest.mark.parametrize("spot", [None, True])
@pytest.mark.parametrize(("backoff", "preemption"), [(0, 0), (0, 2), (3, 0), (3, 3), (9, 1)])
def test_a_program_over_its_time_limit_is_not_run_again(spot: bool | None, backoff: int, preemption: int) -> None:
    spec = job(
        command=("sleep", "inf"),
        active_deadline_seconds=7,
        spot=spot,
        backoff_limit=backoff,
        preemption_limit=preemption,
    )
    google = gcp_task(mapped("gcp", spec))
    policies = google.get("lifecyclePolicies", [])
    final = [code for one in policies if one["action"] == "FAIL_TASK" for code in one["actionCondition"]["exitCodes"]]
    assert all(one["action"] != "RETRY_TASK" for one in policies)
    assert 50005 in final or not google.get("maxRetryCount")
    assert "7" in told(mapped("aws", spec), conditions.DEADLINE_EXACT), "the service's least is 60 s"
    late = pod("Failed", spec={"activeDeadlineSeconds": 7}, reason="DeadlineExceeded", startTime=at(1))
    assert attempt_of(late).is_final


@pytest.mark.parametrize(
    ("days", "is_told"), [(13, {}), (14, {}), (15, {"gcp"}), (60, {"gcp"}), (181, {"gcp", "azure"})]
)
def test_a_time_limit_that_the_service_does_not_reach_is_told(days: int, is_told: set[str]) -> None:
    spec = job(command=("model",), active_deadline_seconds=days * 86400, backoff_limit=0)
    for provider in PROVIDERS:
        if provider == "azure" and provider in is_told:
            assert "spec.activeDeadlineSeconds: " in refusal(provider, spec)
            continue
        words = told(mapped(provider, spec), conditions.DEADLINE_EXACT)
        assert bool(words) == (provider in is_told), (provider, words)
        assert not words or ("14 days" in words and str(days * 86400) in words)


STARTED = {"startedAt": 1_000, "stoppedAt": 30_000_000}
CREATED_LATE = "DockerTimeoutError: Could not transition to created; timed out after waiting 5m30s"
INSPECTED_LATE = "CannotInspectContainerError: Could not transition to inspecting; timed out after waiting 45s"


def test_a_hosts_fault_before_the_start_is_no_failure_of_the_program() -> None:
    early = seen_on_aws(
        {"status": "FAILED", "statusReason": "Task failed to start", "container": {"reason": CREATED_LATE}}
    )
    assert (early.reason, early.exit_code, early.started_at) == (reasons.MACHINE_FAILED, None, None)
    assert (early.preemptions, early.retries) == (1, 0)
    timed_out = "UnixHTTPConnectionPool(host='localhost', port=None): Read timed out. (read timeout=90)"
    for seconds in (None, 95.0):
        one = seen_on_azure(azure_failed("ContainerInvalidSettings", timed_out, seconds=seconds))
        assert (one.reason, one.exit_code, one.started_at) == (reasons.MACHINE_FAILED, None, None)


def test_a_hosts_fault_after_the_end_is_never_run_again_for_a_lost_machine() -> None:
    late = seen_on_aws(
        {
            "status": "FAILED",
            "statusReason": "Essential container in task exited",
            "container": {"reason": INSPECTED_LATE},
            **STARTED,
        }
    )
    assert (late.reason, late.exit_code, late.preemptions) == (reasons.RESULT_LOST, None, 0)
    assert "may have done its work" in (late.message or "")
    for queue in ("jennah", "jennah-fargate"):
        spec = job(backoff_limit=0, preemption_limit=3, aws=AwsOptions(job_queue=queue))
        rules = mapped("aws", spec).sent["SubmitJob"]["retryStrategy"]["evaluateOnExit"]
        again = [value.rstrip("*") for one in rules if one["action"] == "RETRY" for value in one.values()]
        assert not any(INSPECTED_LATE.startswith(glob) for glob in again if glob)
        assert rules[-1] == {"onReason": "*", "action": "EXIT"}


@pytest.mark.parametrize("completions", [1, 7])
@pytest.mark.parametrize("own", [{}, {"BATCH_TASK_COUNT": "mine"}])
def test_tasks_on_aws_know_their_job_and_how_many_they_are(completions: int, own: dict[str, str]) -> None:
    found = mapped("aws", job(command=("true",), completions=completions), own)
    variables = found.sent["SubmitJob"]["containerOverrides"]["environment"]
    known = {one["name"]: one["value"] for one in variables}
    assert len(known) == len(variables)
    assert (known["JENNAH_JOB_ID"], known["JENNAH_TENANT_ID"]) == ("job-1", "tenant")
    assert known["BATCH_TASK_COUNT"] == own.get("BATCH_TASK_COUNT", str(completions))
    assert known.get("BATCH_TASK_INDEX") == ("0" if completions == 1 else None)


def test_recommended_labels_are_the_users_and_all_others_of_kubernetes_are_not() -> None:
    labels = {f"app.kubernetes.io/{name}": "sarek" for name in ("name", "instance", "version", "component", "part-of")}
    sent = mapped("kubernetes", job(labels=labels)).sent["job"]
    for metadata in (sent["metadata"], sent["spec"]["template"]["metadata"]):
        assert labels.items() <= metadata["labels"].items()
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "jennah"
    for key in ("app.kubernetes.io/managed-by", "batch.kubernetes.io/job-name", "topology.kubernetes.io/zone"):
        assert f"spec.labels: {key}" in refusal("kubernetes", job(labels={key: "x"}))


def test_who_loses_the_images_entrypoint_is_told() -> None:
    lost = next(one for one in mapped("azure", job(args=("--day", "2"))).remarks)
    assert (lost.condition, lost.status) == (conditions.ENTRYPOINT_REPLACED, True)
    kept = next(one for one in mapped("aws", job(command=("report",))).remarks)
    assert (kept.condition, kept.status) == (conditions.ENTRYPOINT_REPLACED, False)
    for provider, spec in (
        ("azure", job(command=("report",), args=("--day", "2"))),
        ("aws", job(args=("--day", "2"))),
        ("gcp", job(args=("--day", "2"))),
        ("kubernetes", job(args=("--day", "2"))),
    ):
        assert told(mapped(provider, spec), conditions.ENTRYPOINT_REPLACED) == ""


@pytest.mark.parametrize("group", ["AWS/lab/align", "aws/lab", "Aws/x"])
def test_a_log_group_that_aws_keeps_for_itself_is_refused(group: str) -> None:
    assert "spec.aws.logGroup: " in refusal("aws", job(aws=AwsOptions(log_group=group)))
    mapped("aws", job(aws=AwsOptions(log_group=f"/{group}")))


NO_GROUP = "failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist."


@pytest.mark.parametrize("length", [400, 255, 170])
@pytest.mark.parametrize(
    "answer",
    [
        {
            "statusReason": "Task failed to start",
            "container": {
                "reason": "CannotStartContainerError: Error response from daemon: failed to create task for container: "
                f"failed to initialize logging driver: {NO_GROUP}"
            },
        },
        {
            "statusReason": "ResourceInitializationError: failed to validate logger args: create stream has been "
            f"retried 1 times: {NO_GROUP} : exit status 1"
        },
    ],
    ids=["EC2", "Fargate"],
)
def test_a_log_group_that_was_not_made_is_not_a_missing_command(answer: dict[str, Any], length: int) -> None:
    cut = {"status": "FAILED", "statusReason": answer["statusReason"][:length], "container": {}}
    if "container" in answer:
        cut["container"] = {"reason": answer["container"]["reason"][:length]}
    one = seen_on_aws(cut)
    assert (one.reason, one.exit_code, one.started_at) == (reasons.CONTAINER_NOT_STARTED, None, None)
    assert "make the log group /acme/jobs or give the execution role logs:CreateLogGroup" in (one.message or "")
