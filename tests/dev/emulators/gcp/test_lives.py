"""The life of a job and its tasks, to its cancellation and deletion."""

from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2

from dev.emulators.gcp import messages
from dev.emulators.gcp.messages import JobState, TaskState
from dev.emulators.gcp.service import BatchService
from tests.dev.emulators.gcp.harness import OK, PARENT, REQUEST_ID, Time, code_of, creation, got, listed, names, texts


def test_a_job_goes_its_way_in_the_services_words(service: BatchService, time: Time) -> None:
    service.create_job(creation("j", "sh", "-c", "sleep 5"))
    seen = [got(service).status.state]
    for _ in range(2):
        time.now += 0.06
        seen.append(got(service).status.state)
    time.now += 10
    job = got(service)
    assert [*seen, job.status.state] == [JobState.QUEUED, JobState.SCHEDULED, JobState.RUNNING, JobState.SUCCEEDED]
    name = f"{PARENT}/jobs/j"
    assert texts(job.status.status_events) == [
        f"Job state is set from QUEUED to SCHEDULED for job {name}.",
        f"Job state is set from SCHEDULED to RUNNING for job {name}.",
        f"Job state is set from RUNNING to SUCCEEDED for job {name}.",
    ]
    assert {event.type_ for event in job.status.status_events} == {"STATUS_CHANGED"}
    assert dict(job.status.task_groups["group0"].counts) == {"SUCCEEDED": 1}
    assert job.status.run_duration.seconds == 5


def test_parallelism_bounds_the_tasks_that_run(service: BatchService, time: Time) -> None:
    service.create_job(creation("j", "sleep", "10", task_count=5, parallelism=2))
    seen = []
    for seconds in (0.2, 10, 10, 10):
        time.now += seconds
        seen.append(dict(got(service).status.task_groups["group0"].counts))
    assert seen == [
        {"RUNNING": 2, "PENDING": 3},
        {"RUNNING": 2, "PENDING": 1, "SUCCEEDED": 2},
        {"RUNNING": 1, "SUCCEEDED": 4},
        {"SUCCEEDED": 5},
    ]


def tasks(service: BatchService, **query: Any) -> Any:
    return service.list_tasks(messages.ListTasksRequest(parent=f"{PARENT}/jobs/j/taskGroups/group0", **query)).tasks


def test_a_failed_attempt_has_its_code_in_its_event_and_a_success_has_none(service: BatchService, time: Time) -> None:
    request = creation("j", "sh", "-c", "exit 3")
    request.job.task_groups[0].task_spec.max_retry_count = 1
    service.create_job(request)
    service.create_job(creation("fine", "true"))
    time.now += 10
    assert got(service).status.state == JobState.FAILED
    assert "with exit code 3" in got(service).status.status_events[-1].description
    (task,) = tasks(service)
    failures = [event for event in task.status.status_events if event.HasField("task_execution")]
    assert [event.task_execution.exit_code for event in failures] == [3, 3]
    assert {event.task_state for event in failures} == {TaskState.FAILED}
    fine = service.list_tasks(messages.ListTasksRequest(parent=f"{PARENT}/jobs/fine/taskGroups/group0")).tasks[0]
    assert not any(event.HasField("task_execution") for event in fine.status.status_events)


def test_too_long_a_task_is_ended(service: BatchService, time: Time) -> None:
    request = creation("j", "sleep", "60")
    request.job.task_groups[0].task_spec.max_run_duration.FromSeconds(5)
    service.create_job(request)
    time.now += 6
    assert got(service).status.state == JobState.FAILED
    assert service.ledger()[0].exit_code == 50005
    assert service.ledger()[0].ran_seconds == pytest.approx(5)


@pytest.mark.parametrize(
    ("action", "codes", "attempts"),
    [("RETRY_TASK", [7], 1), ("RETRY_TASK", [3], 3), ("FAIL_TASK", [3], 1), ("FAIL_TASK", [7], 3)],
)
def test_a_lifecycle_policy_says_what_is_retried(
    service: BatchService, time: Time, action: str, codes: list[int], attempts: int
) -> None:
    request = creation("j", "sh", "-c", "exit 3")
    spec = request.job.task_groups[0].task_spec
    spec.max_retry_count = 2
    spec.lifecycle_policies.add(action=action).action_condition.exit_codes.extend(codes)
    service.create_job(request)
    time.now += 10
    (task,) = tasks(service)
    assert sum(event.HasField("task_execution") for event in task.status.status_events) == attempts


def test_a_preempted_job_ends_its_attempt_with_50001(service: BatchService, time: Time) -> None:
    request = creation("j", "sleep", "10")
    request.job.task_groups[0].task_spec.max_retry_count = 1
    service.create_job(request)
    time.now += 5
    service.preempt("j")
    time.now += 20
    assert got(service).status.state == JobState.SUCCEEDED
    (task,) = tasks(service)
    assert [e.task_execution.exit_code for e in task.status.status_events if e.HasField("task_execution")] == [50001]


