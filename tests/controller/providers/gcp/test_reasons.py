"""Why jobs failed or wait, by what the service was seen to say: of its troubleshooting guide and of public reports.

Names, numbers and places are made up; the words are the service's.
"""

from typing import Any

import pytest

from controller.domain import reasons
from controller.domain.job import JobSpec, Resources
from controller.domain.phases import Phase
from controller.providers.gcp import observation
from tests.controller.providers.gcp.samples import PLACE
from tests.controller.providers.gcp.test_observation import State, TaskState, add_event, change, native, seen, task

WHERE = "zones/us-central1-a/instances/1234"
QUOTA = (
    "VM in Managed Instance Group meets error: Batch Error: code - CODE_GCE_QUOTA_EXCEEDED, description - error count "
    "is 4, latest message example: Instance 'job-1-group0-0-5pdz' creation failed: Quota 'N2_CPUS' exceeded.  Limit: "
    "24.0 in region us-central1"
)
STOCKOUT = (
    "VM in Managed Instance Group meets error: Batch Error: code - CODE_GCE_ZONE_RESOURCE_POOL_EXHAUSTED, description "
    "- error count is 2, latest message example: Instance 'quota-report-7d3f' creation failed: The zone "
    "'projects/acme/zones/us-central1-a' does not have enough resources available to fulfill the request."
)
DELAYED = (
    "Quota checking process decides to delay scheduling for the job job-1 due to inadequate quotas [Quota: CPUS, "
    "limit: 24, usage: 24, wanted: 4.]."
)
NO_AGENT = (
    "No VM has agent reporting correctly within time window 1080 seconds, VM state for instance job-1-group0-0-5pdz "
    "is 2026-04-01T00:00:00Z,agent,start"
)
NO_SUCH_GPU = (
    "Job gets non-retryable information Batch Error: code - CODE_GCE_INVALID_FIELD_VALUE, description - Invalid value "
    "for field 'operation': ''. No zone supports all of the provided instance templates. The following errors detail "
    "the failure. The resource 'projects/1/zones/europe-north1-a/acceleratorTypes/nvidia-tesla-t4' was not found"
)


def ended(before: str, why: str, code: int) -> Any:
    """A job whose one task ended in the service's own words."""
    text = f"Task state is updated from {before} to FAILED on {WHERE} {why}with exit code {code}."
    made = task(0, TaskState.FAILED)
    add_event(made.status.status_events, text, 9, task_state=TaskState.FAILED).task_execution.exit_code = code
    told = (
        "Job failed due to task failure. Specifically, task with index 0 failed due to the following task event: "
        f'"{text}"'
    )
    job = native(State.FAILED, (change("QUEUED", "SCHEDULED"), 1), (QUOTA, 2), (change("RUNNING", "FAILED", told), 9))
    return seen(job, made)


@pytest.mark.parametrize(
    ("before", "why", "code", "reason", "exit_code"),
    [
        ("RUNNING", "", 1, reasons.NON_ZERO_EXIT, 1),
        ("RUNNING", "", 127, reasons.NON_ZERO_EXIT, 127),
        ("RUNNING", "", 137, reasons.NON_ZERO_EXIT, 137),
        ("RUNNING", "due to Spot Preemption ", 50001, reasons.PREEMPTED, None),
        ("RUNNING", "due to Spot VM preemption ", 50001, reasons.PREEMPTED, None),
        ("RUNNING", "due to Batch no longer receives VM updates ", 50002, reasons.MACHINE_FAILED, None),
        ("ASSIGNED", "due to Batch no longer receives VM updates ", 50002, reasons.MACHINE_FAILED, None),
        ("RUNNING", "due to VM is rebooted during task execution ", 50003, reasons.MACHINE_FAILED, None),
        ("RUNNING", "due to tasks cannot be canceled ", 50004, reasons.RESULT_LOST, None),
        ("RUNNING", "due to task runs over the maximum runtime ", 50005, reasons.DEADLINE_EXCEEDED, None),
        ("RUNNING", "due to VM is recreated during task execution ", 50006, reasons.MACHINE_FAILED, None),
        ("RUNNING", "", 50000, reasons.FAILED, None),
    ],
)
def test_the_code_decides_and_the_quota_that_it_once_waited_for_does_not(
    before: str, why: str, code: int, reason: str, exit_code: int | None
) -> None:
    found = ended(before, why, code)
    assert (found.phase, found.reason, found.exit_code) == (Phase.FAILED, reason, exit_code)
    assert f"{why}with exit code {code}." in found.message, "the service's words are whole"


