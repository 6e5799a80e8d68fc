"""Creating jobs: what is taken, refused and repeated."""

from typing import Any

import grpc
import pytest

from dev.emulators.gcp.service import BatchService
from tests.dev.emulators.gcp.harness import OK, PARENT, REQUEST_ID, Time, code_of, creation


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


def on_machine(machine_type: str, cpu_milli: int, memory_mib: int, gpu: str = "") -> Any:
    request = creation()
    wanted = request.job.task_groups[0].task_spec.compute_resource
    wanted.cpu_milli, wanted.memory_mib = cpu_milli, memory_mib
    policy = request.job.allocation_policy.instances.add().policy
    policy.machine_type = machine_type
    if gpu:
        policy.accelerators.add(type_=gpu, count=1)
    return request


@pytest.mark.parametrize(
    ("request_", "is_taken"),
    [
        (on_machine("n1-standard-1", 1000, 3840), True),
        (on_machine("n1-standard-1", 2000, 3840), False),
        (on_machine("n1-standard-1", 1000, 3841), False),
        (on_machine("x-not-in-the-table", 2000, 4096), True),
        (on_machine("n1-standard-4", 1000, 1024, "nvidia-tesla-t4"), True),
        (on_machine("e2-standard-4", 1000, 1024, "nvidia-tesla-t4"), False),
        (on_machine("g2-standard-4", 1000, 1024, "nvidia-l4"), True),
        (on_machine("g2-standard-4", 1000, 1024, "nvidia-tesla-t4"), False),
    ],
)
def test_a_task_and_its_gpus_must_fit_on_the_machine_that_is_named(
    service: BatchService, request_: Any, is_taken: bool
) -> None:
    assert (code_of(service.create_job, request_) is OK) == is_taken


@pytest.mark.parametrize(
    ("field", "path", "is_taken"),
    [
        ("network", "global/networks/default", True),
        ("network", "projects/host/global/networks/n", True),
        ("network", "default", False),
        ("network", "projects/host/global/networks/n/", False),
        ("subnetwork", "regions/us-central1/subnetworks/s", True),
        ("subnetwork", "s", False),
    ],
)
def test_networks_are_named_by_their_paths(service: BatchService, field: str, path: str, is_taken: bool) -> None:
    request = creation()
    setattr(request.job.allocation_policy.network.network_interfaces.add(), field, path)
    assert (code_of(service.create_job, request) is OK) == is_taken