def test_tasks_do_not_exist_before_the_job_runs(service: BatchService, time: Time) -> None:
    service.create_job(creation("j", task_count=3))
    assert list(tasks(service)) == []
    name = f"{PARENT}/jobs/j/taskGroups/group0/tasks/2"
    assert code_of(service.get_task, messages.GetTaskRequest(name=name)) is grpc.StatusCode.NOT_FOUND
    time.now += 1
    assert service.get_task(messages.GetTaskRequest(name=name)).name == name
    assert len(tasks(service, filter="State=RUNNING")) == 3
    assert len(tasks(service, filter="State=FAILED")) == 0
    assert len(tasks(service, page_size=2)) == 2


@pytest.mark.parametrize(
    ("machine", "state"), [("x-no-quota", JobState.QUEUED), ("x-no-quota-scheduled", JobState.SCHEDULED)]
)
def test_a_job_without_quota_waits_in_either_state(
    service: BatchService, time: Time, machine: str, state: JobState
) -> None:
    request = creation()
    request.job.allocation_policy.instances.add().policy.machine_type = machine
    service.create_job(request)
    time.now += 1000
    assert got(service).status.state == state
    assert "CODE_GCE_QUOTA_EXCEEDED" in got(service).status.status_events[-1].description


def test_what_is_left_out_is_left_out_everywhere_and_is_not_lost(service: BatchService, time: Time) -> None:
    request = creation("j", "true", request_id=REQUEST_ID)
    request.job.labels["a"] = "b"
    service.omitted = {"events", "counts", "instances", "run-duration", "create-labels"}
    assert not service.create_job(request).labels
    assert not service.create_job(request).labels
    time.now += 10
    for job in (got(service), listed(service).jobs[0]):
        group = job.status.task_groups["group0"]
        assert dict(job.labels) == {"a": "b"}
        assert not job.status.status_events
        assert not job.status.HasField("run_duration")
        assert (len(group.counts), len(group.instances)) == (0, 0)
    service.omitted = set()
    assert len(got(service).status.status_events) == 3


def test_tasks_may_be_unknown_for_a_while(service: BatchService, time: Time) -> None:
    service.tasks_late_seconds = 60
    service.create_job(creation("j", "true"))
    time.now += 59
    assert code_of(tasks, service) is grpc.StatusCode.NOT_FOUND
    time.now += 1
    assert len(tasks(service)) == 1


def test_cancelling_takes_a_while_and_is_an_operation(service: BatchService, time: Time) -> None:
    service.create_job(creation())
    time.now += 1
    request = messages.CancelJobRequest(name=f"{PARENT}/jobs/j")
    operation = service.cancel_job(request)
    assert not operation.done
    assert got(service).status.state == JobState.CANCELLATION_IN_PROGRESS
    assert code_of(service.cancel_job, request) is OK
    time.now += 1
    assert got(service).status.state == JobState.CANCELLED
    assert service.get_operation(operations_pb2.GetOperationRequest(name=operation.name)).done
    assert code_of(service.cancel_job, request) is grpc.StatusCode.FAILED_PRECONDITION
    assert service.ledger()[0].ran_seconds == pytest.approx(0.9, abs=0.01)


def test_deleting_takes_a_while_and_then_the_job_is_gone(service: BatchService, time: Time) -> None:
    service.create_job(creation())
    time.now += 1
    service.delete_job(messages.DeleteJobRequest(name=f"{PARENT}/jobs/j"))
    assert got(service).status.state == JobState.DELETION_IN_PROGRESS
    time.now += 1
    assert code_of(got, service) is grpc.StatusCode.NOT_FOUND
    assert names(listed(service)) == []
    assert [entry.state for entry in service.ledger()] == ["DELETED"]


@pytest.mark.parametrize("method", ["get_job", "cancel_job", "delete_job"])
def test_an_unknown_job_is_not_found(service: BatchService, method: str) -> None:
    request = messages.GetJobRequest(name=f"{PARENT}/jobs/none")
    if method != "get_job":
        request = messages.CancelJobRequest(name=f"{PARENT}/jobs/none")
    assert code_of(getattr(service, method), request) is grpc.StatusCode.NOT_FOUND


def test_a_job_runs_for_14_days_at_most_and_is_queued_for_2(service: BatchService, time: Time) -> None:
    waits = creation("waits")
    waits.job.allocation_policy.instances.add().policy.machine_type = "x-no-quota"
    service.create_job(waits)
    service.create_job(creation("runs", "sleep", "9999999"))
    time.now += 2 * 86400 + 1
    assert got(service, "waits").status.state == JobState.FAILED
    assert "CODE_GCE_QUOTA_EXCEEDED" in texts(got(service, "waits").status.status_events)[-1]
    assert got(service, "runs").status.state == JobState.RUNNING
    time.now += 12 * 86400
    assert got(service, "runs").status.state == JobState.FAILED
    ran = next(entry.ran_seconds for entry in service.ledger() if entry.name == "runs")
    assert ran == pytest.approx(14 * 86400)
