"""What is wrong with a body of a built-in kind, as Go's decoder and the first checks of kube-apiserver find it."""

from typing import Any

from . import built_in_types, status
from .built_in_types import Type
from .cel_functions import is_quantity
from .encoding import JsonObject
from .resources import Resource
from .status import FieldError, bad_request

_TYPE_FIELDS = ("apiVersion", "kind", "metadata")
_CHECKED_ELSEWHERE = {"CustomResourceDefinition", "Event"}
"""Kinds of which other code asks for the fields they need."""
_MAY_BE_ABSENT = {("V1HTTPHeader", "value"), ("V1Sysctl", "value"), ("V1ISCSIVolumeSource", "lun")}
"""Required by the schema, while Go's zero value passes."""
_GO_NAMES = {"integer": "int32", "boolean": "bool", "number": "float64", "time": "string", "bytes": "[]uint8"}


def decode(resource: Resource, obj: JsonObject) -> list[str]:
    """Remove, in place, nulls and unknown fields; returns the latter. A 400 ApiError for a value of a wrong type."""
    model = built_in_types.model_of(resource)
    if not model:
        return []
    try:
        return _Walk().struct(model, obj, "", is_root=True)
    except _WrongType as e:
        message = f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {e}'
        raise bad_request(message) from e


def missing(resource: Resource, obj: JsonObject) -> list[FieldError]:
    """The required fields that are not there; those of status are the server's own matter."""
    model = built_in_types.model_of(resource)
    if not model or resource.kind in _CHECKED_ELSEWHERE:
        return []
    spec = {name: value for name, value in obj.items() if name not in ("status", *_TYPE_FIELDS)}
    return _missing(Type(kind="struct", model=model), spec, "")


class _WrongType(Exception):
    pass


class _Walk:
    def __init__(self) -> None:
        self._struct = ""

    def struct(self, model: str, value: JsonObject, path: str, *, is_root: bool = False) -> list[str]:
        fields, unknown = built_in_types.fields_of(model), []
        for name, child in list(value.items()):
            where = f"{path}.{name}" if path else name
            if is_root and name in _TYPE_FIELDS:
                continue
            field = fields.get(name)
            if field is None:
                unknown.append(where)
                del value[name]
            elif child is None:
                del value[name]
            else:
                self._struct = model
                unknown += self._value(field.type, child, where)
        return unknown

    def _value(self, wanted: Type, value: Any, path: str) -> list[str]:
        if not _fits(wanted, value):
            if wanted.kind == "quantity" and isinstance(value, str):
                raise _WrongType(f"quantities must match the regular expression '{_QUANTITY}'")
            struct = self._struct.lstrip("V0123456789")
            go_name = wanted.model.lstrip("V0123456789") or _GO_NAMES.get(wanted.kind, wanted.kind)
            text = f"json: cannot unmarshal {_json_type(value)} into Go struct field {struct}.{path} of type {go_name}"
            raise _WrongType(text)
        unknown: list[str] = []
        if wanted.kind == "struct":
            return self.struct(wanted.model, value, path)
        if wanted.kind == "list" and wanted.items:
            for index, item in enumerate(value):
                if item is not None:
                    unknown += self._value(wanted.items, item, f"{path}[{index}]")
        elif wanted.kind == "map" and wanted.items:
            for key, item in value.items():
                if item is not None:
                    unknown += self._value(wanted.items, item, f"{path}.{key}")
                elif wanted.items.kind in ("string", "bytes"):
                    value[key] = ""
        return unknown


_QUANTITY = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
_PYTHON_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "bytes": str,
    "time": str,
    "boolean": bool,
    "list": list,
    "map": dict,
    "struct": dict,
    "any": object,
}


def _fits(wanted: Type, value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    match wanted.kind:
        case "integer":
            return is_number and value == int(value)
        case "number":
            return is_number
        case "int-or-string":
            return isinstance(value, str) or (is_number and value == int(value))
        case "quantity":
            return is_number or (isinstance(value, str) and is_quantity(value))
    return isinstance(value, _PYTHON_TYPES[wanted.kind])


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    names = {str: "string", int: "number", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _missing(wanted: Type, value: Any, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if wanted.kind == "struct":
        for name, field in built_in_types.fields_of(wanted.model).items():
            where = f"{path}.{name}" if path else name
            if value.get(name) not in (None, "", []):
                errors += _missing(field.type, value[name], where)
            elif field.is_required and name not in _TYPE_FIELDS and _must_be_given(wanted.model, name, field.type):
                errors.append(status.required(where))
    elif wanted.items is not None and wanted.items.kind in ("struct", "list", "map"):
        items = enumerate(value) if wanted.kind == "list" else value.items()
        for key, item in items:
            where = f"{path}[{key}]" if wanted.kind == "list" else f"{path}.{key}"
            errors += _missing(wanted.items, item, where) if item is not None else []
    return errors


def _must_be_given(model: str, name: str, wanted: Type) -> bool:
    return wanted.kind not in ("boolean", "number") and (model, name) not in _MAY_BE_ABSENT
