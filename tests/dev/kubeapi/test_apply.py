"""Server-side apply: merging by key, letting go of fields, conflicts between managers."""

from typing import Any

import pytest

from .client import APPLY, MERGE, WIDGETS, Api, crd, widget

ENV_ITEM = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
}
SCHEMA = {
    "type": "object",
    "properties": {
        "image": {"type": "string"},
        "size": {"type": "integer"},
        "tags": {"type": "object", "additionalProperties": {"type": "string"}},
        "env": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": ENV_ITEM,
        },
    },
}


@pytest.fixture
async def typed(api: Api) -> Api:
    await api.define(crd(SCHEMA))
    return api


async def apply(api: Api, spec: dict[str, Any], manager: str = "one", **query: str) -> Any:
    return await api.ok("PATCH", f"{WIDGETS}/w", widget("w", spec), APPLY, fieldManager=manager, **query)


async def test_a_field_that_is_no_longer_applied_goes(typed: Api) -> None:
    await apply(typed, {"image": "i", "size": 1, "tags": {"a": "1", "b": "2"}})
    applied = await apply(typed, {"image": "i", "tags": {"b": "2"}})
    assert applied["spec"] == {"image": "i", "tags": {"b": "2"}}


async def test_list_items_go_with_their_manager_only(typed: Api) -> None:
    await apply(typed, {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]})
    await apply(typed, {"env": [{"name": "C", "value": "3"}]}, "two")
    applied = await apply(typed, {"env": [{"name": "B", "value": "2"}]})
    assert {item["name"] for item in applied["spec"]["env"]} == {"B", "C"}
    applied = await apply(typed, {})
    assert applied["spec"] == {"env": [{"name": "C", "value": "3"}]}


async def test_a_field_that_another_manager_wants_too_stays(typed: Api) -> None:
    await apply(typed, {"image": "i", "size": 1})
    await apply(typed, {"size": 1}, "two")
    assert (await apply(typed, {"image": "i"}))["spec"] == {"image": "i", "size": 1}


async def test_another_value_is_a_conflict_unless_forced(typed: Api) -> None:
    await apply(typed, {"size": 1})
    reply = await typed.call("PATCH", f"{WIDGETS}/w", widget("w", {"size": 2}), APPLY, fieldManager="two")
    assert (reply.code, reply.body["reason"]) == (409, "Conflict")
    assert reply.body["details"]["causes"][0]["field"] == ".spec.size"
    assert (await apply(typed, {"size": 2}, "two", force="true"))["spec"] == {"size": 2}
    assert (await apply(typed, {}))["spec"] == {"size": 2}, "the first manager has lost the field"


async def test_applying_the_same_again_changes_nothing(typed: Api) -> None:
    first = await apply(typed, {"image": "i", "env": [{"name": "A", "value": "1"}]})
    assert await apply(typed, {"image": "i", "env": [{"name": "A", "value": "1"}]}) == first


async def test_an_update_takes_the_field_from_its_applier(typed: Api) -> None:
    await apply(typed, {"size": 1})
    await typed.ok("PATCH", f"{WIDGETS}/w", {"spec": {"size": 2}}, MERGE)
    assert (await apply(typed, {}))["spec"] == {"size": 2}


async def test_status_is_applied_apart(typed: Api) -> None:
    await apply(typed, {"image": "i"})
    config = {**widget("w"), "status": {"phase": "Running"}}
    applied = await typed.ok("PATCH", f"{WIDGETS}/w/status", config, APPLY, fieldManager="controller")
    assert applied["status"] == {"phase": "Running"}
    assert applied["spec"] == {"image": "i"}
    assert (await apply(typed, {"image": "i"}))["status"] == {"phase": "Running"}


async def test_apply_needs_a_manager(typed: Api) -> None:
    assert (await typed.call("PATCH", f"{WIDGETS}/w", widget("w"), APPLY)).code == 400
