"""GetJob, ListJobs, CancelJob and DeleteJob, with everything up."""

import asyncio
from datetime import datetime
from typing import Any, cast

import pytest

from controller.domain import names, reasons
from controller.domain.errors import Permanent
from controller.domain.phases import Phase
from controller.kube import paths
from controller.kube.client import KubeClient
from controller.ports import JobStore, RecordFailure
from controller.stores.sqlite import SqliteStore
from tests.api.faults import FaultyClient
from tests.api.harness import IMAGE, TENANT, Api, api_settings, serving


async def listed(api: Api, **message: object) -> list[str]:
    reply = await api.call("ListJobs", message)
    assert reply.status == 200, reply.data
    return [job["jobId"] for job in reply.json.get("jobs", [])]


async def test_a_submitted_job_can_be_got_at_once(api: Api) -> None:
    await api.submit(job_id="a", name="nightly", commands=["x", "y"], env_vars={"A": "1"})
    job = (await api.call("GetJob", {"jobId": "a"})).json["job"]
    times = {job.pop("createdAt"), job.pop("updatedAt")}
    assert all(time.endswith("Z") and "T" in time for time in times)
    assert job == {
        "jobId": "a",
        "tenantId": TENANT,
        "imageUri": IMAGE,
        "status": "PENDING",
        "maxRetries": "3",
        "commands": ["x", "y"],
        "envVarsJson": '{"A":"1"}',
        "name": "nightly",
        "bootDiskSizeGb": "50",
        "complexityLevel": "SIMPLE",
        "assignedService": "CLOUD_RUN_JOB",
        "memoryMib": "4096",
        "cpuMillis": "2000",
        "maxRunDurationSeconds": "3600",
    }


async def test_the_list_has_recorded_and_unrecorded_jobs_of_the_tenant_only(api: Api) -> None:
    await api.submit(job_id="a")
    await api.submit(job_id="b", tenant="tenant-2")
    await api.apply("by-kubectl", tenantId=TENANT, jobId="c")
    await api.apply("of-namespace")
    assert sorted(await listed(api)) == ["a", "c"]
    assert (await api.call("ListJobs", tenant="default")).json == {}, "a namespace is no tenant by its name"
    assert (await api.call("ListJobs", tenant="nobody")).json == {}


async def test_the_namespaces_label_names_the_tenant(api: Api) -> None:
    metadata = {"name": "team", "labels": {names.LABEL_TENANT: "tenant-3"}}
    await api.kube.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    item = await api.apply("a", namespace="team")
    (job,) = (await api.call("ListJobs", tenant="tenant-3")).json["jobs"]
    assert job["jobId"] == item["metadata"]["uid"]
    got = await api.call("GetJob", {"job_id": job["jobId"]}, tenant="tenant-3")
    assert got.json["job"]["name"] == "a"


async def test_a_job_that_names_another_tenant_than_its_namespace_is_not_shown_to_that_one(api: Api) -> None:
    metadata = {"name": "others", "labels": {names.LABEL_TENANT: "tenant-3"}}
    await api.kube.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    await api.apply("a", namespace="others", tenantId=TENANT, jobId="a")
    assert await listed(api) == []
    assert (await api.call("CancelJob", {"job_id": "a"})).code == "not_found"


async def test_a_label_of_the_object_gives_its_job_to_nobody(api: Api) -> None:
    """Anybody who creates it can set that; the controller does not look at it and makes it the tenant's."""
    item = await api.apply("a")
    patch = {"metadata": {"labels": {names.LABEL_TENANT: TENANT}}}
    await api.kube.merge_patch(paths.job("default", "a"), patch)
    assert await listed(api) == []
    assert (await api.call("CancelJob", {"job_id": item["metadata"]["uid"]})).code == "not_found"


