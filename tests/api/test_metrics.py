"""What the API tells Prometheus: calls by method and result, how long they took, and what they cost behind it."""

from collections.abc import Iterator

import pytest
from prometheus_client import generate_latest

from api import metrics
from tests.api.harness import SERVICE, Api


class Counted:
    """What was counted since it was made."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, tuple[str, ...]], float] = dict(samples())

    def since(self, name: str) -> dict[tuple[str, ...], float]:
        """By the values of its labels, in the order of their names; what did not grow is left out."""
        found = {}
        for (of, labels), value in samples():
            grown = value - self._before.get((of, labels), 0.0)
            if of == name and grown:
                found[labels] = grown
        return found


def samples() -> Iterator[tuple[tuple[str, tuple[str, ...]], float]]:
    for family in metrics.REGISTRY.collect():
        for sample in family.samples:
            yield (sample.name, tuple(sample.labels[name] for name in sorted(sample.labels))), sample.value


@pytest.fixture
def counted() -> Counted:
    return Counted()


async def test_calls_are_counted_by_method_and_result_and_timed_by_method(api: Api, counted: Counted) -> None:
    await api.submit(job_id="a")
    await api.call("GetJob", {"job_id": "a"})
    await api.call("GetJob", {"job_id": "b"})
    await api.call("GetJob", {"job_id": "a"}, tenant="")
    await api.raw(SERVICE + "ListJobs", None, method="GET")
    await api.raw(SERVICE + "ListJobs", b"{}", **{"Content-Type": "text/plain"})
    assert counted.since("jennah_api_requests_total") == {
        ("SubmitJob", "ok"): 1,
        ("GetJob", "ok"): 1,
        ("GetJob", "not_found"): 1,
        ("GetJob", "invalid_argument"): 1,
        ("ListJobs", "unimplemented"): 1,
        ("ListJobs", "invalid_argument"): 1,
    }
    assert counted.since("jennah_api_request_seconds_count") == {("SubmitJob",): 1, ("GetJob",): 3, ("ListJobs",): 2}
    assert 0 < counted.since("jennah_api_request_seconds_sum")[("SubmitJob",)] < 60


async def test_names_that_callers_make_up_are_no_labels(api: Api, counted: Counted) -> None:
    for path in (SERVICE + "Nothing", SERVICE + "submitjob", "/", "/metrics", "/jennah.v1.Other/SubmitJob"):
        assert (await api.raw(path, b"{}")).status == 404
    assert counted.since("jennah_api_requests_total") == {("other", "unimplemented"): 5}


async def test_calls_to_kubernetes_and_commits_are_counted_as_the_operators_are(api: Api, counted: Counted) -> None:
    await api.submit(job_id="a")
    calls = counted.since("jennah_kubernetes_calls_total")
    assert calls[("POST", "201")] >= 1
    assert sum(counted.since("jennah_record_commits_total").values()) >= 1


async def test_no_tenant_no_job_and_no_message_is_a_label(api: Api) -> None:
    await api.submit(job_id="job-to-find", tenant="tenant-to-find", env_vars={"NAME": "value-to-find"})
    await api.call("GetJob", {"job_id": "missing-to-find"}, tenant="tenant-to-find")
    await api.raw("/path-to-find", b"{}")
    assert b"to-find" not in generate_latest(metrics.REGISTRY)


async def test_the_port_that_callers_reach_has_no_metrics(api: Api) -> None:
    reply = await api.raw("/metrics", None, method="GET")
    assert (reply.status, reply.code) == (404, "unimplemented")


def test_the_api_tells_nothing_that_is_the_operators() -> None:
    told = {family.name for family in metrics.REGISTRY.collect()}
    assert "jennah_leader" not in told
    assert {"jennah_kubernetes_calls", "jennah_record_commits", "process_cpu_seconds"} <= told
