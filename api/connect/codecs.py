"""The two forms of a message: binary protobuf (the Gateway) and canonical protobuf JSON (curl, CLI, web page).

JSON as in contract §1: requests take snake_case and camelCase and ignore unknown fields, unless one looks like a known
one that is misspelt; answers are camelCase with defaults left out and 64-bit integers as strings.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol, TypeVar

import msgspec
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from api.connect import json_types
from api.connect.errors import Code, ConnectError

M = TypeVar("M", bound=Message)

_NAME_MAX = 64


class Codec(Protocol):
    """One form of a message."""

    content_type: str

    def decode(self, data: bytes, kind: type[M]) -> tuple[M, tuple[str, ...]]:
        """The message, and the paths of the fields that were ignored, as far as that is told.

        Raises ConnectError invalid_argument for what is no such message. Its text never repeats a value.
        """
        ...

    def encode(self, message: Message) -> bytes: ...


class ProtoCodec:
    """Binary protobuf."""

    content_type = "application/proto"

    def decode(self, data: bytes, kind: type[M]) -> tuple[M, tuple[str, ...]]:
        message = kind()
        try:
            message.ParseFromString(data)
        except DecodeError:
            raise ConnectError(Code.INVALID_ARGUMENT, f"malformed protobuf: no {kind.DESCRIPTOR.name}") from None
        return message, ()  # it has numbers of unknown fields, no names: they are kept, as the protocol has it

    def encode(self, message: Message) -> bytes:
        return message.SerializeToString()


class JsonCodec:
    """Canonical protobuf JSON."""

    content_type = "application/json"

    def decode(self, data: bytes, kind: type[M]) -> tuple[M, tuple[str, ...]]:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            raise _malformed("the body is not UTF-8") from None
        if not text.lstrip().startswith("{"):
            raise _malformed("the body must be a JSON object")
        try:
            value = json.loads(text, object_pairs_hook=_object)
        except ValueError as error:  # its words have no values
            raise _malformed(str(error)) from None
        except RecursionError:
            raise _malformed("it is nested too deeply") from None
        unknown: list[str] = []
        if fault := json_types.fault(value, kind, unknown):
            raise ConnectError(Code.INVALID_ARGUMENT, fault)
        try:
            return json_format.ParseDict(value, kind(), ignore_unknown_fields=True), tuple(unknown)
        except json_format.ParseError:  # its words may have values: one may be an environment variable's
            raise _malformed("it does not fit the message") from None

    def encode(self, message: Message) -> bytes:
        return msgspec.json.encode(json_format.MessageToDict(message))


CODECS: Final[Mapping[str, Codec]] = {codec.content_type: codec for codec in (JsonCodec(), ProtoCodec())}
ACCEPT_POST: Final = "application/json, application/json; charset=utf-8, application/proto"


def find(content_type: str) -> Codec | None:
    """The codec of that Content-Type header; None where we do not take it."""
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if media_type == JsonCodec.content_type and parameters in ([], ["charset=utf-8"], ['charset="utf-8"']):
        return CODECS[media_type]
    return CODECS.get(media_type) if not parameters else None


def _malformed(why: str) -> ConnectError:
    return ConnectError(Code.INVALID_ARGUMENT, f"malformed JSON: {why}")


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """An object of the text. Raises ValueError for a key that it has twice: of two values one would be lost."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {name[:_NAME_MAX]!r} is there twice in one object")
        found[name] = value
    return found
