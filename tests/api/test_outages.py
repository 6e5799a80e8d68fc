"""What works while the database or Kubernetes is down, and what callers are told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest

from controller.domain.phases import Phase
from controller.kube import paths
from controller.kube.client import KubeClient
from controller.stores.sqlite import SqliteStore
from tests.api.faults import ADDRESS, FaultyClient, FaultyStore
from tests.api.harness import TENANT, Api, Reply, serving
from tests.controller.fakes import FakeClock


@pytest.fixture
def database(store: SqliteStore) -> FaultyStore:
    return FaultyStore(store)


@pytest.fixture
def cluster(kube: KubeClient) -> FaultyClient:
    return FaultyClient(kube)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def api(cluster: Any, database: Any, clock: FakeClock) -> AsyncIterator[Api]:
    async with serving(cluster, database, clock=clock) as running:
        yield running


def is_unavailable(reply: Reply) -> bool:
    assert ADDRESS not in reply.message
    return (reply.status, reply.code) == (503, "unavailable")


async def test_a_submission_is_acknowledged_without_the_database_and_recorded_later(
    api: Api, database: FaultyStore, clock: FakeClock
) -> None:
    database.is_down = True
    assert (await api.submit(job_id="a", env_vars={"A": "1"})).json["status"] == "PENDING"
    assert len(await api.objects()) == 1
    await clock.advance(10)
    database.is_down = False
    await clock.advance(31)
    await until(lambda: recorded(api, "a"))


async def test_a_job_that_was_deleted_meanwhile_is_not_recorded_later(
    api: Api, database: FaultyStore, clock: FakeClock
) -> None:
    database.is_down = True
    await api.submit(job_id="a")
    await api.submit(job_id="b")
    await api.kube.merge_patch(paths.job("default", "a"), {"metadata": {"finalizers": None}})
    await api.kube.delete(paths.job("default", "a"))
    database.is_down = False
    await clock.advance(2)
    await until(lambda: recorded(api, "b"))
    assert await api.store.get_job(TENANT, "a") is None


async def test_jobs_are_shown_without_the_database(api: Api, database: FaultyStore) -> None:
    for name in ("a", "b"):
        await api.submit(job_id=name)
    await api.record("b", Phase.RUNNING)
    await api.submit(job_id="c", tenant="tenant-2")
    await api.apply("by-kubectl", tenantId=TENANT, jobId="d")
    database.is_down = True
    jobs = (await api.call("ListJobs", {"page_size": 1})).json["jobs"]
    assert {job["jobId"]: job["status"] for job in jobs} == {"a": "PENDING", "b": "RUNNING", "d": "PENDING"}
    assert (await api.call("GetJob", {"job_id": "b"})).json["job"]["status"] == "RUNNING"
    assert (await api.call("CancelJob", {"job_id": "b"})).json["status"] == "RUNNING"
    assert is_unavailable(await api.call("GetJob", {"job_id": "unknown"}))
    assert is_unavailable(await api.call("GetCurrentTenant"))


async def test_a_further_page_cannot_be_had_without_the_database(api: Api, database: FaultyStore) -> None:
    for name in ("a", "b"):
        await api.submit(job_id=name)
    token = (await api.call("ListJobs", {"page_size": 1})).json["nextPageToken"]
    database.is_down = True
    assert is_unavailable(await api.call("ListJobs", {"page_size": 1, "page_token": token}))


async def test_a_deletion_without_the_database_can_be_repeated(api: Api, database: FaultyStore) -> None:
    await api.submit(job_id="a")
    database.is_down = True
    assert is_unavailable(await api.call("DeleteJob", {"job_id": "a"}))
    database.is_down = False
    assert (await api.call("DeleteJob", {"job_id": "a"})).status == 200
    assert await api.store.get_job(TENANT, "a") is None


async def test_recorded_jobs_are_shown_without_kubernetes(api: Api, cluster: FaultyClient, clock: FakeClock) -> None:
    await api.submit(job_id="a")
    cluster.is_down = True
    assert (await api.call("GetJob", {"job_id": "a"})).json["job"]["jobId"] == "a"
    assert len((await api.call("ListJobs")).json["jobs"]) == 1
    for method in ("CancelJob", "DeleteJob"):
        assert is_unavailable(await api.call(method, {"job_id": "a"}))
    assert is_unavailable(await while_time_passes(clock, api.submit(job_id="b")))
    assert is_unavailable(await api.call("GetJob", {"job_id": "unknown"}))
    assert await api.store.get_job(TENANT, "b") is None


async def test_a_connection_that_breaks_once_is_not_the_callers_business(
    api: Api, cluster: FaultyClient, clock: FakeClock
) -> None:
    cluster.lost_replies = 2  # of the job and of its Secret: both were made
    reply = await while_time_passes(clock, api.submit(job_id="a", env_vars={"A": "1"}))
    assert reply.status == 200
    assert await api.count() == (1, 1, 1)


async def test_a_pause_that_kubernetes_asks_for_is_made_before_the_caller_hears_of_it(
    api: Api, cluster: FaultyClient, clock: FakeClock
) -> None:
    """As client-go does. An API server puts calls off for a moment when the CRD has just changed, or there are many."""
    cluster.throttled = 1
    assert (await while_time_passes(clock, api.submit(job_id="a"))).status == 200
    cluster.throttled = 2
    assert (await while_time_passes(clock, api.submit(job_id="b"))).code == "resource_exhausted"
    assert await api.count() == (1, 0, 1)


async def test_a_caller_that_gives_up_leaves_a_whole_submission(
    api: Api, cluster: FaultyClient, clock: FakeClock
) -> None:
    cluster.lost_replies = 1  # the second try is due in 0.2 s, which is later than the caller waits
    message = {"image_uri": "i", "job_id": "a", "env_vars": {"A": "1"}}
    assert (await api.call("SubmitJob", message, Connect_Timeout_Ms="50")).code == "deadline_exceeded"
    await clock.advance(1)
    await until(lambda: recorded(api, "a"))
    await until(lambda: has_secret(api))


async def test_an_object_whose_tenant_may_not_be_looked_up_is_shown_to_nobody_and_hides_no_other(
    api: Api, cluster: FaultyClient
) -> None:
    cluster.refused.add(paths.namespace("default"))
    await api.apply("of-namespace", jobId="a")
    await api.apply("by-kubectl", tenantId=TENANT, jobId="b")
    assert [job["jobId"] for job in (await api.call("ListJobs")).json["jobs"]] == ["b"]
    assert (await api.call("ListJobs", tenant="default")).json.get("jobs", []) == []
    assert (await api.call("GetJob", {"job_id": "a"}, tenant="default")).code == "not_found"


async def test_ready_means_kubernetes_and_the_database(api: Api, cluster: FaultyClient, database: FaultyStore) -> None:
    assert (await api.raw("/readyz", None, method="GET")).data == b"ok"
    database.is_down = True
    reply = await api.raw("/readyz", None, method="GET")
    assert (reply.status, reply.data) == (503, b"not ready: database")
    cluster.is_down = True
    assert (await api.raw("/readyz", None, method="GET")).data == b"not ready: kubernetes, database"
    assert (await api.raw("/livez", None, method="GET")).status == 200
    assert (await api.raw("/health", None, method="GET")).data == b"OK"


async def recorded(api: Api, job_id: str) -> bool:
    return await api.store.get_job(TENANT, job_id) is not None


async def has_secret(api: Api) -> bool:
    return len(await api.secrets()) == 1


async def while_time_passes(clock: FakeClock, call: Awaitable[Reply]) -> Reply:
    """The answer to a call that sleeps."""
    task = asyncio.ensure_future(call)
    async with asyncio.timeout(5):
        while not task.done():
            await clock.advance(0.1)
            await asyncio.sleep(0.001)
    return await task


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not await condition():
            await asyncio.sleep(0.001)
