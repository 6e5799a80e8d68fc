"""The two forms of a message: binary protobuf (the Gateway) and canonical protobuf JSON (curl, CLI, web page).

JSON as in contract §1: requests take snake_case and camelCase and ignore unknown fields; answers are camelCase
with defaults left out and 64-bit integers as strings.
"""

import json
from collections.abc import Mapping
from typing import Final, Protocol, TypeVar

import msgspec
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from api.connect import json_types
from api.connect.errors import Code, ConnectError

M = TypeVar("M", bound=Message)

_SYNTAX = "Failed to load JSON: "


class Codec(Protocol):
    """One form of a message."""

    content_type: str

    def decode(self, data: bytes, kind: type[M]) -> M:
        """Raises ConnectError invalid_argument for what is no such message. Its text never repeats a value."""
        ...

    def encode(self, message: Message) -> bytes: ...


class ProtoCodec:
    """Binary protobuf."""

    content_type = "application/proto"

    def decode(self, data: bytes, kind: type[M]) -> M:
        message = kind()
        try:
            message.ParseFromString(data)
        except DecodeError:
            raise ConnectError(Code.INVALID_ARGUMENT, f"malformed protobuf: no {kind.DESCRIPTOR.name}") from None
        return message

    def encode(self, message: Message) -> bytes:
        return message.SerializeToString()


class JsonCodec:
    """Canonical protobuf JSON."""

    content_type = "application/json"

    def decode(self, data: bytes, kind: type[M]) -> M:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            raise _malformed("the body is not UTF-8") from None
        # The library takes a list or a string for an empty message.
        if not text.lstrip().startswith("{"):
            raise _malformed("the body must be a JSON object")
        try:
            return json_format.Parse(text, kind(), ignore_unknown_fields=True)
        except (json_format.ParseError, RecursionError) as error:
            if fault := _type_fault(text, kind):
                raise ConnectError(Code.INVALID_ARGUMENT, fault) from None
            raise _malformed(_explain(str(error))) from None

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


def _type_fault(text: str, kind: type[Message]) -> str | None:
    """Which field has a value of another type, in JSON that is not malformed; None where that is not what is wrong."""
    try:
        return json_types.fault(json.loads(text), kind)
    except (ValueError, RecursionError):
        return None


def _explain(error: str) -> str:
    """The library's message without the values it repeats: one of them may be an environment variable's."""
    if error.startswith(_SYNTAX):
        return error.removeprefix(_SYNTAX).removeprefix(_SYNTAX).rstrip(".")
    return "it does not fit the message"
