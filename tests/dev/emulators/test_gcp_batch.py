"""The stand-in of Google Cloud Batch is as strict as providers.md §1: what it takes, refuses, repeats and forgets."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2

from dev.emulators.faults import Dice, Faults
from dev.emulators.gcp import messages
from dev.emulators.gcp.messages import JobState, TaskState
from dev.emulators.gcp.refusals import Refusal
from dev.emulators.gcp.server import SERVICE, BatchServer
from dev.emulators.gcp.service import BatchService

PARENT = "projects/p/locations/us-central1"
REQUEST_ID = "5c1f2c44-0000-4000-8000-000000000001"
OK = grpc.StatusCode.OK


class Time:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def service(time: Time) -> BatchService:
    return BatchService(Dice(Faults(), seed=7), now=time)


def creation(job_id: str = "j", *command: str, request_id: str = "", **group: Any) -> Any:
    request = messages.CreateJobRequest(parent=PARENT, job_id=job_id, request_id=request_id)
    made = request.job.task_groups.add(**group)
    container = made.task_spec.runnables.add().container
    container.image_uri = "busybox"
    container.commands.extend(command or ("sleep", "60"))
    return request


def got(service: BatchService, job_id: str = "j") -> Any:
    return service.get_job(messages.GetJobRequest(name=f"{PARENT}/jobs/{job_id}"))


def listed(service: BatchService, **query: Any) -> Any:
    return service.list_jobs(messages.ListJobsRequest(parent=PARENT, **query))


def names(answer: Any) -> list[str]:
    return [job.name.rpartition("/")[2] for job in answer.jobs]


def code_of(call: Any, *arguments: Any) -> grpc.StatusCode:
    try:
        call(*arguments)
    except Refusal as refusal:
        return refusal.code
    return OK


def texts(events: Any) -> list[str]:
    return [event.description for event in events]


# --- creating ------------------------------------------------------------------------------------------------


def changed(path: str, value: Any) -> Any:
    """A creation with one field set; a path's numbers are indices, a last ``+`` adds an element."""
    request = creation()
    target = request
    *parents, last = path.split(".")
    for part in parents:
        if part == "+":
            target = target.add()
        elif part.isdecimal():
            target = target[int(part)]
        else:
            target = getattr(target, part)
    if isinstance(value, dict):
        getattr(target, last).update(value)
    elif isinstance(value, list):
        getattr(target, last).extend(value)
    else:
        setattr(target, last, value)
    return request


@pytest.mark.parametrize("job_id", ["a", "a-1", "a" * 63])
def test_legal_ids_are_taken(service: BatchService, job_id: str) -> None:
    assert service.create_job(creation(job_id)).name == f"{PARENT}/jobs/{job_id}"


@pytest.mark.parametrize("job_id", ["A", "1a", "-a", "a-", "a_b", "a.b", "a" * 64])
def test_other_ids_are_refused(service: BatchService, job_id: str) -> None:
    assert code_of(service.create_job, creation(job_id)) is grpc.StatusCode.INVALID_ARGUMENT


def test_without_an_id_the_service_makes_one(service: BatchService) -> None:
    assert service.create_job(creation("")).name.startswith(f"{PARENT}/jobs/job-")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("parent", "projects/p"),
        ("request_id", "no-uuid"),
        ("request_id", "00000000-0000-0000-0000-000000000000"),
        ("job.labels", {"Upper": "x"}),
        ("job.labels", {"a": "Upper"}),
        ("job.labels", {"a" * 64: "x"}),
        ("job.labels", {"goog-a": "x"}),
        ("job.labels", {"google-a": "x"}),
        ("job.labels", {f"k{n}": "x" for n in range(65)}),
        ("job.allocation_policy.labels", {"1": "x"}),
        ("job.priority", 100),
        ("job.task_groups.+.task_count", 1),
        ("job.task_groups.0.task_count", 100_001),
        ("job.task_groups.0.parallelism", 5_001),
        ("job.task_groups.0.task_spec.max_retry_count", 11),
        ("job.task_groups.0.task_spec.runnables.0.container.image_uri", ""),
        ("job.task_groups.0.task_spec.environment.variables", {"A": "x" * 1_000_001}),
        ("job.task_groups.0.task_spec.environment.secret_variables", {"A": "value"}),
        ("job.allocation_policy.location.allowed_locations", ["regions/europe-west1"]),
        ("job.allocation_policy.location.allowed_locations", ["us-central1"]),
        ("job.allocation_policy.instances.+.policy.boot_disk.size_gb", 9),
        ("job.allocation_policy.instances.+.policy.accelerators.+.count", 1),
    ],
)
def test_what_the_facts_exclude_is_refused(service: BatchService, path: str, value: Any) -> None:
    assert code_of(service.create_job, changed(path, value)) is grpc.StatusCode.INVALID_ARGUMENT
    assert service.ledger() == []


def test_a_second_job_of_that_name_is_refused(service: BatchService) -> None:
    service.create_job(creation())
    assert code_of(service.create_job, creation()) is grpc.StatusCode.ALREADY_EXISTS


def test_a_repeated_request_id_does_nothing_for_an_hour(service: BatchService, time: Time) -> None:
    first = service.create_job(creation(request_id=REQUEST_ID)).uid
    time.now += 59 * 60
    assert service.create_job(creation(request_id=REQUEST_ID)).uid == first
    time.now += 2 * 60
    assert code_of(service.create_job, creation(request_id=REQUEST_ID)) is grpc.StatusCode.ALREADY_EXISTS
    assert len(service.ledger()) == 1


