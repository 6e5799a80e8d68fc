"""The structural schema of a CRD: read once into nodes, then used to prune and default objects.

What the values may be is in validation.py, the x-kubernetes-validations are in rules.py.
"""

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .encoding import JsonObject, encode
from .rules import Rule, compile_rules

_EMBEDDED_FIELDS = ("apiVersion", "kind", "metadata")


@dataclass(frozen=True, kw_only=True)
class Node:
    """One level of the schema."""

    properties: Mapping[str, "Node"] = field(default_factory=dict)
    values: "Node | None" = None
    """The schema of additionalProperties."""
    items: "Node | None" = None
    takes_any_field: bool = False
    """x-kubernetes-preserve-unknown-fields, or additionalProperties: true."""
    is_embedded: bool = False
    nullable: bool = False
    default: bytes | None = None
    """JSON, so that every object gets a copy of its own."""
    list_type: str = "atomic"
    list_keys: tuple[str, ...] = ()
    is_atomic_map: bool = False
    rules: tuple[Rule, ...] = ()

    has_checks: bool = False
    """Whether rules or unique lists are here or below: only then are values walked for them."""
    has_transitions: bool = False
    """Whether transition rules are here or below that may fail though nothing changed."""
    checked: tuple[tuple[str, "Node"], ...] = ()
    """The properties that have checks."""
    has_defaults_below: bool = False


def parse(schema: JsonObject) -> Node:
    """Read a structural schema; ValueError where a rule in it does not compile."""
    properties = {name: parse(child) for name, child in schema.get("properties", {}).items()}
    additional = schema.get("additionalProperties")
    values = parse(additional) if isinstance(additional, dict) else None
    items = parse(schema["items"]) if isinstance(schema.get("items"), dict) else None
    list_type = schema.get("x-kubernetes-list-type", "atomic")
    rules = compile_rules(schema.get("x-kubernetes-validations", []))
    children = [*properties.values(), *filter(None, (values, items))]
    return Node(
        properties=properties,
        values=values,
        items=items,
        takes_any_field=bool(schema.get("x-kubernetes-preserve-unknown-fields")) or additional is True,
        is_embedded=bool(schema.get("x-kubernetes-embedded-resource")),
        nullable=bool(schema.get("nullable")),
        default=encode(schema["default"]) if "default" in schema else None,
        list_type=list_type,
        list_keys=tuple(schema.get("x-kubernetes-list-map-keys", ())),
        is_atomic_map=schema.get("x-kubernetes-map-type") == "atomic",
        rules=rules,
        has_checks=bool(rules) or list_type in ("map", "set") or any(child.has_checks for child in children),
        has_transitions=any(rule.is_transition and not rule.is_immutability for rule in rules)
        or any(child.has_transitions for child in children),
        checked=tuple((name, child) for name, child in properties.items() if child.has_checks),
        has_defaults_below=any(child.default is not None or child.has_defaults_below for child in children),
    )


def prune(node: Node, value: Any, path: str = "", *, is_root: bool = True) -> list[str]:
    """Remove, in place, fields that the schema does not know and nulls it does not allow.

    Returns the paths of the unknown fields. A root's apiVersion, kind and metadata are left alone.
    """
    unknown: list[str] = []
    if isinstance(value, dict):
        has_type_fields = is_root or node.is_embedded
        for name, child_value in list(value.items()):
            if has_type_fields and name in _EMBEDDED_FIELDS:
                continue
            child = node.properties.get(name) or node.values
            if child is None:
                if not node.takes_any_field:
                    unknown.append(f"{path}.{name}" if path else name)
                    del value[name]
            elif child_value is None:
                if not child.nullable:
                    del value[name]
            elif isinstance(child_value, (dict, list)):
                unknown += prune(child, child_value, f"{path}.{name}" if path else name, is_root=False)
    elif isinstance(value, list) and node.items is not None:
        for index, item in enumerate(value):
            if isinstance(item, (dict, list)):
                unknown += prune(node.items, item, f"{path}[{index}]", is_root=False)
    return unknown


def fill_defaults(node: Node, value: Any) -> None:
    """Fill in, in place, what is absent and has a default."""
    if not node.has_defaults_below:
        return
    if isinstance(value, dict):
        for name, child in node.properties.items():
            if name not in value and child.default is not None:
                value[name] = json.loads(child.default)
            if child.has_defaults_below and name in value:
                fill_defaults(child, value[name])
        if node.values is not None:
            for name, child_value in value.items():
                if name not in node.properties:
                    fill_defaults(node.values, child_value)
    elif isinstance(value, list) and node.items is not None:
        for item in value:
            fill_defaults(node.items, item)


def item_key(node: Node, item: Any) -> Hashable:
    """What tells one item of a map or set list from another; None where items have no identity."""
    if node.list_type == "set":
        return encode(item) if isinstance(item, (dict, list)) else item
    if node.list_type == "map" and isinstance(item, dict):
        return tuple(item[key] if key in item else default_of(node, key) for key in node.list_keys)
    return None


def default_of(node: Node, key: str) -> Any:
    """What a key of a map list's item counts as where it is absent."""
    field_node = node.items.properties.get(key) if node.items else None
    return json.loads(field_node.default) if field_node and field_node.default is not None else None