def test_whether_the_program_had_begun_is_told_of_a_lost_machine() -> None:
    why = "due to Batch no longer receives VM updates "
    assert "before the program began" in ended("ASSIGNED", why, 50002).message
    assert "while the program ran" in ended("RUNNING", why, 50002).message
    assert "did not begin within its time limit" in ended("ASSIGNED", "", 50005).message


@pytest.mark.parametrize(
    ("code", "words", "reason", "exit_code"),
    [
        (137, "Memory cgroup out of memory: Killed process 1 (python)", reasons.OUT_OF_MEMORY, 137),
        (137, "the kernel's oom-killer ended the container", reasons.OUT_OF_MEMORY, 137),
        (
            125,
            "docker: Error response from daemon: pull access denied for acme/tool, repository does not exist or may "
            "require 'docker login': denied: requested access to the resource is denied.",
            reasons.IMAGE_PULL_FAILED,
            None,
        ),
        (
            125,
            "docker: Error response from daemon: manifest for busybox:nope not found: manifest unknown: manifest "
            "unknown.",
            reasons.IMAGE_PULL_FAILED,
            None,
        ),
        (
            125,
            "docker: Error response from daemon: failed to register layer: write /var/lib/x: no space left on device.",
            reasons.MACHINE_FAILED,
            None,
        ),
        (
            127,
            'docker: Error response from daemon: failed to create task for container: exec: "nope": executable file '
            "not found in $PATH: unknown.",
            reasons.COMMAND_NOT_FOUND,
            127,
        ),
        (
            126,
            'docker: Error response from daemon: failed to create task: exec: "/app/run": permission denied: unknown.',
            reasons.COMMAND_NOT_FOUND,
            126,
        ),
        (
            126,
            'OCI runtime exec failed: exec: "/bin/sh": argument list too long: unknown',
            reasons.CONTAINER_NOT_STARTED,
            None,
        ),
        (125, "docker: Error response from daemon: Conflict.", reasons.CONTAINER_NOT_STARTED, None),
        (1, "the program quota-oom ended", reasons.NON_ZERO_EXIT, 1),
    ],
)
@pytest.mark.parametrize("is_last", [True, False])
def test_what_the_tasks_other_events_say_of_its_container_counts(
    code: int, words: str, reason: str, exit_code: int | None, is_last: bool
) -> None:
    made = task(0, TaskState.FAILED, code)
    add_event(made.status.status_events, words, 20 if is_last else 2)
    found = seen(native(State.FAILED), made)
    assert (found.reason, found.exit_code) == (reason, exit_code)


