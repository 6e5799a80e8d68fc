"""What is wrong with the type of a value in a JSON message: which field, what it expects, what was found.

Asked when the library has refused a message: its own words repeat values, and one of them may be an environment
variable's. Here no value is ever told.
"""

import re
from collections.abc import Iterable
from typing import Final, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

_INTEGERS: Final = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
}
_DIGITS: Final = re.compile(r"-?[0-9]{1,40}")
_NAME_MAX: Final = 64


def fault(value: object, kind: type[Message]) -> str | None:
    """The first fault of that JSON value as such a message, as ``FIELD: expected …, found …``; None where it has none
    that this module knows."""
    return _message("", value, cast("Descriptor", kind.DESCRIPTOR))


def _message(where: str, value: object, kind: Descriptor) -> str | None:
    if not isinstance(value, dict):
        return _told(where, "an object", value)
    fields = {name: field for field in kind.fields for name in (field.name, field.json_name)}
    known = ((name, each, fields[name]) for name, each in value.items() if name in fields and each is not None)
    return _first(_field(f"{where}.{name}" if where else name, each, field) for name, each, field in known)


def _field(path: str, value: object, field: FieldDescriptor) -> str | None:
    if of := _map_value(field):
        if not isinstance(value, dict):
            return _told(path, f"an object whose values are {_plural(of)}", value)
        return _first(_single(f"{path}.{name[:_NAME_MAX]}", each, of) for name, each in value.items())
    if field.is_repeated:
        if not isinstance(value, list):
            return _told(path, f"a list of {_plural(field)}", value)
        return _first(_single(f"{path}[{index}]", each, field) for index, each in enumerate(value))
    return _single(path, value, field)


def _single(path: str, value: object, field: FieldDescriptor) -> str | None:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_MESSAGE if field.message_type is not None:
            return _message(path, value, field.message_type)
        case FieldDescriptor.CPPTYPE_STRING:
            return None if isinstance(value, str) else _told(path, "a string", value)
        case FieldDescriptor.CPPTYPE_BOOL:
            return None if isinstance(value, bool) else _told(path, "true or false", value)
        case FieldDescriptor.CPPTYPE_INT32 | FieldDescriptor.CPPTYPE_INT64:
            return _integer(path, value, *_INTEGERS[field.cpp_type])
        case _:
            return None


def _integer(path: str, value: object, least: int, most: int) -> str | None:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return _told(path, "a whole number", value)
    return None if least <= value <= most else f"{path}: expected a whole number from {least} to {most}"


def _first(faults: Iterable[str | None]) -> str | None:
    return next(filter(None, faults), None)


def _map_value(field: FieldDescriptor) -> FieldDescriptor | None:
    """What the values of a map are; None for a field that is none."""
    kind = field.message_type
    return kind.fields_by_name["value"] if kind is not None and kind.GetOptions().map_entry else None


def _plural(field: FieldDescriptor) -> str:
    return "strings" if field.cpp_type == FieldDescriptor.CPPTYPE_STRING else "objects"


def _told(path: str, expected: str, found: object) -> str:
    return f"{path}: expected {expected}, found {_name(found)}"


def _name(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a string"
        case float() if not value.is_integer():
            return "a number with a fraction"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case _:
            return "an object"