async def test_a_watched_namespace_that_may_not_be_read_hides_no_other(kube: KubeClient, store: SqliteStore) -> None:
    client = FaultyClient(kube)
    client.refused.add(paths.jobs("hidden"))
    async with serving(cast("Any", client), store, api_settings(watch_namespaces=("readable", "hidden"))) as api:
        metadata = {"name": "readable", "labels": {names.LABEL_TENANT: TENANT}}
        await kube.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        await api.apply("a", namespace="readable", tenantId=TENANT, jobId="a")
        assert await listed(api) == ["a"]
        assert (await api.call("CancelJob", {"job_id": "a"})).json == {"jobId": "a", "status": "PENDING"}
        client.refused.add(paths.jobs("default"))
        assert (await api.call("GetJob", {"job_id": "b"})).code == "unavailable", "its own it must read"


async def test_jobs_of_the_watched_namespaces_are_shown_without_rights_to_read_others(
    kube: KubeClient, store: SqliteStore
) -> None:
    client = FaultyClient(kube)
    client.refused.add(paths.jobs())
    async with serving(cast("Any", client), store, api_settings(watch_namespaces=("team-a",))) as api:
        for namespace in ("team-a", "team-b"):
            metadata = {"name": namespace, "labels": {names.LABEL_TENANT: TENANT}}
            await kube.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
            await api.apply(f"of-{namespace}", namespace=namespace, tenantId=TENANT, jobId=f"of-{namespace}")
        await api.submit(job_id="own")
        assert sorted(await listed(api)) == ["of-team-a", "own"]
        assert (await api.call("CancelJob", {"job_id": "of-team-b"})).code == "not_found"


async def test_a_job_of_kubectl_is_found_by_the_labels_that_the_controller_sets(api: Api) -> None:
    item = await api.apply("by-kubectl", tenantId=TENANT)
    uid = item["metadata"]["uid"]
    patch = {"metadata": {"labels": {names.LABEL_JOB_ID: uid, names.LABEL_TENANT: TENANT}}}
    await api.kube.merge_patch(paths.job("default", "by-kubectl"), patch)
    await api.set_status("by-kubectl", phase="Running", jobId=uid, tenantId=TENANT)
    assert (await api.call("CancelJob", {"job_id": uid})).json == {"jobId": uid, "status": "RUNNING"}
    assert (await api.job_object("by-kubectl"))["spec"]["cancel"] is True


async def test_pages_have_every_job_once_and_newest_first(api: Api) -> None:
    await asyncio.gather(*(api.submit(job_id=f"job-{number:02}") for number in range(12)))
    await api.apply("by-kubectl", tenantId=TENANT, jobId="by-kubectl")
    seen, token, pages = [], "", 0
    while True:
        reply = await api.call("ListJobs", {"page_size": 5, "page_token": token})
        seen += [(datetime.fromisoformat(job["createdAt"]), job["jobId"]) for job in reply.json["jobs"]]
        pages += 1
        token = reply.json.get("nextPageToken", "")
        if not token:
            break
    assert pages == 3
    assert len(seen) == 13
    assert seen == sorted(set(seen), reverse=True)
    assert [job_id for _, job_id in seen] == await listed(api)


async def test_filters_apply_to_recorded_and_unrecorded_jobs(api: Api) -> None:
    await api.submit(job_id="a")
    await api.submit(job_id="b")
    await api.record("b", Phase.RUNNING)
    await api.apply("by-kubectl", tenantId=TENANT, jobId="c")
    assert await listed(api, status="running") == ["b"]
    assert sorted(await listed(api, status="PENDING")) == ["a", "c"]
    assert await listed(api, created_after="2100-01-01T00:00:00Z") == []
    assert len(await listed(api, created_after="2020-01-01T00:00:00+02:00")) == 3


async def test_cancel_sets_the_resource_and_answers_how_far_it_is(api: Api) -> None:
    await api.submit(job_id="a")
    assert (await api.call("CancelJob", {"job_id": "a"})).json == {"jobId": "a", "status": "PENDING"}
    assert (await api.job_object("a"))["spec"]["cancel"] is True
    assert (await api.call("CancelJob", {"job_id": "a"})).status == 200


