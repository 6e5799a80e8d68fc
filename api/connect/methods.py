"""What a service gives to the endpoint: its methods, each a message in and a message out."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec
from google.protobuf.message import Message


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What a method may know of its call beside the message."""

    headers: Mapping[str, str]
    """The request's headers; looked up without regard to case."""


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """One unary method. `call` raises ConnectError or an error of `controller.domain.errors`."""

    name: str
    request: type[Message]
    call: Callable[[Context, Message], Awaitable[Message]]
