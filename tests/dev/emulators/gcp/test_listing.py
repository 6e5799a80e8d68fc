"""Lists: filters, orders, pages, and jobs that are hidden."""

import grpc
import pytest

from dev.emulators.faults import Faults
from dev.emulators.gcp.service import BatchService
from tests.dev.emulators.gcp.harness import Time, code_of, creation, got, listed, names


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
