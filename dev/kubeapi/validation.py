"""Validate objects against a structural schema: the 422 errors, field by field.

fastjsonschema (compiled, but stops at the first error) says whether an object is valid; only where it is
not does jsonschema list what is wrong. One more walk does what JSON Schema cannot: unique lists and rules.
"""

from collections.abc import Callable, Iterator
from typing import Any

import fastjsonschema
import jsonschema

from . import formats, rules, schema, status
from .encoding import JsonObject
from .rules import ABSENT
from .schema import Node
from .status import FieldError

_TAKEN_AS_THEY_ARE = (
    *("type", "enum", "pattern", "required", "multipleOf"),
    *("minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
)
_CAPACITIES = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
"""What an integer of that format can be."""
_NOT_CHECKED = FieldError(
    "<nil>",
    "FieldValueInvalid",
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
)


class Validator:
    """Compiled once for every version of a CRD."""

    def __init__(self, structural_schema: JsonObject) -> None:
        """Raises ValueError where the schema does not compile."""
        self.node = schema.parse(structural_schema)
        json_schema = _json_schema(structural_schema)
        # Field by field, so that an update only looks at the fields that it changes.
        self._is_valid_root = _compile({**json_schema, "properties": {}})
        self._is_valid_field = {
            name: _compile(field_schema) for name, field_schema in json_schema.get("properties", {}).items()
        }
        checker = jsonschema.FormatChecker(())
        for name, check in formats.CHECKS.items():
            checker.checkers[name] = (_for_strings(check), ())
        self._explaining = jsonschema.Draft7Validator(json_schema, format_checker=checker)

    def errors(self, obj: JsonObject, old: JsonObject | None) -> list[FieldError]:
        """What is wrong with `obj`; `old` is what it replaces, which forgives what was wrong before."""
        found = self._schema_errors(obj, old)
        if found:
            return [*found, _NOT_CHECKED] if self.node.has_checks else found
        return _check_nodes(self.node, obj, ABSENT if old is None else old, "")

    def _schema_errors(self, obj: JsonObject, old: JsonObject | None) -> list[FieldError]:
        if self._is_valid(obj, old or {}):
            return []
        found: dict[FieldError, None] = {}  # a set in order: required fields come once each anyway
        for error in self._explaining.iter_errors(obj):
            path = list(error.absolute_path)
            if old is None or not _is_unchanged(path, obj, old):
                found.update(dict.fromkeys(_field_errors(error, _dotted(path))))
        return list(found)

    def _is_valid(self, obj: JsonObject, old: JsonObject) -> bool:
        try:
            self._is_valid_root(obj)
            for name, is_valid in self._is_valid_field.items():
                if name in obj and (name not in old or obj[name] != old[name]):
                    is_valid(obj[name])
        except fastjsonschema.JsonSchemaValueException:
            return False
        return True


def _compile(json_schema: JsonObject) -> Callable[[Any], Any]:
    try:
        compiled: Callable[[Any], Any] = fastjsonschema.compile(
            json_schema,
            formats=formats.CHECKS,
            use_default=False,
            detailed_exceptions=False,
        )
    except (fastjsonschema.JsonSchemaDefinitionException, ValueError) as e:
        raise ValueError(str(e)) from e
    return compiled


def _for_strings(check: Callable[[str], bool]) -> Callable[[object], bool]:
    return lambda value: not isinstance(value, str) or check(value)


def _json_schema(structural: JsonObject) -> JsonObject:
    """The plain JSON Schema (draft 7) of a structural schema."""
    result = {key: structural[key] for key in _TAKEN_AS_THEY_ARE if key in structural}
    for bound in ("minimum", "maximum"):
        if bound in structural:
            # Here exclusiveMinimum is a flag beside minimum; in draft 7 it is the bound itself.
            is_exclusive = structural.get(f"exclusive{bound.capitalize()}") is True
            result[f"exclusive{bound.capitalize()}" if is_exclusive else bound] = structural[bound]
    if structural.get("type") == "integer" and structural.get("format") in _CAPACITIES:
        least, most = _CAPACITIES[structural["format"]]
        result = {"minimum": least, "maximum": most, **result}
    if structural.get("format") in formats.CHECKS:
        result["format"] = structural["format"]
    for key in ("allOf", "anyOf", "oneOf"):
        if key in structural:
            result[key] = [_json_schema(part) for part in structural[key]]
    for key in ("not", "items", "additionalProperties"):
        if isinstance(structural.get(key), dict):
            result[key] = _json_schema(structural[key])
    if "properties" in structural:
        result["properties"] = {name: _json_schema(part) for name, part in structural["properties"].items()}
    if structural.get("x-kubernetes-int-or-string"):
        result["type"] = ["integer", "string"]
    if structural.get("nullable") and "type" in result:
        types = result["type"] if isinstance(result["type"], list) else [result["type"]]
        result["type"] = [*types, "null"]
        if "enum" in result:
            result["enum"] = [*result["enum"], None]
    return result


def _check_nodes(node: Node, value: Any, old: Any, path: str) -> list[FieldError]:
    """Unique lists and rules, here and below, skipping what has neither and what cannot have got worse."""
    if not node.has_transitions and value == old:
        return []
    errors = rules.check(node.rules, value, old, path) if node.rules else []
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        for name, child in node.checked:
            if value.get(name) is not None:
                child_path = f"{path}.{name}" if path else name
                errors += _check_nodes(child, value[name], before.get(name, ABSENT), child_path)
        if node.values is not None and node.values.has_checks:
            for name in value.keys() - node.properties.keys():
                errors += _check_nodes(node.values, value[name], before.get(name, ABSENT), f"{path}.{name}")
    elif isinstance(value, list):
        errors += _check_items(node, value, old, path)
    return errors


def _check_items(node: Node, items: list[Any], old: Any, path: str) -> list[FieldError]:
    keys = [schema.item_key(node, item) for item in items] if node.list_type != "atomic" else []
    errors = []
    if len(set(keys)) != len(keys):
        repeated = [index for index, key in enumerate(keys) if key in keys[:index]]
        errors += [status.duplicate_value(f"{path}[{i}]", _shown_key(node, items[i])) for i in repeated]
    if node.items is not None and node.items.has_checks:
        # Only items of map lists can be followed from one version to the next.
        is_map = node.list_type == "map" and isinstance(old, list)
        before = {schema.item_key(node, item): item for item in old} if is_map else {}
        for index, item in enumerate(items):
            old_item = before.get(keys[index], ABSENT) if is_map else ABSENT
            errors += _check_nodes(node.items, item, old_item, f"{path}[{index}]")
    return errors


def _shown_key(node: Node, item: Any) -> Any:
    return {name: item.get(name) for name in node.list_keys} if node.list_keys else item


def _is_unchanged(path: list[str | int], obj: Any, old: Any) -> bool:
    """Ratcheting: whether the value at `path`, or what holds it, is as it was (lists only as a whole)."""
    for step in path:
        if not isinstance(obj, dict) or not isinstance(old, dict) or step not in old:
            return False
        obj, old = obj[step], old[step]
        if obj == old:
            return True
    return False


def _dotted(path: list[str | int]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.lstrip(".")


def _type_name(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _field_errors(error: jsonschema.ValidationError, path: str) -> Iterator[FieldError]:
    """One error of jsonschema as kube-apiserver would put it."""
    value: Any = error.instance
    limit: Any = error.validator_value
    where = path or "<nil>"
    match error.validator:
        case "required":
            for name in limit:
                if name not in value:
                    yield status.required(f"{path}.{name}" if path else name)
        case "type":
            wanted = ",".join(t for t in (limit if isinstance(limit, list) else [limit]) if t != "null")
            detail = f'{path} in body must be of type {wanted}: "{_type_name(value)}"'
            yield status.invalid_value(where, _type_name(value), detail, "FieldValueTypeInvalid")
        case "enum":
            yield status.not_supported(where, value, [choice for choice in limit if choice is not None])
        case "maxLength":
            yield status.too_long(where, limit)
        case "maxItems":
            yield status.too_many(where, len(value), limit)
        case "maxProperties":
            yield status.too_many(where, len(value), limit)
        case rule:
            shown = len(value) if rule in ("minItems", "minProperties") else value
            yield status.invalid_value(where, shown, _constraint(str(rule), limit, path))


def _constraint(rule: str, limit: Any, path: str) -> str:
    match rule:
        case "minimum":
            return f"{path} in body should be greater than or equal to {limit}"
        case "exclusiveMinimum":
            return f"{path} in body should be greater than {limit}"
        case "maximum":
            return f"{path} in body should be less than or equal to {limit}"
        case "exclusiveMaximum":
            return f"{path} in body should be less than {limit}"
        case "multipleOf":
            return f"{path} in body should be a multiple of {limit}"
        case "minLength":
            return f"{path} in body should be at least {limit} chars long"
        case "minItems":
            return f"{path} in body should have at least {limit} items"
        case "minProperties":
            return f"{path} in body should have at least {limit} properties"
        case "uniqueItems":
            return f"{path} in body shouldn't contain duplicates"
        case "pattern":
            return f"{path} in body should match '{limit}'"
        case "format":
            return f"{path} in body must be of type {limit}"
        case "oneOf":
            return f'"{path}" must validate one and only one schema (oneOf)'
        case "anyOf":
            return f'"{path}" must validate at least one schema (anyOf)'
        case "not":
            return f'"{path}" must not validate the schema (not)'
        case _:
            return f"{path} in body must satisfy {rule}"
