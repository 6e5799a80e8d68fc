"""Field validation, rules at any depth, defaults and nulls, and what ratcheting forgives."""

from typing import Any

import pytest

from .client import CRDS, MERGE, WIDGETS, Api, Reply, crd, widget

STRING = {"type": "string"}
RANGE = {
    "type": "object",
    "properties": {"low": {"type": "integer"}, "high": {"type": "integer"}},
    "x-kubernetes-validations": [
        {
            "rule": "self.low <= self.high",
            "messageExpression": "'low ' + string(self.low) + ' is above ' + string(self.high)",
            "fieldPath": ".low",
        }
    ],
}
SCHEMA = {
    "type": "object",
    "required": ["image"],
    "properties": {
        "image": {
            **STRING,
            "minLength": 1,
            "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "fixed"}],
        },
        "count": {"type": "integer", "default": 3, "maximum": 10},
        "note": {**STRING, "nullable": True},
        "mode": {"type": "object", "default": {}, "properties": {"fast": {"type": "boolean", "default": True}}},
        "ranges": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {**RANGE, "required": ["name"], "properties": {**RANGE["properties"], "name": STRING}},  # type: ignore[dict-item]
        },
        "limits": {"type": "object", "additionalProperties": RANGE},
        "steps": {
            "type": "object",
            "properties": {"done": {"type": "integer"}},
            "x-kubernetes-validations": [
                {"rule": "self.done >= oldSelf.done", "message": "steps are not undone"},
                {"rule": "oldSelf.hasValue() || self.done == 0", "optionalOldSelf": True, "message": "start at 0"},
            ],
        },
        "when": {**STRING, "format": "date-time"},
        "code": {"type": "integer", "format": "int32"},
    },
}


@pytest.fixture
async def typed(api: Api) -> Api:
    await api.define(crd(SCHEMA))
    return api


def causes(reply: Reply) -> list[tuple[str, str]]:
    assert reply.code == 422, reply.body
    return [(cause["field"], cause["message"]) for cause in reply.body["details"]["causes"]]


async def create(api: Api, spec: dict[str, Any], **query: str) -> Reply:
    return await api.call("POST", WIDGETS, widget("w", {"image": "i", **spec}), **query)


async def test_strict_refuses_unknown_fields_and_warn_names_them(typed: Api) -> None:
    refused = await create(typed, {"bogus": 1, "mode": {"slow": True}}, fieldValidation="Strict")
    assert refused.code == 400
    assert 'unknown field "spec.bogus", unknown field "spec.mode.slow"' in refused.body["message"]
    warned = await create(typed, {"bogus": 1}, fieldValidation="Warn")
    assert warned.code == 201
    assert warned.warnings == ['299 - "unknown field \\"spec.bogus\\""']
    ignored = await typed.call("PATCH", f"{WIDGETS}/w", {"spec": {"bogus": 1}}, MERGE, fieldValidation="Ignore")
    assert (ignored.code, ignored.warnings) == (200, [])


async def test_defaults_and_nulls(typed: Api) -> None:
    created = (await create(typed, {"count": None, "note": None})).body
    assert created["spec"] == {"image": "i", "count": 3, "note": None, "mode": {"fast": True}}


async def test_the_message_of_an_invalid_object_reads_as_kubernetes_writes_it(typed: Api) -> None:
    reply = await typed.call("POST", WIDGETS, widget("w", {"count": 11}))
    assert reply.body["message"].startswith(
        'Widget.example.com "w" is invalid: [spec.image: Required value, '
        "spec.count: Invalid value: 11: spec.count in body should be less than or equal to 10"
    )
    assert ("spec.image", "Required value") in causes(reply)


async def test_formats_are_checked(typed: Api) -> None:
    assert causes(await create(typed, {"when": "tomorrow"}))[0][0] == "spec.when"
    assert causes(await create(typed, {"code": 2**31}))[0][0] == "spec.code"
    assert (await create(typed, {"when": "2026-01-01T00:00:00Z", "code": -(2**31)})).code == 201


async def test_rules_hold_in_list_items_and_in_map_values(typed: Api) -> None:
    wrong = {"low": 2, "high": 1}
    reply = await create(typed, {"ranges": [{"name": "a", "low": 1, "high": 2}, {"name": "b", **wrong}]})
    assert causes(reply)[0][0] == "spec.ranges[1].low"
    assert "low 2 is above 1" in reply.body["message"]
    reply = await create(typed, {"limits": {"x": wrong}})
    assert causes(reply)[0][0] == "spec.limits.x.low"


async def test_map_lists_refuse_the_same_key_twice(typed: Api) -> None:
    item = {"name": "a", "low": 1, "high": 1}
    reply = await create(typed, {"ranges": [item, item]})
    assert causes(reply) == [("spec.ranges[1]", 'Duplicate value: {"name":"a"}')]


async def test_transition_rules_need_an_old_value(typed: Api) -> None:
    assert causes(await create(typed, {"steps": {"done": 4}}))[0][1].endswith("start at 0")
    assert (await create(typed, {})).code == 201
    path = f"{WIDGETS}/w"
    reply = await typed.call("PATCH", path, {"spec": {"steps": {"done": 2}}}, MERGE)
    assert causes(reply) == [("spec.steps", 'Invalid value: "object": start at 0')]
    assert (await typed.call("PATCH", path, {"spec": {"steps": {"done": 0}}}, MERGE)).code == 200
    assert (await typed.call("PATCH", path, {"spec": {"steps": {"done": 2}}}, MERGE)).code == 200
    reply = await typed.call("PATCH", path, {"spec": {"steps": {"done": 1}, "image": "other"}}, MERGE)
    assert {message.split(": ")[-1] for _, message in causes(reply)} == {"steps are not undone", "fixed"}


async def test_what_was_wrong_before_does_not_stop_other_changes(api: Api) -> None:
    await api.define(crd({"type": "object", "x-kubernetes-preserve-unknown-fields": True}))
    await api.ok("POST", WIDGETS, widget("w", {"image": "i", "count": 99}))
    stored = await api.ok("GET", f"{CRDS}/widgets.example.com")
    await api.ok("PUT", f"{CRDS}/widgets.example.com", {**stored, "spec": crd(SCHEMA)["spec"]})
    assert (await api.call("PATCH", f"{WIDGETS}/w", {"metadata": {"labels": {"a": "b"}}}, MERGE)).code == 200
    assert (await api.call("PATCH", f"{WIDGETS}/w", {"spec": {"note": "n"}}, MERGE)).code == 200
    assert (await api.call("PATCH", f"{WIDGETS}/w", {"spec": {"count": 98}}, MERGE)).code == 422


@pytest.mark.parametrize("rule", ["self.(", "self.?a.orValue(1) == 1"])
async def test_a_crd_with_a_broken_rule_is_refused(api: Api, rule: str) -> None:
    reply = await api.call("POST", CRDS, crd({"type": "object", "x-kubernetes-validations": [{"rule": rule}]}))
    assert (reply.code, reply.body["reason"]) == (422, "Invalid")
    assert "compilation failed" in reply.body["message"]
