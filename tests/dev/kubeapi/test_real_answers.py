"""Answers that are legal, and that a kube-apiserver 1.36 was seen to give: null, absent, empty, and no JSON at all."""

import asyncio
from typing import Any

import pytest

from dev.kubeapi.server import KubeApiServer

from .client import ANYTHING, CRDS, MERGE, WIDGETS, Api, crd, widget

METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
PODS = "/api/v1/namespaces/default/pods"
POD = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
DEFINITION = f"{CRDS}/widgets.example.com"


async def metadata_of(api: Api, path: str) -> Any:
    async with api.session.get(api.server.url + path, headers={"Accept": METADATA}) as response:
        return await response.json()


@pytest.mark.parametrize("path", [WIDGETS, PODS])
async def test_a_list_of_metadata_without_objects_has_null(widgets: Api, path: str) -> None:
    listed = await metadata_of(widgets, path)
    assert (listed["kind"], listed["items"]) == ("PartialObjectMetadataList", None)
    assert (await widgets.ok("GET", path))["items"] == [], "of whole objects it has none"


async def test_objects_of_built_in_kinds_are_listed_without_their_kind(widgets: Api) -> None:
    await widgets.ok("POST", PODS, POD)
    await widgets.ok("POST", WIDGETS, widget("w"))
    [pod] = (await widgets.ok("GET", PODS))["items"]
    assert pod.keys() & {"kind", "apiVersion"} == set()
    assert (await widgets.ok("GET", f"{PODS}/p"))["kind"] == "Pod"
    [one] = (await widgets.ok("GET", WIDGETS))["items"]
    assert (one["kind"], one["apiVersion"]) == ("Widget", "example.com/v1")


async def test_times_that_were_not_given_are_null(api: Api) -> None:
    await api.ok("POST", PODS, POD)
    ended = {"name": "c", "image": "i", "imageID": "", "ready": False, "restartCount": 0}
    ended["state"] = {"terminated": {"exitCode": 0}}
    status = {"conditions": [{"type": "Ready", "status": "False"}], "containerStatuses": [ended]}
    pod = await api.ok("PATCH", f"{PODS}/p/status", {"status": status}, MERGE)
    [condition] = pod["status"]["conditions"]
    assert (condition["lastProbeTime"], condition["lastTransitionTime"]) == (None, None)
    [container] = pod["status"]["containerStatuses"]
    assert container["state"]["terminated"] == {"exitCode": 0, "startedAt": None, "finishedAt": None}
    assert container["lastState"] == {}


async def test_what_is_empty_is_an_empty_struct_or_absent(api: Api) -> None:
    lease = await api.ok("POST", "/apis/coordination.k8s.io/v1/namespaces/default/leases", {"metadata": {"name": "l"}})
    assert lease["spec"] == {}
    secrets = "/api/v1/namespaces/default/secrets"
    body = {"metadata": {"name": "s"}, "data": {"a": None}, "stringData": {"b": None}}
    assert (await api.ok("POST", secrets, body))["data"] == {"a": "", "b": ""}
    emptied = await api.ok("PATCH", f"{secrets}/s", {"data": {"a": None, "b": None}}, MERGE)
    assert "data" not in emptied


async def test_a_kind_of_nobody_is_a_page_that_is_not_found(api: Api) -> None:
    for path in ("/apis/example.com/v1/things", "/apis/example.com/v1", "/apis/example.com", "/nothing"):
        reply = await api.call("GET", path)
        assert (reply.code, reply.body) == (404, "404 page not found\n")
    reply = await api.call("GET", "/apis/batch/v1/things")
    assert (reply.code, reply.body["reason"]) == (404, "NotFound"), "of a group that is the server's own"


async def test_a_new_crd_has_no_conditions_yet_and_its_kind_is_listed_too_early(api: Api) -> None:
    created = await api.ok("POST", CRDS, crd(ANYTHING))
    assert created["status"] == {
        "conditions": None,
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": ["v1"],
    }
    assert "finalizers" not in created["metadata"], "it gets one when it is deleted"
    now = await api.ok("GET", DEFINITION)
    assert {each["type"]: each["status"] for each in now["status"]["conditions"]}["Established"] == "True"
    assert int(now["metadata"]["resourceVersion"]) > int(created["metadata"]["resourceVersion"])
    early = await api.call("GET", WIDGETS)
    assert (early.code, early.body["reason"]) == (429, "TooManyRequests")
    assert early.body["message"] == "storage is (re)initializing"
    assert early.body["details"] == {"retryAfterSeconds": 1}
    assert (await api.ok("GET", WIDGETS))["items"] == []


async def test_a_watch_ends_with_a_change_of_its_crd_and_earlier_versions_are_too_old(widgets: Api) -> None:
    await widgets.ok("POST", WIDGETS, widget("w"))
    version = (await widgets.ok("GET", WIDGETS))["metadata"]["resourceVersion"]
    async with widgets.watch(WIDGETS, resourceVersion=version) as response:
        await widgets.ok("PATCH", DEFINITION, {"metadata": {"annotations": {"a": "b"}}}, MERGE)
        await widgets.ok("POST", WIDGETS, widget("x"))
        assert b'"x"' in await response.content.readline(), "another change ends none"
        await widgets.ok("PATCH", DEFINITION, {"spec": {"names": {"shortNames": ["w"]}}}, MERGE)
        async with asyncio.timeout(10):
            assert await response.content.read() == b"", "it has ended, without a word"
    assert (await widgets.call("GET", WIDGETS)).code == 429
    async with widgets.watch(WIDGETS, resourceVersion=version) as response:
        assert b'"Expired"' in await response.content.readline()


async def test_a_watch_may_end_at_any_time(tmp_path: Any, api: Api) -> None:
    server = KubeApiServer(tmp_path / "hasty", token=api.server.token, watches_end_within=0.05)
    await server.start()
    try:
        hasty = Api(server, api.session)
        async with asyncio.timeout(10), hasty.watch("/api/v1/namespaces", resourceVersion="1") as response:
            await response.content.read()
    finally:
        await server.stop()


async def test_a_large_answer_is_compressed_for_who_takes_that(api: Api) -> None:
    maps = "/api/v1/namespaces/default/configmaps"
    await api.ok("POST", maps, {"metadata": {"name": "large"}, "data": {"a": "x" * 200_000}})
    for taken, encoding in (("gzip, deflate", "gzip"), ("identity", None)):
        headers = {"Accept-Encoding": taken}
        async with api.session.get(f"{api.server.url}{maps}", headers=headers) as response:
            assert response.headers.get("Content-Encoding") == encoding
            [item] = (await response.json())["items"]
            assert len(item["data"]["a"]) == 200_000