def test_messages_name_the_field_and_its_number() -> None:
    spec = JobSpec(image="ghcr.io/acme/tool:1", active_deadline_seconds=60, resources=Resources(memory="2Gi"))

    def message(code: int, words: str = "") -> str:
        made = task(0, TaskState.FAILED, code)
        add_event(made.status.status_events, words, 20)
        found = observation.observation(native(State.FAILED), observation.tasks_of([made]), PLACE, spec)
        return str(found.message)

    assert "its limit of 60 s" in message(50005)
    assert "more than its 2048 MiB (resources.memory)" in message(137), "nothing says whether it was that"
    assert "more often than backoffLimit (which counts lost machines as well)" in message(50001)
    assert "raise bootDiskGiB" in message(125, "write /var/lib/docker/x: no space left on device")
    assert "its 2048 MiB" in message(137, "out of memory")
    assert "the image ghcr.io/acme/tool:1 cannot be pulled" in message(125, "pull access denied")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (QUOTA, reasons.QUOTA_EXCEEDED),
        (DELAYED, reasons.QUOTA_EXCEEDED),
        ("Instance creation failed: Quota 'CPUS' exceeded. Limit: 24.0 in region us-central1.", reasons.QUOTA_EXCEEDED),
        (STOCKOUT, reasons.WAITING_FOR_CAPACITY),
        (
            "A n1-standard-4 VM instance is currently unavailable in the us-central1-a zone.",
            reasons.WAITING_FOR_CAPACITY,
        ),
        (NO_AGENT, reasons.CONTAINER_NOT_STARTED),
        (NO_SUCH_GPU, reasons.SUBMISSION_REFUSED),
        (
            "Batch Error: code - CODE_GCE_BAD_REQUEST, description - googleapi: Error 400: Invalid value for field "
            "'resource.properties.scheduling.maxRunDuration'",
            reasons.SUBMISSION_REFUSED,
        ),
        (
            "Instance job-1 creation failed: Constraint constraints/compute.vmExternalIpAccess violated for project 1.",
            reasons.SUBMISSION_REFUSED,
        ),
        (
            "Error: code - CODE_SERVICE_ACCOUNT_MISMATCH, description - The service account specified in the instance "
            "template x doesn't match the service account specified in the job y",
            reasons.SUBMISSION_REFUSED,
        ),
        ("The service account cannot read projects/acme/quota-report", reasons.FAILED),
        ("Instance 'quota-report-7d3f' creation failed", reasons.FAILED),
        ("Failed to pull image gcr.io/acme/quota-report:1", reasons.IMAGE_PULL_FAILED),
        ("machine type is not known", reasons.FAILED),
    ],
)
@pytest.mark.parametrize("is_followed", [True, False])
def test_a_job_that_failed_before_it_ran_has_its_reason_from_its_events(
    text: str, reason: str, is_followed: bool
) -> None:
    told = [(change("QUEUED", "SCHEDULED"), 1), (text, 5)]
    if is_followed:
        told += [
            (change("SCHEDULED", "SCHEDULED_PENDING_FAILED"), 6),
            (change("SCHEDULED_PENDING_FAILED", "FAILED"), 7),
        ]
    found = seen(native(State.FAILED, *told))
    assert (found.phase, found.reason, found.exit_code) == (Phase.FAILED, reason, None)
    assert " ".join(text.split()) in found.message


def test_a_jobs_name_is_no_reason() -> None:
    text = change("QUEUED", "FAILED").replace("jobs/n.", "jobs/preempted-quota-oom.")
    assert seen(native(State.FAILED, (text, 5))).reason == reasons.FAILED


def test_the_remedy_of_an_agent_that_does_not_report_names_the_role() -> None:
    assert "roles/batch.agentReporter" in seen(native(State.FAILED, (NO_AGENT, 5))).message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (QUOTA, reasons.QUOTA_EXCEEDED),
        (DELAYED, reasons.QUOTA_EXCEEDED),
        (STOCKOUT, reasons.WAITING_FOR_CAPACITY),
        ("no words that are known", reasons.WAITING_FOR_CAPACITY),
        ("Batch Error: code - CODE_GCE_PERMISSION_DENIED, description - x", reasons.PROVIDER_ERROR),
        (NO_AGENT, reasons.PROVIDER_ERROR),
    ],
)
@pytest.mark.parametrize("state", [State.QUEUED, State.SCHEDULED])
def test_a_job_that_waits_has_a_word_for_it(state: int, text: str, reason: str) -> None:
    found = seen(native(state, (text, 5)))
    assert (found.waits_because, found.waits_reason) == (text, reason)


@pytest.mark.parametrize("state", [State.CANCELLATION_IN_PROGRESS, State.DELETION_IN_PROGRESS, 0, 99])
def test_a_job_that_is_being_ended_makes_no_claim(state: int) -> None:
    found = seen(native(state, (change("QUEUED", "SCHEDULED"), 1), (QUOTA, 2)))
    assert (found.phase, found.waits_because, found.reason, found.message) == (None, None, None, None)
    assert (found.started_at, found.completed_at) == (None, None)


def test_a_cancelled_job_still_says_what_it_waited_for() -> None:
    found = seen(native(State.CANCELLED, (QUOTA, 2), (change("CANCELLATION_IN_PROGRESS", "CANCELLED"), 9)))
    assert (found.phase, found.reason, found.message) == (Phase.CANCELLED, reasons.CANCELLED, QUOTA)
