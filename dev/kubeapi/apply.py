"""Server-side apply: merge what a manager wants, remove what it no longer wants, record what it owns.

Only Apply operations are recorded in managedFields. An update that changes a field takes the field from
the appliers that owned it, but is not itself recorded; so applying never conflicts with plain updates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import fieldsets, merge_keys
from .encoding import JsonObject
from .fieldsets import MISSING, Path
from .metadata import now
from .schema import Node


@dataclass(frozen=True)
class Request:
    manager: str
    force: bool
    subresource: str
    api_version: str


@dataclass(frozen=True)
class Conflict:
    manager: str
    path: Path

    @property
    def field(self) -> str:
        return "".join(f".{e[2:]}" if e.startswith("f:") else f"[{e[2:]}]" for e in self.path)


class FieldConflicts(Exception):
    """Another manager owns these fields and wants other values."""

    def __init__(self, conflicts: Sequence[Conflict]) -> None:
        shown = "\n".join(f'conflict with "{c.manager}": {c.field}' for c in conflicts)
        noun = "conflict" if len(conflicts) == 1 else "conflicts"
        super().__init__(f"Apply failed with {len(conflicts)} {noun}: {shown}")
        self.conflicts = conflicts

    def causes(self) -> list[JsonObject]:
        return [
            {
                "reason": "FieldManagerConflict",
                "message": f'conflict with "{c.manager}"',
                "field": c.field,
            }
            for c in self.conflicts
        ]


def own_everything(config: JsonObject, node: Node | None, manager: str, api_version: str) -> None:
    """Record, in place, that a new object comes from `manager`."""
    paths = fieldsets.paths_of(_without(config, "status"), node)
    config["metadata"]["managedFields"] = [_entry(Request(manager, False, "", api_version), paths)]


def merge(live: JsonObject, config: JsonObject, node: Node | None, request: Request) -> JsonObject:
    """Apply `config` to `live`, in place; FieldConflicts where others own fields and force is off."""
    wanted = _only(config, "status") if request.subresource else _without(config, "status")
    paths = fieldsets.paths_of(wanted, node)
    entries: list[JsonObject] = live["metadata"].get("managedFields", [])
    mine = next((entry for entry in entries if _is_of(entry, request)), None)
    others = {
        index: fieldsets.from_fields(entry.get("fieldsV1", {}))
        for index, entry in enumerate(entries)
        if entry is not mine
    }
    conflicts = [
        Conflict(entries[index]["manager"], path)
        for index, owned in others.items()
        for path in sorted(paths & owned)
        if _differs(live, wanted, path)
    ]
    if conflicts and not request.force:
        raise FieldConflicts(conflicts)
    lost = {conflict.path for conflict in conflicts}
    _merge_object(live, wanted, node)
    before = fieldsets.from_fields(mine["fieldsV1"]) if mine else set()
    owned_by_others = set().union(*others.values())
    # Deepest first: an item goes when nothing of it is wanted any more.
    for path in sorted(before - paths - owned_by_others, key=len, reverse=True):
        if not any(path == other[: len(path)] for other in paths | owned_by_others):
            fieldsets.remove(live, path)
    kept = [_minus(entry, others[index], lost) for index, entry in enumerate(entries) if entry is not mine]
    # The entry stays as it is, time and all, where nothing changes: applying again is then a no-op.
    recorded = mine if mine is not None and before == paths else _entry(request, paths)
    _set_entries(live, [*filter(None, kept), recorded])
    return live


def keep_owners(before: JsonObject, obj: JsonObject) -> None:
    """After a plain update: appliers keep, in place, the fields that did not change."""
    entries = before["metadata"].get("managedFields", [])
    kept = []
    for entry in entries:
        paths = fieldsets.from_fields(entry.get("fieldsV1", {}))
        kept.append(_minus(entry, paths, {path for path in paths if _differs(before, obj, path)}))
    _set_entries(obj, [entry for entry in kept if entry is not None])


def _set_entries(obj: JsonObject, entries: list[JsonObject]) -> None:
    if entries:
        obj["metadata"]["managedFields"] = entries
    else:
        obj["metadata"].pop("managedFields", None)


def _minus(entry: JsonObject, owned: set[Path], lost: set[Path]) -> JsonObject | None:
    if not owned & lost:
        return entry
    rest = owned - lost
    return {**entry, "fieldsV1": fieldsets.to_fields(rest)} if rest else None


def _differs(first: JsonObject, second: JsonObject, path: Path) -> bool:
    one, other = fieldsets.get(first, path), fieldsets.get(second, path)
    if one is MISSING or other is MISSING:
        return one is not other
    # That an item is there is agreed; what is in it is owned field by field.
    return path[-1].startswith("f:") and bool(one != other)


def _is_of(entry: JsonObject, request: Request) -> bool:
    return (
        entry.get("manager") == request.manager
        and entry.get("operation") == "Apply"
        and entry.get("subresource", "") == request.subresource
    )


def _entry(request: Request, paths: set[Path]) -> JsonObject:
    entry = {
        "manager": request.manager,
        "operation": "Apply",
        "apiVersion": request.api_version,
        "time": now(),
        "fieldsType": "FieldsV1",
        "fieldsV1": fieldsets.to_fields(paths),
    }
    return {**entry, "subresource": request.subresource} if request.subresource else entry


def _only(obj: JsonObject, field: str) -> JsonObject:
    return {name: value for name, value in obj.items() if name == field}


def _without(obj: JsonObject, field: str) -> JsonObject:
    return {name: value for name, value in obj.items() if name != field}


def _merge_object(live: JsonObject, wanted: JsonObject, node: Node | None) -> None:
    for name, value in wanted.items():
        if name == "metadata":
            live[name] = _merge(None, name, live[name], value)
        else:
            live[name] = _merge(merge_keys.child(node, name), name, live.get(name), value)


def _merge(node: Node | None, name: str, live: Any, wanted: Any) -> Any:
    if isinstance(live, dict) and isinstance(wanted, dict) and not (node and node.is_atomic_map):
        for field, value in wanted.items():
            live[field] = _merge(merge_keys.child(node, field), field, live.get(field), value)
        return live
    if isinstance(live, list) and isinstance(wanted, list):
        if keys := merge_keys.keys_of_list(node, name, [*live, *wanted]):
            return _merge_items(node, keys, live, wanted)
        if merge_keys.is_set(node, name):
            return [*live, *(item for item in wanted if item not in live)]
    return wanted


def _merge_items(node: Node | None, keys: tuple[str, ...], live: list[Any], wanted: list[Any]) -> list[Any]:
    at = {merge_keys.item_key(node, keys, item): index for index, item in enumerate(live)}
    merged = list(live)
    for item in wanted:
        index = at.get(merge_keys.item_key(node, keys, item))
        if index is None:
            merged.append(item)
        else:
            merged[index] = _merge(node.items if node else None, "", merged[index], item)
    return merged
