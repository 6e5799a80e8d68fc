"""Job ids are a tenant's own: two tenants' same ids are two objects, and no call tells one tenant of another's.

And the objects of releases that named them by job id alone, which every method still finds.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from controller.domain import names, reasons
from controller.domain.job import parse
from controller.domain.phases import Phase
from controller.domain.records import Recorded, Transition, job_row
from controller.domain.resources import Profiles
from controller.kube import paths
from controller.kube.client import KubeClient
from controller.stores.sqlite import SqliteStore
from tests.api.faults import FaultyClient, FaultyStore
from tests.api.harness import IMAGE, TENANT, Api, serving

JOB = "11111111-2222-4333-8444-555555555555"
OTHERS = "tenant-2"


@pytest.fixture
def database(store: SqliteStore) -> FaultyStore:
    return FaultyStore(store)


class Counting(FaultyClient):
    """A cluster that notes what it was asked for."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.answered = 0
        """Jobs in all answers to lists."""
        self.before_post: Callable[[], Awaitable[None]] | None = None
        """What another process does, once, right before an object is made."""

    async def get(self, path: str, **query: str) -> Any:
        self.asked.append((path, query))
        answer = await super().get(path, **query)
        self.answered += len(answer.get("items") or ()) if names.PLURAL in path else 0
        return answer

    async def post(self, path: str, body: Any) -> Any:
        if (overtake := self.before_post) is not None:
            self.before_post = None
            await overtake()
        return await super().post(path, body)


@pytest.fixture
def cluster(kube: KubeClient) -> Counting:
    return Counting(kube)


@pytest.fixture
async def api(cluster: Any, database: Any, store: SqliteStore) -> AsyncIterator[Api]:
    async with serving(cluster, database) as running:
        running.store = store  # which the test reads past all faults
        yield running


async def of_an_earlier_release(api: Api, *, tenant: str = TENANT, **request: object) -> dict[str, Any]:
    """The object of a submission as such a release made it: named by its job id alone, and so is its Secret."""
    assert (await api.submit(job_id=JOB, tenant=tenant, **request)).status == 200
    (item,) = [one for one in await api.objects() if one["spec"]["tenantId"] == tenant]
    name = item["metadata"]["name"]
    path = paths.job("default", name)
    await api.kube.merge_patch(path, {"metadata": {"finalizers": None}})
    await api.kube.delete(path)
    kept = {key: item["metadata"][key] for key in ("labels", "annotations", "finalizers")}
    spec = dict(item["spec"])
    if "envFrom" in spec:
        suffix = spec["envFrom"][0]["secretRef"]["name"].removeprefix(f"{name}-env-")
        spec["envFrom"] = [{"secretRef": {"name": f"{JOB}-env-{suffix}"}}]
    await api.store.delete_job(tenant, JOB, uid=item["metadata"]["uid"])
    return await api.kube.post(paths.jobs("default"), {**item, "metadata": {"name": JOB, **kept}, "spec": spec})


# --- one tenant and another


async def test_two_tenants_same_id_are_two_jobs_and_neither_hears_of_the_other(api: Api) -> None:
    assert (await api.submit(job_id=JOB, commands=["ours"])).json["status"] == "PENDING"
    assert (await api.submit(job_id=JOB, commands=["theirs"], tenant=OTHERS)).json["status"] == "PENDING"
    assert {item["spec"]["args"][0]: item["spec"]["tenantId"] for item in await api.objects()} == {
        "ours": TENANT,
        "theirs": OTHERS,
    }
    for tenant, commands in ((TENANT, ["ours"]), (OTHERS, ["theirs"])):
        assert (await api.call("GetJob", {"job_id": JOB}, tenant=tenant)).json["job"]["commands"] == commands
        (listed,) = (await api.call("ListJobs", tenant=tenant)).json["jobs"]
        assert listed["commands"] == commands
    await api.call("CancelJob", {"job_id": JOB}, tenant=OTHERS)
    await api.call("DeleteJob", {"job_id": JOB}, tenant=OTHERS)
    (ours,) = [item for item in await api.objects() if "deletionTimestamp" not in item["metadata"]]
    assert (ours["spec"]["tenantId"], ours["spec"].get("cancel")) == (TENANT, None)
    assert (await api.call("GetJob", {"job_id": JOB})).status == 200


async def test_who_takes_the_id_of_an_idempotency_key_takes_only_his_own(api: Api) -> None:
    request = {"image_uri": IMAGE}
    key_of_ours = (await api.call("SubmitJob", request, Idempotency_Key="key-1")).json["jobId"]
    await api.call("DeleteJob", {"job_id": key_of_ours})
    await api.release(key_of_ours)
    assert (await api.submit(job_id=key_of_ours, tenant=OTHERS)).status == 200  # anybody can compute it
    assert (await api.call("SubmitJob", request, Idempotency_Key="key-1")).json["jobId"] == key_of_ours


