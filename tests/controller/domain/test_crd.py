"""The CRD and the Python types say the same: field for field, with the same type and default."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
import pytest
import yaml

from controller.domain import names
from controller.domain.job import Job, JobSpec, JobStatus
from controller.domain.phases import Phase

CRD = yaml.safe_load((Path(__file__).parents[3] / "crds" / "jennahjob.yaml").read_text())
VERSION = CRD["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]["properties"]
IMMUTABLE = set(SCHEMA["spec"]["properties"]) - {"suspend", "cancel", "ttlSecondsAfterFinished"}


def test_names_are_those_of_the_code() -> None:
    assert (CRD["spec"]["group"], VERSION["name"]) == (names.GROUP, names.VERSION)
    assert CRD["spec"]["names"]["kind"] == names.KIND
    assert CRD["spec"]["names"]["plural"] == names.PLURAL
    assert CRD["metadata"]["name"] == f"{names.PLURAL}.{names.GROUP}"


def pairs(
    schema: Mapping[str, Any], kind: type[msgspec.Struct], path: str
) -> Iterator[tuple[str, Mapping[str, Any], Any]]:
    """Each field of the schema with the Python field of that name, through all levels. Fails where one is missing."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    assert set(fields) == set(schema["properties"]), path
    for name, sub in schema["properties"].items():
        field = fields[name]
        yield f"{path}.{name}", sub, field
        nested = struct_in(field.type)
        inner = sub.get("items", sub)
        if nested is not None:
            yield from pairs(inner, nested, f"{path}.{name}")


def struct_in(annotation: Any) -> type[msgspec.Struct] | None:
    """The struct inside Optional and tuple annotations."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation
    return next((found for a in get_args(annotation) if (found := struct_in(a)) is not None), None)


def scalar_in(annotation: Any) -> set[str]:
    """The JSON types of an annotation."""
    known = {str: "string", int: "integer", bool: "boolean", Phase: "string"}
    if annotation in known:
        return {known[annotation]}
    if getattr(annotation, "__name__", "") == "datetime":
        return {"string"}
    if get_origin(annotation) is tuple:
        return {"array"}
    if get_origin(annotation) is dict or struct_in(annotation) is annotation:
        return {"object"}
    if isinstance(annotation, str):
        return {"string"}  # a Literal's member
    return {t for a in get_args(annotation) if a is not type(None) for t in scalar_in(a)}


FIELDS = [*pairs(SCHEMA["spec"], JobSpec, "spec"), *pairs(SCHEMA["status"], JobStatus, "status")]


@pytest.mark.parametrize(("path", "schema", "field"), FIELDS, ids=[path for path, _, _ in FIELDS])
def test_types_and_defaults_agree(path: str, schema: Mapping[str, Any], field: Any) -> None:
    types = {"string", "integer"} if schema.get("x-kubernetes-int-or-string") else {schema["type"]}
    assert scalar_in(field.type) == types
    if "default" in schema:
        assert field.default == schema["default"]
    elif schema.get("type") != "array":
        assert field.default in (None, msgspec.NODEFAULT, 0)


def test_phases_are_those_of_the_code() -> None:
    assert SCHEMA["status"]["properties"]["phase"]["enum"] == [phase.value for phase in Phase]


@pytest.mark.parametrize("field", sorted(IMMUTABLE))
def test_each_field_but_three_is_immutable(field: str) -> None:
    rules = SCHEMA["spec"]["properties"][field].get("x-kubernetes-validations", [])
    assert any(rule["rule"] == "self == oldSelf" for rule in rules)
    optional = field not in SCHEMA["spec"]["required"] and "default" not in SCHEMA["spec"]["properties"][field]
    presence = SCHEMA["spec"]["x-kubernetes-validations"][0]["rule"]
    assert (f"has(self.{field}) == has(oldSelf.{field})" in " ".join(presence.split())) == optional


def test_everything_is_bounded_so_that_the_rules_cost_is_too() -> None:
    """The API server refuses a CRD whose rules could cost too much: unbounded lists, maps and strings make them."""

    def unbounded(schema: Mapping[str, Any], path: str) -> Iterator[str]:
        kind = schema.get("type")
        if kind == "string" and not schema.keys() & {"maxLength", "enum", "format"}:
            yield path
        if kind == "array" and "maxItems" not in schema:
            yield path
        if "additionalProperties" in schema and "maxProperties" not in schema:
            yield path
        for name, sub in schema.get("properties", {}).items():
            yield from unbounded(sub, f"{path}.{name}")
        for key in ("items", "additionalProperties"):
            if isinstance(schema.get(key), dict):
                yield from unbounded(schema[key], f"{path}[]")

    assert list(unbounded(SCHEMA["spec"], "spec")) == []


def test_a_resource_survives_the_way_in_and_out() -> None:
    from controller.domain.job import parse, spec_to_wire, status_to_wire

    spec = {"image": "i", "bootDiskGiB": 20, "env": [{"name": "A", "value": "1"}], "aws": {"ephemeralStorageGiB": 30}}
    status = {"phase": "Running", "startedAt": "2026-01-01T00:00:00Z", "tasks": {"total": 2, "running": 2}}
    job = parse({"metadata": {"name": "j", "uid": "u"}, "spec": spec, "status": status})
    assert isinstance(job, Job)
    assert json.loads(json.dumps(spec_to_wire(job.spec))) == spec
    assert json.loads(json.dumps(status_to_wire(job.status))) == status