@pytest.mark.parametrize("phase", [Phase.CANCELLED, Phase.COMPLETED])
async def test_cancel_waits_for_the_end(api: Api, phase: Phase) -> None:
    settings = api_settings(cancel_wait_seconds=10.0)
    async with serving(api.kube, api.store, settings) as patient:
        await api.submit(job_id="a")
        call = asyncio.create_task(patient.call("CancelJob", {"job_id": "a"}))
        while "cancel" not in (await api.job_object("a"))["spec"]:
            await asyncio.sleep(0)
        assert not call.done()
        await api.record("a", phase)
        assert (await call).json == {"jobId": "a", "status": phase.wire}


async def test_cancelling_a_cancelled_job_is_fine_and_a_finished_one_is_not(api: Api) -> None:
    for name, phase in (("a", Phase.CANCELLED), ("b", Phase.COMPLETED), ("c", Phase.FAILED)):
        await api.submit(job_id=name)
        await api.record(name, phase)
    assert (await api.call("CancelJob", {"job_id": "a"})).json["status"] == "CANCELLED"
    for name, status in (("b", "COMPLETED"), ("c", "FAILED")):
        reply = await api.call("CancelJob", {"job_id": name})
        assert (reply.status, reply.code) == (400, "invalid_argument")
        assert reply.message == f"job is already finished: its status is {status}"
        assert "cancel" not in (await api.job_object(name))["spec"]


class Successor(FaultyClient):
    """A cluster where somebody makes an object anew under its name, just before it is changed."""

    async def merge_patch(self, path: str, patch: Any) -> Any:
        if path == paths.job("default", "a"):
            await self._client.delete(path)
            body = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {"name": "a"}}
            await self._client.post(paths.jobs("default"), body | {"spec": {"image": "other", "tenantId": "b"}})
        return await self._client.merge_patch(path, patch)


@pytest.mark.parametrize("method", ["CancelJob", "DeleteJob"])
async def test_an_object_that_was_made_anew_under_the_name_is_left_alone(
    kube: KubeClient, store: SqliteStore, method: str
) -> None:
    """The server refuses the change of another uid (422): the object that was meant is gone, and nothing is wrong."""
    async with serving(cast("KubeClient", Successor(kube)), store) as api:
        await api.apply("a", tenantId=TENANT, jobId="a")
        assert (await api.call(method, {"job_id": "a"})).status == 200
        found = await api.job_object("a")
    assert (found["spec"]["image"], found["spec"].get("cancel")) == ("other", None)
    assert "deletionTimestamp" not in found["metadata"]


async def test_cancel_of_a_job_that_is_only_in_the_record(api: Api) -> None:
    await api.submit(job_id="a")
    await api.remove("a")
    reply = await api.call("CancelJob", {"job_id": "a"})
    assert reply.code == "not_found"
    assert "only in the record" in reply.message


async def test_delete_marks_the_object_for_purging_and_removes_the_row(api: Api) -> None:
    await api.submit(job_id="a")
    reply = await api.call("DeleteJob", {"job_id": "a"})
    assert reply.json == {"jobId": "a", "message": "job a deleted"}
    metadata = (await api.job_object("a"))["metadata"]
    assert metadata["annotations"][names.ANNOTATION_PURGE] == "true"
    assert metadata["deletionTimestamp"]
    assert await api.store.get_job(TENANT, "a") is None
    assert await listed(api) == []
    for method in ("GetJob", "CancelJob", "DeleteJob"):
        assert (await api.call(method, {"job_id": "a"})).code == "not_found"


