"""Sets of field paths: who owns which fields, in memory and as metadata.managedFields writes it.

A path is a tuple of the elements of FieldsV1: f:name for a field, k:{...} for an item of a map list,
v:... for an item of a set. A path that ends with an item stands for the item being there at all.
"""

import json
from collections.abc import Iterable
from typing import Any

from . import merge_keys
from .encoding import JsonObject, encode
from .schema import Node

Path = tuple[str, ...]

MISSING = object()
_METADATA_FIELDS = ("labels", "annotations", "finalizers", "ownerReferences")


def paths_of(obj: JsonObject, node: Node | None) -> set[Path]:
    """The paths of everything in `obj` that a manager can own."""
    found: set[Path] = set()
    for name, value in obj.items():
        if name == "metadata":
            for field in _METADATA_FIELDS:
                if field in value:
                    _collect(None, field, value[field], ("f:metadata", f"f:{field}"), found)
        elif name not in ("apiVersion", "kind"):
            _collect(merge_keys.child(node, name), name, value, (f"f:{name}",), found)
    return found


def _collect(node: Node | None, name: str, value: Any, path: Path, found: set[Path]) -> None:
    if isinstance(value, dict) and value and not (node and node.is_atomic_map):
        for field, child_value in value.items():
            _collect(merge_keys.child(node, field), field, child_value, (*path, f"f:{field}"), found)
    elif isinstance(value, list) and (keys := merge_keys.keys_of_list(node, name, value)):
        for item in value:
            item_path = (*path, f"k:{merge_keys.item_key(node, keys, item)}")
            found.add(item_path)
            _collect(node.items if node else None, "", item, item_path, found)
    elif isinstance(value, list) and merge_keys.is_set(node, name):
        found.update((*path, f"v:{encode(item).decode()}") for item in value)
    else:
        found.add(path)


def get(obj: Any, path: Path) -> Any:
    """The value at `path`, or MISSING."""
    for element in path:
        obj = _step(obj, element)
        if obj is MISSING:
            break
    return obj


def remove(obj: Any, path: Path) -> None:
    """Remove what is at `path`, and every container that is empty then."""
    parent = get(obj, path[:-1])
    if parent is MISSING:
        return
    found = _step(parent, path[-1])
    if found is MISSING:
        return
    if isinstance(parent, dict):
        del parent[path[-1][2:]]
    else:
        parent.remove(found)
    if not parent and len(path) > 2:
        remove(obj, path[:-1])


def _step(value: Any, element: str) -> Any:
    kind, name = element[:2], element[2:]
    if kind == "f:":
        return value.get(name, MISSING) if isinstance(value, dict) else MISSING
    if not isinstance(value, list):
        return MISSING
    wanted = json.loads(name)
    if kind == "v:":
        return wanted if wanted in value else MISSING
    return next((item for item in value if _has_key(item, wanted)), MISSING)


def _has_key(item: Any, wanted: JsonObject) -> bool:
    # A key that the item lacks has a default, which then is what the path names.
    return isinstance(item, dict) and all(item.get(name, value) == value for name, value in wanted.items())


def to_fields(paths: Iterable[Path]) -> JsonObject:
    """FieldsV1: nested objects, with "." for an item that is owned itself."""
    root: JsonObject = {}
    for path in sorted(paths):
        level = root
        for element in path:
            level = level.setdefault(element, {})
        if path[-1].startswith("k:"):
            level["."] = {}
    return root


def from_fields(fields: JsonObject, path: Path = ()) -> set[Path]:
    found: set[Path] = set()
    for element, below in fields.items():
        if element == ".":
            found.add(path)
        elif below:
            found |= from_fields(below, (*path, element))
        else:
            found.add((*path, element))
    return found