# --- the life of a job ---------------------------------------------------------------------------------------


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


# --- listing -------------------------------------------------------------------------------------------------


@pytest.fixture
def three(service: BatchService, time: Time) -> BatchService:
    """Jobs c, a, b, created a second apart; a has other labels."""
    for job_id in ("c", "a", "b"):
        request = creation(job_id)
        request.job.labels.update({"team": "x" if job_id != "a" else "y"})
        service.create_job(request)
        time.now += 1
    return service


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["c", "a", "b"]),
        ('labels."team" = "x"', ["c", "b"]),
        ('labels."team"="y"', ["a"]),
        ('(labels."team" = "x") AND (createTime >= "2027-01-15T08:00:01Z")', ["b"]),
        ('createTime >= "2027-01-15T08:00:01+00:00"', ["a", "b"]),
    ],
)
def test_filters_that_are_in_use_are_understood(three: BatchService, text: str, expected: list[str]) -> None:
    assert names(listed(three, filter=text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        'status.state = "RUNNING"',
        'labels."team" != "x"',
        "labels.team = x",
        'labels."team" = "x" OR labels."team" = "y"',
        'labels."team" = "x" labels."team" = "x"',
        '(labels."team" = "x"',
        'labels."team" = "x" AND',
        'createTime >= "yesterday"',
        'createTime >= "2027-01-15T08:00:01"',
    ],
)
def test_other_filters_are_refused(three: BatchService, text: str) -> None:
    assert code_of(lambda: listed(three, filter=text)) is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("order_by", "expected"),
    [
        ("name", ["a", "b", "c"]),
        ("name desc", ["c", "b", "a"]),
        ("create_time", ["c", "a", "b"]),
        ("create_time desc", ["b", "a", "c"]),
    ],
)
def test_orders_and_pages(three: BatchService, order_by: str, expected: list[str]) -> None:
    found, token = [], ""
    while True:
        page = listed(three, order_by=order_by, page_size=1, page_token=token)
        found += names(page)
        token = page.next_page_token
        if not token:
            break
    assert found == expected
    assert code_of(lambda: listed(three, order_by="uid")) is grpc.StatusCode.INVALID_ARGUMENT
    assert code_of(lambda: listed(three, page_token="nonsense")) is grpc.StatusCode.INVALID_ARGUMENT


def test_new_jobs_shift_no_page(three: BatchService) -> None:
    first = listed(three, order_by="create_time desc", page_size=2)
    three.create_job(creation("new"))
    rest = listed(three, order_by="create_time desc", page_size=2, page_token=first.next_page_token)
    assert names(first) + names(rest) == ["b", "a", "c"]


def test_a_page_has_a_thousand_jobs_at_most(service: BatchService) -> None:
    for number in range(1001):
        service.create_job(creation(f"j{number}"))
    page = listed(service, page_size=5000)
    assert len(page.jobs) == 1000
    assert page.next_page_token


def test_hidden_jobs_exist_for_create_alone(service: BatchService, time: Time) -> None:
    service.dice.faults = Faults(hidden_seconds=100)
    service.create_job(creation())
    assert code_of(got, service) is grpc.StatusCode.NOT_FOUND
    assert names(listed(service)) == []
    assert code_of(service.create_job, creation()) is grpc.StatusCode.ALREADY_EXISTS
    time.now += 100
    assert names(listed(service)) == ["j"]


# --- as a server ---------------------------------------------------------------------------------------------


@pytest.fixture
async def server(service: BatchService) -> AsyncIterator[BatchServer]:
    async with BatchServer(service).serving() as server:
        yield server


async def create_over_the_wire(server: BatchServer, job_id: str) -> grpc.StatusCode:
    async with grpc.aio.insecure_channel(server.endpoint) as channel:
        call = channel.unary_unary(
            f"/{SERVICE}/CreateJob",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=messages.Job.FromString,
        )
        try:
            await call(creation(job_id))
        except grpc.aio.AioRpcError as error:
            return error.code()
        return OK


@pytest.mark.parametrize(
    ("faults", "codes", "made"),
    [
        (Faults(), {OK}, 1),
        (Faults(lost_requests=1), {grpc.StatusCode.UNAVAILABLE}, 0),
        (Faults(lost_replies=1), {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}, 1),
        (Faults(throttled=1), {grpc.StatusCode.RESOURCE_EXHAUSTED}, 0),
    ],
)
async def test_faults_are_what_they_are_called(
    server: BatchServer, faults: Faults, codes: set[grpc.StatusCode], made: int
) -> None:
    server.service.dice.faults = faults
    assert await create_over_the_wire(server, "j") in codes
    assert len(server.service.ledger()) == made


def test_it_runs_alone_and_says_where() -> None:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-m", "dev.emulators.gcp_batch", "--lost-replies", "0.3", "--seed", "1"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready, endpoint, control, side = process.stdout.readline().split()
            assert (ready, control) == ("ready:", "control:")
            assert endpoint.startswith("127.0.0.1:")
            with urllib.request.urlopen(f"http://{side}/faults") as answer:
                assert json.load(answer)["lost_replies"] == 0.3
            with urllib.request.urlopen(f"http://{side}/ledger") as answer:
                assert json.load(answer) == []
        finally:
            process.terminate()
    assert process.returncode == 0
