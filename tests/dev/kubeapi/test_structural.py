"""CRDs that kube-apiserver refuses: schemas that are not structural, rules and paths that name what is not there."""

from typing import Any

import pytest

from .client import CRDS, Api, crd

TEXT = {"type": "string"}
ROOT = "spec.versions[0].schema.openAPIV3Schema.properties[spec]"


def spec(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def listed(keys: list[str] | None = None, kind: str | None = "map", **items: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "array", "items": items or spec(name=TEXT)}
    if kind:
        found["x-kubernetes-list-type"] = kind
    return found | ({"x-kubernetes-list-map-keys": keys} if keys else {})


def ruled(schema: dict[str, Any], rule: str) -> dict[str, Any]:
    return {**schema, "x-kubernetes-validations": [{"rule": rule}]}


WRONG = {
    "no type": (spec(a={}), "properties[a].type"),
    "unknown type": (spec(a={"type": "text"}), "properties[a].type"),
    "type beside int-or-string": (spec(a={"type": "string", "x-kubernetes-int-or-string": True}), "properties[a].type"),
    "no items": (spec(a={"type": "array"}), "properties[a].items"),
    "unique items": (spec(a={"type": "array", "items": TEXT, "uniqueItems": True}), "properties[a].uniqueItems"),
    "fields and values": (spec(a={**spec(b=TEXT), "additionalProperties": TEXT}), "properties[a].additionalProperties"),
    "no values": (spec(a={"type": "object", "additionalProperties": False}), "properties[a].additionalProperties"),
    "reference": (spec(a={**TEXT, "$ref": "#/b"}), "properties[a].$ref"),
    "type below anyOf": (spec(a={**TEXT, "anyOf": [TEXT]}), "properties[a].anyOf[0].type"),
    "default below not": (spec(a={**TEXT, "not": {"default": "b"}}), "properties[a].not.default"),
    "unknown list type": (spec(a=listed(kind="bag")), "properties[a].x-kubernetes-list-type"),
    "map without keys": (spec(a=listed()), "properties[a].x-kubernetes-list-map-keys"),
    "keys without map": (spec(a=listed(["name"], kind="set")), "properties[a].x-kubernetes-list-map-keys"),
    "key that may be absent": (spec(a=listed(["name"])), "properties[a].items.properties[name].default"),
    "key that is no field": (spec(a=listed(["id"])), "properties[a].items.properties[id].type"),
    "empty rule": (ruled(spec(a=TEXT), " "), "x-kubernetes-validations[0].rule"),
    "rule of an unknown field": (ruled(spec(a=TEXT), "self.b == 'x'"), "x-kubernetes-validations[0].rule"),
    "rule of a field below": (ruled(spec(a=spec(b=TEXT)), "has(self.a.c)"), "x-kubernetes-validations[0].rule"),
    "old value in an atomic list": (
        spec(a=listed(kind=None, **ruled(spec(name=TEXT), "self.name == oldSelf.name"))),
        "properties[a].items.x-kubernetes-validations[0].rule",
    ),
}


@pytest.mark.parametrize(("schema", "field"), WRONG.values(), ids=WRONG.keys())
async def test_a_schema_that_is_not_structural_is_refused(api: Api, schema: dict[str, Any], field: str) -> None:
    reply = await api.call("POST", CRDS, crd(schema))
    assert (reply.code, [cause["field"] for cause in reply.body["details"]["causes"]]) == (422, [f"{ROOT}.{field}"])


async def test_what_a_structural_schema_may_have(api: Api) -> None:
    items = ruled({**spec(name=TEXT), "required": ["name"]}, "self.name == oldSelf.name")
    schema = spec(
        a={"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, TEXT]},
        b={"x-kubernetes-preserve-unknown-fields": True},
        c=listed(["name"], **items),
        d={"type": "object", "additionalProperties": ruled(TEXT, "self.startsWith('x')")},
        e={**TEXT, "anyOf": [{"maxLength": 1}, {"pattern": "^x"}]},
    )
    rule = "self.c.all(x, x.name.size() > 1) && has(self.d.anything) && self.a == 1"
    await api.ok("POST", CRDS, crd(ruled(schema, rule)), dryRun="All")


@pytest.mark.parametrize(
    "path", [".spec.b", ".spec.c", "spec.a", ".metadata.name", ".spec.list", ""], ids=lambda path: path or "none"
)
async def test_what_objects_cannot_be_selected_by(api: Api, path: str) -> None:
    body = crd(spec(a=TEXT, c=spec(d=TEXT), list=listed(kind=None)), selectableFields=[{"jsonPath": path}])
    reply = await api.call("POST", CRDS, body)
    assert reply.code == 422
    assert reply.body["details"]["causes"][0]["field"] == "spec.versions[0].selectableFields[0].jsonPath"


async def test_at_most_eight_fields_select_and_columns_have_known_types(api: Api) -> None:
    fields = {f"f{n}": TEXT for n in range(9)}
    body = crd(spec(**fields), selectableFields=[{"jsonPath": f".spec.{name}"} for name in fields])
    assert "must have at most 8 items" in (await api.call("POST", CRDS, body)).body["message"]
    column = {"name": "A", "type": "text", "jsonPath": ".spec.f0"}
    reply = await api.call("POST", CRDS, crd(spec(**fields), additionalPrinterColumns=[column]))
    assert 'Unsupported value: "text"' in reply.body["message"]
