"""The types of built-in kinds: their fields, read from the models of the `kubernetes` client as they are needed.

The client's models are generated from Kubernetes' OpenAPI document. They lack what is not in their types: which
strings are quantities (the list below), and lists' merge keys (merge_keys.py).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from .encoding import JsonObject
from .resources import Resource

_QUANTITIES = {
    *("limits", "requests", "hard", "used", "capacity", "allocatable", "allocatedResources"),
    *("default", "defaultRequest", "max", "min", "maxLimitRequestRatio"),
    *("sizeLimit", "divisor", "averageValue", "value", "overhead"),
}
_QUANTITY_OWNERS = re.compile(r"Resource|Limit|Quota|Metric|EmptyDir|Node|PersistentVolume|Container|Pod")
_SCALARS = {"str": "string", "bytes": "bytes", "int": "integer", "bool": "boolean", "float": "number"}
_SCALARS["datetime"] = "time"
_EVENTS = {"": "CoreV1Event", "events.k8s.io": "EventsV1Event"}


@dataclass(frozen=True, kw_only=True)
class Type:
    kind: str
    """string, bytes, integer, boolean, number, time, quantity, int-or-string, any, list, map or struct."""
    items: "Type | None" = None
    """Of lists and maps."""
    model: str = ""
    """Of structs: the name of the client's model."""


@dataclass(frozen=True, kw_only=True)
class Field:
    type: Type
    is_required: bool
    description: str


@lru_cache(maxsize=1)
def _models() -> Any:
    # A fifth of a second, which only who writes built-in kinds pays.
    from kubernetes.client import models

    return models


def model_of(resource: Resource) -> str:
    """The model's name; empty where the client has none."""
    name = f"{resource.version[0].upper()}{resource.version[1:]}{resource.kind}"
    if resource.kind == "Event":
        name = _EVENTS.get(resource.group, name)
    return name if hasattr(_models(), name) else ""


@cache
def fields_of(model: str) -> Mapping[str, Field]:
    """The fields of a struct, by their names in JSON."""
    cls = getattr(_models(), model)
    fields = {}
    for attribute, text in cls.openapi_types.items():
        name = cls.attribute_map[attribute]
        info = cls.model_fields.get(attribute) or cls.model_fields[f"var_{attribute.lstrip('_')}"]
        found = _parse(text, model, name)
        if found.kind == "any" and re.search(r"\bint\b.*\bstr\b", str(info.annotation)):
            found = Type(kind="int-or-string")
        fields[name] = Field(type=found, is_required=info.is_required(), description=info.description or "")
    return fields


def description_of(model: str) -> str:
    text, _, _ = (getattr(_models(), model).__doc__ or "").partition("Attributes:")
    return text.strip()


def _parse(text: str, model: str, name: str) -> Type:
    if match := re.fullmatch(r"List\[(.+)\]", text):
        return Type(kind="list", items=_parse(match[1], model, ""))
    if match := re.fullmatch(r"Dict\[str, (.+)\]", text):
        return Type(kind="map", items=_parse(match[1], model, name))
    if text == "str" and name in _QUANTITIES and _QUANTITY_OWNERS.search(model):
        return Type(kind="quantity")
    if text in _SCALARS:
        return Type(kind=_SCALARS[text])
    return Type(kind="any") if text == "object" else Type(kind="struct", model=text)


def openapi(model: str, schemas: JsonObject) -> None:
    """Add the schema of a model, and of all that it refers to, to `schemas`."""
    if model in schemas:
        return
    properties: JsonObject = {}
    schemas[model] = {"type": "object", "description": description_of(model), "properties": properties}
    for name, field in fields_of(model).items():
        schema = _schema(field.type, schemas)
        # A reference takes nothing beside it but in allOf.
        described = {"allOf": [schema]} if "$ref" in schema else schema
        properties[name] = {**described, "description": field.description}
    required = [name for name, field in fields_of(model).items() if field.is_required]
    if required:
        schemas[model]["required"] = required


def _schema(found: Type, schemas: JsonObject) -> JsonObject:
    match found.kind:
        case "struct":
            openapi(found.model, schemas)
            return {"$ref": f"#/components/schemas/{found.model}"}
        case "list":
            return {"type": "array", "items": _schema(found.items, schemas) if found.items else {}}
        case "map":
            return {"type": "object", "additionalProperties": _schema(found.items, schemas) if found.items else {}}
        case "time":
            return {"type": "string", "format": "date-time"}
        case "bytes":
            return {"type": "string", "format": "byte"}
        case "int-or-string":
            return {"type": "string", "format": "int-or-string"}
        case "quantity":
            return {"type": "string"}
        case "any":
            return {}
    return {"type": found.kind}
