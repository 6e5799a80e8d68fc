"""Creating jobs: what is taken, refused and repeated."""

from typing import Any

import grpc
import pytest

from dev.emulators.gcp.service import BatchService
from tests.dev.emulators.gcp.harness import PARENT, REQUEST_ID, Time, code_of, creation


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
