"""Whether a CRD's schema is structural, and whether its rules name what it has: what kube-apiserver refuses at once.

Sources: apiextensions-apiserver, pkg/apiserver/schema/validation.go and pkg/apis/apiextensions/validation. Of
CEL's types only fields are looked at, and what a rule may cost is not estimated.
"""

import re
from collections.abc import Iterator

from . import status
from .encoding import JsonObject
from .status import FieldError

_SCALARS = ("string", "integer", "number", "boolean")
_TYPES = (*_SCALARS, "object", "array")
_FORBIDDEN = ("$ref", "definitions", "dependencies", "patternProperties", "additionalItems", "id")
_STRUCTURE = ("type", "default", "description", "title", "nullable", "additionalProperties", "x-kubernetes-list-type")
"""What has no place below allOf, anyOf, oneOf and not: those only judge values."""
_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
SELECTABLE_MAX = 8

_field_of_variable = re.compile(r"\b(?:self|oldSelf)((?:\.[A-Za-z_]\w*)+)(\()?")


def check(schema: JsonObject, path: str) -> list[FieldError]:
    """Of the schema of a version."""
    return list(_check(schema, path, is_followed=True))


def check_selectable(fields: list[JsonObject], schema: JsonObject, path: str) -> list[FieldError]:
    errors = []
    if len(fields) > SELECTABLE_MAX:
        errors.append(status.too_many(path, len(fields), SELECTABLE_MAX))
    for index, field in enumerate(fields):
        where, steps = f"{path}[{index}].jsonPath", str(field.get("jsonPath", "")).split(".")
        found: JsonObject = schema
        for step in steps[1:]:
            found = found.get("properties", {}).get(step, {})
        if steps[0] or found.get("type") not in ("string", "boolean", "integer"):
            errors.append(
                status.invalid_value(where, field.get("jsonPath"), "must point to a string, boolean or integer")
            )
        elif steps[1] == "metadata":
            errors.append(status.invalid_value(where, field["jsonPath"], "must not point to fields in metadata"))
    return errors


def _check(schema: JsonObject, path: str, *, is_followed: bool) -> Iterator[FieldError]:
    """`is_followed`: whether an old value can be found for each value here (not in the items of an atomic list)."""
    yield from _check_type(schema, path)
    for name in _FORBIDDEN:
        if name in schema:
            yield status.forbidden_field(f"{path}.{name}", "is not supported")
    if schema.get("uniqueItems"):
        why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield status.forbidden_field(f"{path}.uniqueItems", why)
    if "properties" in schema and "additionalProperties" in schema:
        yield status.forbidden_field(
            f"{path}.additionalProperties", "additionalProperties and properties are exclusive"
        )
    if schema.get("additionalProperties") is False:
        yield status.forbidden_field(f"{path}.additionalProperties", "additionalProperties cannot be set to false")
    yield from _check_rules(schema, path, is_followed)
    yield from _check_list(schema, path)
    for name in ("allOf", "anyOf", "oneOf"):
        if not (name == "anyOf" and schema.get("x-kubernetes-int-or-string") and schema.get(name) == _INT_OR_STRING):
            for index, part in enumerate(schema.get(name, [])):
                yield from _check_judging(part, f"{path}.{name}[{index}]")
    if "not" in schema:
        yield from _check_judging(schema["not"], f"{path}.not")
    for name, child in schema.get("properties", {}).items():
        yield from _check(child, f"{path}.properties[{name}]", is_followed=is_followed)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _check(schema["additionalProperties"], f"{path}.additionalProperties", is_followed=is_followed)
    if isinstance(schema.get("items"), dict):
        is_map = schema.get("x-kubernetes-list-type") == "map"
        yield from _check(schema["items"], f"{path}.items", is_followed=is_followed and is_map)


def _check_type(schema: JsonObject, path: str) -> Iterator[FieldError]:
    kind = schema.get("type", "")
    if schema.get("x-kubernetes-int-or-string"):
        if kind:
            yield status.invalid_value(f"{path}.type", kind, "must be empty if x-kubernetes-int-or-string is true")
    elif not kind and not schema.get("x-kubernetes-preserve-unknown-fields"):
        yield status.required(f"{path}.type", "must not be empty for specified object fields, items and the root")
    elif kind and kind not in _TYPES:
        yield status.not_supported(f"{path}.type", kind, _TYPES)


def _check_list(schema: JsonObject, path: str) -> Iterator[FieldError]:
    if schema.get("type") == "array" and not isinstance(schema.get("items"), dict):
        yield status.required(f"{path}.items", "must be specified")
        return
    list_type, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys", [])
    if list_type is None and not keys:
        return
    if list_type not in ("atomic", "set", "map"):
        yield status.not_supported(f"{path}.x-kubernetes-list-type", list_type, ("atomic", "set", "map"))
    if bool(keys) != (list_type == "map"):
        yield status.required(
            f"{path}.x-kubernetes-list-map-keys", "must be there for, and only for, lists of type map"
        )
    items: JsonObject = schema.get("items", {})
    for key in keys if list_type == "map" else ():
        field: JsonObject = items.get("properties", {}).get(key, {})
        if field.get("type") not in _SCALARS:
            yield status.invalid_value(
                f"{path}.items.properties[{key}].type", field.get("type"), "must be a scalar type"
            )
        elif "default" not in field and key not in items.get("required", []):
            why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            yield status.required(f"{path}.items.properties[{key}].default", why)


def _check_judging(schema: JsonObject, path: str) -> Iterator[FieldError]:
    for name in _STRUCTURE:
        if name in schema:
            yield status.forbidden_field(f"{path}.{name}", "must be empty to be structural")
    for name, child in schema.get("properties", {}).items():
        yield from _check_judging(child, f"{path}.properties[{name}]")


def _check_rules(schema: JsonObject, path: str, is_followed: bool) -> Iterator[FieldError]:
    for index, definition in enumerate(schema.get("x-kubernetes-validations", [])):
        rule, where = definition.get("rule", ""), f"{path}.x-kubernetes-validations[{index}].rule"
        if not rule.strip():
            yield status.required(where, "rule is not specified")
        if re.search(r"\boldSelf\b", rule) and not is_followed:
            why = "oldSelf cannot be used on the uncorrelatable portion of the schema"
            yield status.invalid_value(where, rule, f"{why} within {path}")
        for match in _field_of_variable.finditer(rule):
            steps = match[1].split(".")[1:]
            missing = _undefined(schema, steps[:-1] if match[2] else steps)
            if missing:
                yield status.invalid_value(where, rule, f"compilation failed: undefined field '{missing}'")


def _undefined(schema: JsonObject, steps: list[str]) -> str:
    """The first of the fields that the schema does not have, one in the other; "" where it has them all."""
    for step in steps:
        if "additionalProperties" in schema or schema.get("x-kubernetes-int-or-string"):
            return ""
        found = schema.get("properties", {}).get(step)
        if found is None:
            return step
        schema = found
    return ""
