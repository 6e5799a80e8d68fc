"""Owners and dependents, namespaces, and CRDs that are deleted."""

from typing import Any

from .client import CRDS, MERGE, WIDGETS, Api, crd, widget

HELD: dict[str, Any] = {"finalizers": ["example.com/hold"]}
RELEASE = {"metadata": {"finalizers": None}}
NAMESPACES = "/api/v1/namespaces"


def owned_by(owner: dict[str, Any], **more: Any) -> dict[str, Any]:
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"]}
    named = {"name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
    return {"ownerReferences": [{**reference, **named, **more}]}


async def test_dependents_go_after_their_owner(widgets: Api) -> None:
    owner = await widgets.ok("POST", WIDGETS, widget("owner"))
    child = await widgets.ok("POST", WIDGETS, widget("child", **owned_by(owner)))
    await widgets.ok("POST", WIDGETS, widget("grandchild", **owned_by(child)))
    await widgets.ok("DELETE", f"{WIDGETS}/owner")
    await widgets.until_gone(f"{WIDGETS}/grandchild")
    assert (await widgets.call("GET", f"{WIDGETS}/child")).code == 404


async def test_a_dependent_with_another_owner_stays(widgets: Api) -> None:
    one = await widgets.ok("POST", WIDGETS, widget("one"))
    other = await widgets.ok("POST", WIDGETS, widget("other"))
    references = [*owned_by(one)["ownerReferences"], *owned_by(other)["ownerReferences"]]
    await widgets.ok("POST", WIDGETS, widget("child", ownerReferences=references))
    await widgets.ok("POST", WIDGETS, widget("last", **owned_by(one)))
    await widgets.ok("DELETE", f"{WIDGETS}/one")
    await widgets.until_gone(f"{WIDGETS}/last")
    child = await widgets.ok("GET", f"{WIDGETS}/child")
    assert child["metadata"]["ownerReferences"] == owned_by(other)["ownerReferences"]


async def test_what_names_an_owner_that_never_was_is_collected(widgets: Api) -> None:
    ghost = widget("ghost", uid="00000000-0000-0000-0000-000000000000")
    await widgets.ok("POST", WIDGETS, widget("child", **owned_by(ghost)))
    await widgets.until_gone(f"{WIDGETS}/child")


async def test_what_names_its_owner_wrongly_is_collected(widgets: Api) -> None:
    owner = await widgets.ok("POST", WIDGETS, widget("owner"))
    (reference,) = owned_by(owner)["ownerReferences"]
    await widgets.ok("POST", WIDGETS, widget("child", ownerReferences=[{**reference, "name": "another"}]))
    await widgets.until_gone(f"{WIDGETS}/child")


async def test_foreground_deletion_waits_for_the_dependents(widgets: Api) -> None:
    owner = await widgets.ok("POST", WIDGETS, widget("owner"))
    await widgets.ok("POST", WIDGETS, widget("child", **owned_by(owner, blockOwnerDeletion=True), **HELD))
    marked = await widgets.ok("DELETE", f"{WIDGETS}/owner", propagationPolicy="Foreground")
    assert marked["metadata"]["finalizers"] == ["foregroundDeletion"]
    while "deletionTimestamp" not in (await widgets.ok("GET", f"{WIDGETS}/child"))["metadata"]:
        pass
    assert (await widgets.call("GET", f"{WIDGETS}/owner")).code == 200
    await widgets.ok("PATCH", f"{WIDGETS}/child", RELEASE, MERGE)
    await widgets.until_gone(f"{WIDGETS}/owner")


async def test_orphaned_dependents_stay_without_their_owner(widgets: Api) -> None:
    owner = await widgets.ok("POST", WIDGETS, widget("owner"))
    await widgets.ok("POST", WIDGETS, widget("child", **owned_by(owner)))
    await widgets.ok("DELETE", f"{WIDGETS}/owner", propagationPolicy="Orphan")
    await widgets.until_gone(f"{WIDGETS}/owner")
    child = await widgets.ok("GET", f"{WIDGETS}/child")
    assert "ownerReferences" not in child["metadata"]


async def test_a_namespace_goes_once_it_is_empty(widgets: Api) -> None:
    await widgets.ok("POST", NAMESPACES, {"metadata": {"name": "team"}})
    path = WIDGETS.replace("default", "team")
    await widgets.ok("POST", path, widget("free"))
    await widgets.ok("POST", path, widget("held", **HELD))
    namespace = await widgets.ok("DELETE", f"{NAMESPACES}/team")
    assert namespace["status"]["phase"] == "Terminating"
    await widgets.until_gone(f"{path}/free")
    refused = await widgets.call("POST", path, widget("late"))
    assert (refused.code, refused.body["reason"]) == (403, "Forbidden")
    assert (await widgets.ok("GET", f"{NAMESPACES}/team"))["status"]["phase"] == "Terminating"
    await widgets.ok("PATCH", f"{path}/held", RELEASE, MERGE)
    await widgets.until_gone(f"{NAMESPACES}/team")


async def test_a_crd_goes_after_its_objects(widgets: Api) -> None:
    await widgets.ok("POST", WIDGETS, widget("held", **HELD))
    await widgets.ok("DELETE", f"{CRDS}/widgets.example.com")
    refused = await widgets.call("POST", WIDGETS, widget("late"))
    assert refused.code == 405
    await widgets.ok("PATCH", f"{WIDGETS}/held", RELEASE, MERGE)
    await widgets.until_gone(f"{CRDS}/widgets.example.com")
    assert (await widgets.call("GET", WIDGETS)).code == 404


async def test_a_changed_schema_holds_at_once_also_for_what_is_stored(widgets: Api) -> None:
    await widgets.ok("POST", WIDGETS, widget("w", {"size": 1, "old": True}))
    schema = {
        "type": "object",
        "properties": {"size": {"type": "integer"}, "color": {"type": "string", "default": "red"}},
    }
    stored = await widgets.ok("GET", f"{CRDS}/widgets.example.com")
    await widgets.ok("PUT", f"{CRDS}/widgets.example.com", {**stored, "spec": crd(schema)["spec"]})
    assert (await widgets.ok("GET", f"{WIDGETS}/w"))["spec"] == {"size": 1, "color": "red"}
    refused = await widgets.call("PATCH", f"{WIDGETS}/w", {"spec": {"size": "big"}}, MERGE)
    assert refused.code == 422


async def test_jobs_leave_their_pods_unless_told_otherwise(api: Api) -> None:
    jobs, pods = "/apis/batch/v1/namespaces/default/jobs", "/api/v1/namespaces/default/pods"
    spec = {"restartPolicy": "Never", "containers": [{"name": "c"}]}
    for name, query in (("kept", {}), ("gone", {"propagationPolicy": "Background"})):
        job = await api.ok("POST", jobs, {"metadata": {"name": name}, "spec": {"template": {"spec": spec}}})
        await api.ok("POST", pods, {"metadata": {"name": name, **owned_by(job)}, "spec": spec})
        await api.ok("DELETE", f"{jobs}/{name}", **query)
        await api.until_gone(f"{jobs}/{name}")
    await api.until_gone(f"{pods}/gone")
    assert (await api.call("GET", f"{pods}/kept")).code == 200