async def test_a_write_that_was_in_flight_does_not_bring_a_deleted_row_back(api: Api) -> None:
    await api.submit(job_id="a")
    row = await api.store.get_job(TENANT, "a")
    assert row is not None
    await api.call("DeleteJob", {"job_id": "a"})
    result = await api.write_again(row)
    assert isinstance(result, RecordFailure)
    assert isinstance(result.error, Permanent)
    assert result.error.reason == reasons.JOB_DELETED
    assert (await api.call("GetJob", {"job_id": "a"})).code == "not_found"
    assert await api.store.get_job(TENANT, "a") is None


class Slow:
    """A store whose deletions wait before they do anything."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.gate, self.is_reached = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def delete_job(self, tenant_id: str, job_id: str, *, uid: str) -> bool:
        self.is_reached.set()
        await self.gate.wait()
        return await self._store.delete_job(tenant_id, job_id, uid=uid)


@pytest.mark.parametrize("has_object", [True, False])
async def test_a_slow_deletion_does_not_remove_the_row_of_a_successor(
    kube: KubeClient, store: SqliteStore, has_object: bool
) -> None:
    """Its successor has run by then: without its row it would run again."""
    slow = Slow(store)
    async with serving(kube, cast("JobStore", slow)) as api:
        await api.submit(job_id="nightly")
        old = (await api.job_object("nightly"))["metadata"]["uid"]
        if not has_object:
            await api.remove("nightly")
        deleting = asyncio.create_task(api.call("DeleteJob", {"job_id": "nightly"}))
        await slow.is_reached.wait()
        if has_object:
            await api.release("nightly")
        await store.delete_job(TENANT, "nightly", uid=old)  # as the controller does
        assert (await api.submit(job_id="nightly")).json["status"] == "PENDING"
        await api.record("nightly", Phase.COMPLETED)
        await api.remove("nightly")  # by its ttl
        slow.gate.set()
        assert (await deleting).status == 200
        assert (await store.get_job(TENANT, "nightly")).status is Phase.COMPLETED
        assert (await api.submit(job_id="nightly")).json["status"] == "COMPLETED"
        assert await api.objects() == []


async def test_a_row_without_an_object_and_an_object_without_a_row_are_deleted(api: Api) -> None:
    await api.submit(job_id="a")
    await api.remove("a")
    assert (await api.call("DeleteJob", {"job_id": "a"})).status == 200
    await api.apply("b", tenantId=TENANT, jobId="b")
    assert (await api.call("DeleteJob", {"job_id": "b"})).status == 200
    assert await api.count() == (0, 0, 0)


async def test_a_job_may_be_submitted_again_when_its_deletion_is_over(api: Api) -> None:
    await api.submit(job_id="a", env_vars={"A": "1"})
    await api.call("DeleteJob", {"job_id": "a"})
    await api.release("a")
    assert (await api.submit(job_id="a", env_vars={"A": "2"})).status == 200
    (secret,) = await api.secrets()
    assert secret["data"] == {"A": "Mg=="}


async def test_tenants_and_notifications_come_from_the_record(api: Api) -> None:
    assert (await api.call("GetCurrentTenant")).code == "not_found"
    for name in ("a", "b"):
        await api.submit(job_id=name, name=f"name-{name}")
        await api.record(name, Phase.COMPLETED)
    tenant = (await api.call("GetCurrentTenant")).json
    assert tenant["tenantId"] == TENANT
    assert tenant["createdAt"].endswith("Z")
    reply = (await api.call("ListNotifications", {"limit": 1})).json
    assert reply["unreadCount"] == 2
    (note,) = reply["notifications"]
    assert (note["finalStatus"], note["jobName"][:5]) == ("COMPLETED", "name-")
    assert int(note["occurredAt"]) > 1_700_000_000
    assert (await api.call("AckNotification", {"notification_id": note["id"]})).json == {"success": True}
    assert (await api.call("ListNotifications")).json["unreadCount"] == 1
    assert (await api.call("AckNotification", {"notification_id": note["id"]}, tenant="tenant-2")).code == "not_found"
    assert (await api.call("AckNotification", {"notification_id": "unknown"})).code == "not_found"
