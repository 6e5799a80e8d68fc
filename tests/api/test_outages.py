"""What works while the database or Kubernetes is down, and what callers are told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any, TypeVar

import pytest

from controller.domain import names
from controller.domain.phases import Phase
from controller.kube import paths
from controller.kube.client import KubeClient
from controller.stores.sqlite import SqliteStore
from tests.api.faults import ADDRESS, FaultyClient, FaultyStore
from tests.api.harness import IMAGE, TENANT, Api, Reply, api_settings, serving
from tests.controller.fakes import FakeClock

T = TypeVar("T")


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
    reply = (await api.submit(env_vars={"A": "1"})).json
    assert reply["status"] == "PENDING"
    assert (await notes(api))[names.ANNOTATION_NEW_ID] == "true"
    await clock.advance(10)
    database.is_down = False
    await clock.advance(31)
    await until(lambda: recorded(api, reply["jobId"]))


@pytest.mark.parametrize("request_of", [{"job_id": "a"}, {"Idempotency_Key": "a"}], ids=["job_id", "key"])
async def test_an_id_that_may_have_run_before_is_not_submitted_without_the_database(
    api: Api, database: FaultyStore, request_of: dict[str, str]
) -> None:
    """With its object gone, deleted or expired, the record alone knows that the job has run."""
    database.is_down = True
    reply = await call_submit(api, request_of)
    assert is_unavailable(reply)
    assert "it alone may know that this job_id has run before" in reply.message
    assert reply.headers["Retry-After"] == "2"
    assert (await api.objects(), await api.secrets()) == ([], [])
    database.is_down = False
    assert await api.count() == (0, 0, 0)
    assert (await call_submit(api, request_of)).status == 200
    assert names.ANNOTATION_NEW_ID not in await notes(api), "the controller asks the record as well"


async def test_a_repeat_without_the_database_does_not_run_an_ended_job_again(api: Api, database: FaultyStore) -> None:
    await api.submit(job_id="a")
    await api.record("a", Phase.COMPLETED)
    await api.remove("a")
    assert (await api.submit(job_id="a")).json["status"] == "COMPLETED"
    database.is_down = True
    assert is_unavailable(await api.submit(job_id="a"))
    assert await api.objects() == []


async def test_a_repeat_joins_the_object_that_is_there_without_the_database(api: Api, database: FaultyStore) -> None:
    first = await api.submit(job_id="a", env_vars={"A": "1"})
    await api.set_status("a", phase="Running")
    database.is_down = True
    again = await api.submit(job_id="a", env_vars={"A": "1"})
    assert (again.json["jobId"], again.json["status"]) == (first.json["jobId"], "RUNNING")
    assert (await api.submit(job_id="a", env_vars={"A": "2"})).code == "already_exists"
    assert is_unavailable(await api.submit(job_id="a", tenant="tenant-2")), "an id of its own"
    assert (len(await api.objects()), len(await api.secrets())) == (1, 1)


async def test_a_job_that_was_deleted_meanwhile_is_not_recorded_later(
    api: Api, database: FaultyStore, clock: FakeClock
) -> None:
    database.is_down = True
    gone, kept = [(await api.submit()).json["jobId"] for _ in range(2)]
    await api.remove(gone)
    database.is_down = False
    await clock.advance(2)
    await until(lambda: recorded(api, kept))
    assert await api.store.get_job(TENANT, gone) is None


async def test_the_delayed_row_of_an_object_does_not_take_the_place_of_its_successors(
    api: Api, database: FaultyStore, clock: FakeClock
) -> None:
    """Made anew by kubectl under the same name: with the old one's row the new one would be refused for ever."""
    database.is_down = True
    gone, other = [(await api.submit()).json["jobId"] for _ in range(2)]
    spec = (await api.job_object(gone))["spec"]
    await api.remove(gone)
    await api.apply(names.object_name(TENANT, gone), **spec)
    database.is_down = False
    await clock.advance(2)
    await until(lambda: recorded(api, other))
    assert await api.store.owner(TENANT, gone) is None


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
    for method in ("CancelJob", "DeleteJob"):  # that there is no object does not mean that there is no job
        assert is_unavailable(await api.call(method, {"job_id": "unknown"}))
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
    assert (await api.job_object("a"))["metadata"]["deletionTimestamp"], "the controller goes on with it"
    database.is_down = False
    assert (await api.call("GetJob", {"job_id": "a"})).code == "not_found", "though its row is there"
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
    await while_time_passes(clock, until(lambda: recorded(api, "a")))
    await while_time_passes(clock, until(lambda: has_secret(api)))


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


async def call_submit(api: Api, request_of: dict[str, str]) -> Reply:
    key = {name: value for name, value in request_of.items() if name == "Idempotency_Key"}
    body = {"image_uri": IMAGE, **{name: value for name, value in request_of.items() if name not in key}}
    return await api.call("SubmitJob", body, **key)


async def notes(api: Api) -> dict[str, str]:
    (item,) = await api.objects()
    return dict(item["metadata"]["annotations"])


async def recorded(api: Api, job_id: str) -> bool:
    return await api.store.get_job(TENANT, job_id) is not None


async def has_secret(api: Api) -> bool:
    return len(await api.secrets()) == 1


async def while_time_passes(clock: FakeClock, call: Awaitable[T]) -> T:
    """What comes of a call that sleeps."""
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


async def test_a_namespace_that_does_not_exist_is_told_by_the_probe_and_to_callers(
    kube: KubeClient, store: SqliteStore
) -> None:
    async with serving(kube, store, api_settings(namespace="nowhere")) as api:
        told = "the namespace 'nowhere' of JENNAH_NAMESPACE, in which jobs are made, does not exist"
        probe = await api.raw("/readyz", None, method="GET")
        assert (probe.status, probe.data.decode()) == (503, f"not ready: kubernetes: {told}")
        reply = await api.submit()
        assert (reply.code, reply.message) == ("failed_precondition", told)
