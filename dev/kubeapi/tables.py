"""Tables (meta.k8s.io/v1), which kubectl get prints."""

from collections.abc import Mapping
from typing import Any

from . import columns
from .columns import Column
from .encoding import JsonObject
from .objects import Stored
from .resources import Resource

META_VERSION = "meta.k8s.io/v1"


def column_definitions(resource: Resource) -> list[JsonObject]:
    return [_definition(column) for column in (columns.NAME, *resource.columns)]


def _definition(column: Column) -> JsonObject:
    return {
        "name": column.name,
        "type": column.type,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    }


def row(resource: Resource, stored: Stored, included: str) -> JsonObject:
    """One object's row; `included` (Metadata, Object or None) says what of the object goes with it."""
    obj = stored.load()
    cells = [column.value(obj) for column in (columns.NAME, *resource.columns)]
    match included:
        case "Object":
            return {"cells": cells, "object": obj}
        case "None":
            return {"cells": cells}
        case _:
            return {"cells": cells, "object": partial(stored.metadata)}


def partial(metadata: Mapping[str, Any]) -> JsonObject:
    return {"kind": "PartialObjectMetadata", "apiVersion": META_VERSION, "metadata": dict(metadata)}


def table(definitions: list[JsonObject], rows: list[JsonObject], metadata: JsonObject) -> JsonObject:
    return {
        "kind": "Table",
        "apiVersion": META_VERSION,
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": rows,
    }