@pytest.mark.parametrize(
    ("request_of", "beginning"),
    [
        ({"name": "Nightly report! (EU)"}, "nightly-report-eu"),
        ({"name": "n" * 255}, "n" * 42),
        ({"name": "ночь"}, JOB),
        ({}, JOB),
    ],
)
async def test_the_object_has_a_name_that_people_can_read(
    api: Api, request_of: dict[str, object], beginning: str
) -> None:
    await api.submit(job_id=JOB, **request_of)
    (item,) = await api.objects()
    name = item["metadata"]["name"]
    assert re.fullmatch(rf"{beginning}-[0-9a-f]{{20}}", name)
    assert len(name) <= 63
    assert (await api.call("GetJob", {"job_id": JOB})).json["job"]["name"] == request_of.get("name", JOB)


# --- looking for what is not there


async def test_an_unknown_id_costs_few_calls_and_nothing_of_what_waits(api: Api, cluster: Counting) -> None:
    await asyncio.gather(*(api.submit(job_id=f"waits-{number}", tenant=OTHERS) for number in range(5)))
    cluster.asked.clear()
    assert (await api.call("GetJob", {"job_id": JOB})).code == "not_found"
    assert len(cluster.asked) == 4
    await api.call("ListJobs")
    assert cluster.answered == 0, "the backlog of other tenants"


async def test_a_job_that_is_recorded_costs_one_look_for_its_deletion(api: Api, cluster: Counting) -> None:
    await api.submit(job_id=JOB, name="nightly")
    cluster.asked.clear()
    assert (await api.call("GetJob", {"job_id": JOB})).status == 200
    assert [path for path, _ in cluster.asked] == [paths.job("default", names.object_name(TENANT, JOB, "nightly"))]


@pytest.mark.parametrize("method", ["GetJob", "CancelJob", "DeleteJob"])
async def test_a_named_job_without_a_row_is_found_by_its_labels(api: Api, method: str) -> None:
    await api.submit(job_id=JOB, name="nightly", tenant=OTHERS)
    await api.submit(job_id=JOB, name="nightly")
    await api.lose_row(JOB)
    assert (await api.call(method, {"job_id": JOB})).status == 200
    states = {
        item["spec"]["tenantId"]: (item["spec"].get("cancel"), "deletionTimestamp" in item["metadata"])
        for item in await api.objects()
    }
    assert states[OTHERS] == (None, False)
    assert states[TENANT] == (method == "CancelJob" or None, method == "DeleteJob")


# --- objects of releases that named them by job id


@pytest.mark.parametrize("is_recorded", [True, False])
@pytest.mark.parametrize("method", ["GetJob", "CancelJob", "DeleteJob"])
async def test_every_method_finds_an_object_of_an_earlier_release(api: Api, method: str, is_recorded: bool) -> None:
    made = await of_an_earlier_release(api, name="nightly", env_vars={"A": "1"})
    if is_recorded:
        await record(api, made)
    assert (await api.call(method, {"job_id": JOB})).status == 200
    assert (await api.call(method, {"job_id": JOB}, tenant=OTHERS)).code == "not_found"
    (now,) = await api.objects()
    assert now["spec"].get("cancel", False) is (method == "CancelJob")
    assert ("deletionTimestamp" in now["metadata"]) is (method == "DeleteJob")


@pytest.mark.parametrize("state", ["recorded", "not recorded", "no database"])
async def test_a_repeat_joins_an_object_of_an_earlier_release(api: Api, database: FaultyStore, state: str) -> None:
    made = await of_an_earlier_release(api, name="nightly", env_vars={"A": "1"})
    if state == "recorded":
        await record(api, made)
    database.is_down = state == "no database"
    assert (await api.submit(job_id=JOB, name="nightly", env_vars={"A": "1"})).status == 200
    other = await api.submit(job_id=JOB, name="nightly", env_vars={"A": "2"})
    assert other.code == "already_exists"
    database.is_down = False
    (now,) = await api.objects()
    assert now["metadata"]["uid"] == made["metadata"]["uid"]
    (secret,) = [one for one in await api.secrets() if made["metadata"]["uid"] in str(one["metadata"])]
    assert secret["metadata"]["name"].startswith(f"{JOB}-env-")


async def test_an_object_of_an_earlier_release_takes_its_name_from_no_other_tenant(api: Api) -> None:
    await of_an_earlier_release(api, tenant=OTHERS)
    assert (await api.submit(job_id=JOB)).json["status"] == "PENDING"
    assert len(await api.objects()) == 2


