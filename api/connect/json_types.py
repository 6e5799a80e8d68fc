"""What is wrong with a JSON message: a field that there is not, a value of another type, a field that is there twice.

Asked before the library reads a message: it takes lists for empty messages and knows no misspelt field, and its own
words repeat values, of which one may be an environment variable's. Here no value is ever told.
"""

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Final, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from controller.domain.suggestions import near_name

UNKNOWN_MAX: Final = 50
"""The most unknown fields of one message: each is compared with all that there are."""
_INTEGERS: Final = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
}
_DIGITS: Final = re.compile(r"-?[0-9]{1,40}")
_NAME_MAX: Final = 64


def fault(value: object, kind: type[Message], unknown: list[str]) -> str | None:
    """The first fault of that JSON value as such a message, as ``FIELD: expected …, found …``; None where it has none
    that this module knows.

    Fields that there are not go into `unknown`, as paths, unless they are near to one that there is: that is a fault.
    """
    return _message("", value, cast("Descriptor", kind.DESCRIPTOR), unknown)


def _message(where: str, value: object, kind: Descriptor, unknown: list[str]) -> str | None:
    if not isinstance(value, dict):
        return _told(where, "an object", value)
    fields, prefix = _fields(kind), f"{where}." if where else ""
    return _first(_spelling(prefix, name, value, kind, unknown) for name in value) or _first(
        _field(prefix + name, each, fields[name], unknown)
        for name, each in value.items()
        if name in fields and each is not None
    )


def _spelling(prefix: str, name: str, value: Mapping[str, object], kind: Descriptor, unknown: list[str]) -> str | None:
    """What is wrong with the name of a field."""
    if (field := _fields(kind).get(name)) is not None:
        is_twice = name == field.json_name != field.name and field.name in value
        return f"{prefix}{name}: is there as {field.name} as well; leave out one of them" if is_twice else None
    path = prefix + name[:_NAME_MAX]
    if meant := near_name(name, _paths(kind)):
        return f"{path}: there is no such field (did you mean {_paths(kind)[meant] if _is_camel(name) else meant}?)"
    unknown.append(path)
    return f"there are more than {UNKNOWN_MAX} unknown fields, such as {path}" if len(unknown) > UNKNOWN_MAX else None


@functools.cache
def _fields(kind: Descriptor) -> Mapping[str, FieldDescriptor]:
    """The fields by each of their two spellings."""
    return {name: field for field in kind.fields for name in (field.name, field.json_name)}


@functools.cache
def _paths(kind: Descriptor) -> Mapping[str, str]:
    """The fields of the message and of those in it, as paths: snake_case to camelCase."""
    paths = {}
    for field in kind.fields:
        paths[field.name] = field.json_name
        if field.message_type is not None and not _map_value(field):
            inner = _paths(field.message_type)
            paths |= {f"{field.name}.{name}": f"{field.json_name}.{other}" for name, other in inner.items()}
    return paths


def _is_camel(name: str) -> bool:
    return "_" not in name and name.lower() != name


def _field(path: str, value: object, field: FieldDescriptor, unknown: list[str]) -> str | None:
    if of := _map_value(field):
        if not isinstance(value, dict):
            return _told(path, f"an object whose values are {_plural(of)}", value)
        return _first(_single(f"{path}.{name[:_NAME_MAX]}", each, of, unknown) for name, each in value.items())
    if field.is_repeated:
        if not isinstance(value, list):
            return _told(path, f"a list of {_plural(field)}", value)
        return _first(_single(f"{path}[{index}]", each, field, unknown) for index, each in enumerate(value))
    return _single(path, value, field, unknown)


def _single(path: str, value: object, field: FieldDescriptor, unknown: list[str]) -> str | None:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_MESSAGE if field.message_type is not None:
            return _message(path, value, field.message_type, unknown)
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
