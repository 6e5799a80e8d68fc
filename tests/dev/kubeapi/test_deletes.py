"""Preconditions, dry runs, and what the metadata of a write may say."""

from typing import Any

import pytest

from .client import MERGE, WIDGETS, Api, widget


async def test_preconditions_guard_a_deletion(widgets: Api) -> None:
    stored = (await widgets.ok("POST", WIDGETS, widget("w")))["metadata"]
    for wrong in ({"uid": "other"}, {"resourceVersion": "1"}):
        reply = await widgets.call("DELETE", f"{WIDGETS}/w", {"preconditions": wrong})
        assert (reply.code, reply.body["reason"]) == (409, "Conflict")
        assert "in the precondition" in reply.body["message"]
    right = {"uid": stored["uid"], "resourceVersion": stored["resourceVersion"]}
    done = await widgets.ok("DELETE", f"{WIDGETS}/w", {"preconditions": right})
    assert done["details"]["uid"] == stored["uid"]


async def test_a_dry_run_deletes_and_changes_nothing(widgets: Api) -> None:
    stored = await widgets.ok("POST", WIDGETS, widget("w", {"size": 1}))
    await widgets.ok("DELETE", f"{WIDGETS}/w", dryRun="All")
    changed = await widgets.ok("PATCH", f"{WIDGETS}/w", {"spec": {"size": 2}}, MERGE, dryRun="All")
    assert changed["spec"] == {"size": 2}
    assert await widgets.ok("GET", f"{WIDGETS}/w") == stored


async def test_the_server_sets_what_clients_cannot(widgets: Api) -> None:
    mine: dict[str, Any] = {
        "generation": 7,
        "creationTimestamp": "2001-01-01T00:00:00Z",
        "deletionTimestamp": "2001-01-01T00:00:00Z",
    }
    created = (await widgets.ok("POST", WIDGETS, widget("w", **mine)))["metadata"]
    assert created["generation"] == 1
    assert created["creationTimestamp"] > "2020"
    assert "deletionTimestamp" not in created
    patched = await widgets.ok("PATCH", f"{WIDGETS}/w", {"metadata": mine}, MERGE)
    assert patched["metadata"] == created


async def test_the_name_in_the_body_is_that_of_the_path(widgets: Api) -> None:
    created = await widgets.ok("POST", WIDGETS, widget("w"))
    created["metadata"]["name"] = "other"
    assert (await widgets.call("PUT", f"{WIDGETS}/w", created)).code == 400


@pytest.mark.parametrize(
    "metadata",
    [{"labels": {"a": 1}}, {"annotations": []}, {"finalizers": "x"}, {"name": 5}],
)
async def test_metadata_of_the_wrong_type_is_a_bad_request(widgets: Api, metadata: dict[str, object]) -> None:
    reply = await widgets.call("POST", WIDGETS, {**widget("w"), "metadata": {"name": "w", **metadata}})
    assert (reply.code, reply.body["reason"]) == (400, "BadRequest")


async def test_broken_owner_references_are_refused(widgets: Api) -> None:
    reply = await widgets.call("POST", WIDGETS, widget("w", ownerReferences=[{"name": "x"}]))
    assert reply.code == 422
    assert "metadata.ownerReferences[0].uid" in {c["field"] for c in reply.body["details"]["causes"]}


async def test_a_namespace_cannot_be_deleted_twice_over(api: Api) -> None:
    await api.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
    await api.ok("DELETE", "/api/v1/namespaces/n")
    await api.until_gone("/api/v1/namespaces/n")
    assert (await api.call("DELETE", "/api/v1/namespaces/n")).code == 404