async def test_a_purged_object_of_an_earlier_release_is_not_shown_though_its_row_is_there(
    api: Api, database: FaultyStore
) -> None:
    await record(api, await of_an_earlier_release(api))
    database.is_down = True
    assert (await api.call("DeleteJob", {"job_id": JOB})).code == "unavailable"
    database.is_down = False
    assert (await api.call("GetJob", {"job_id": JOB})).code == "not_found"


# --- two objects of one id: replicas of two releases, or two requests at the same moment


@pytest.mark.parametrize(("commands", "code"), [(["a"], ""), (["b"], "already_exists")])
async def test_of_the_objects_of_two_releases_the_one_that_is_recorded_first_is_the_job(
    api: Api, cluster: Counting, commands: list[str], code: str
) -> None:
    """In a rolling upgrade a replica of each gets the request. The other one is faster, after ours has looked."""
    spec = {"image": IMAGE, "args": ["a"], "tenantId": TENANT, "jobId": JOB}
    metadata = {"name": JOB, "finalizers": [names.FINALIZER]}
    theirs: list[dict[str, Any]] = []

    async def overtake() -> None:
        body = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": metadata, "spec": spec}
        theirs.append(await api.kube.post(paths.jobs("default"), body))
        await record(api, theirs[0], name=JOB)

    cluster.before_post = overtake
    assert (await api.submit(job_id=JOB, commands=commands)).code == code
    found = {item["metadata"]["name"]: item["metadata"] for item in await api.objects()}
    ours = found.pop(names.object_name(TENANT, JOB))
    assert (ours["annotations"][names.ANNOTATION_PURGE], "deletionTimestamp" in ours) == ("true", True)
    assert list(found) == [JOB]
    assert await api.store.owner(TENANT, JOB) == theirs[0]["metadata"]["uid"]
    assert (await api.submit(job_id=JOB, commands=["a"])).status == 200
    assert (await api.call("CancelJob", {"job_id": JOB})).status == 200
    assert (await api.kube.get(paths.job("default", JOB)))["spec"]["cancel"] is True


async def test_of_two_objects_the_one_that_the_record_has_not_refused_is_the_job(api: Api) -> None:
    theirs = await of_an_earlier_release(api)
    await record(api, theirs, name=JOB)
    spec = {**theirs["spec"], "args": ["refused"]}
    await api.apply(names.object_name(TENANT, JOB), **spec)
    path = paths.job_status("default", names.object_name(TENANT, JOB))
    await api.kube.merge_patch(path, {"status": {"phase": "Failed", "reason": reasons.RECORD_REJECTED}})
    assert (await api.call("CancelJob", {"job_id": JOB})).status == 200
    assert (await api.kube.get(paths.job("default", JOB)))["spec"]["cancel"] is True
    assert (await api.submit(job_id=JOB)).json["status"] == "PENDING"


async def test_two_requests_of_one_id_and_different_names_are_one_job(api: Api) -> None:
    """Each has an object of its own for a moment: the record gives the id to one."""
    replies = await asyncio.gather(*(api.submit(job_id=JOB, name=name) for name in ("red", "green", "blue")))
    assert sorted(reply.code for reply in replies) == ["", "already_exists", "already_exists"]
    (left,) = [item for item in await api.objects() if "deletionTimestamp" not in item["metadata"]]
    assert await api.store.owner(TENANT, JOB) == left["metadata"]["uid"]


async def test_a_name_that_an_operator_of_an_earlier_release_recorded_is_the_same_request(api: Api) -> None:
    await api.submit(job_id=JOB)
    (item,) = await api.objects()
    row = await api.store.get_job(TENANT, JOB)
    assert row is not None
    await record(api, item, name=item["metadata"]["name"], number=1)
    await api.remove(JOB)
    assert (await api.submit(job_id=JOB)).json["status"] == "RUNNING"
    assert (await api.submit(job_id=JOB, name="other")).code == "already_exists"


async def record(api: Api, item: dict[str, Any], *, name: str = "nightly", number: int = 0) -> None:
    """The row of that object, as it is written by who is not this API."""
    at, job = datetime.now(UTC), parse(item)
    row = job_row(job, tenant_id=TENANT, resources=Profiles().default_resources, env=None, now=at)
    phase = Phase.RUNNING if number else Phase.PENDING
    row = msgspec.structs.replace(row, name=name, status=phase)
    before = Phase.PENDING if number else None
    transition = Transition(
        uid=item["metadata"]["uid"], number=number, from_phase=before, row=row, at=at, reason="by another"
    )
    (result,) = await api.store.record([transition])
    assert isinstance(result, Recorded)
