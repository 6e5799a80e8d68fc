"""Connect's error: its codes, their HTTP statuses in one table, and its JSON form."""

import base64
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec
from google.protobuf.message import Message


class Code(StrEnum):
    """The codes of the Connect protocol, as they stand in an error's JSON."""

    CANCELED = "canceled"
    UNKNOWN = "unknown"
    INVALID_ARGUMENT = "invalid_argument"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    NOT_FOUND = "not_found"
    ALREADY_EXISTS = "already_exists"
    PERMISSION_DENIED = "permission_denied"
    RESOURCE_EXHAUSTED = "resource_exhausted"
    FAILED_PRECONDITION = "failed_precondition"
    ABORTED = "aborted"
    OUT_OF_RANGE = "out_of_range"
    UNIMPLEMENTED = "unimplemented"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"
    DATA_LOSS = "data_loss"
    UNAUTHENTICATED = "unauthenticated"


HTTP_STATUS: Final[Mapping[Code, int]] = {
    Code.CANCELED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}
"""Contract §1. The only place where a code meets an HTTP status."""


class ConnectError(Exception):
    """An answer that is an error. The message is shown to the caller as it stands."""

    def __init__(
        self, code: Code, message: str, details: tuple[Message, ...] = (), *, retry_after: int | None = None
    ) -> None:
        """`retry_after`: when the same call may succeed, in seconds; sent as the header Retry-After."""
        super().__init__(f"{code}: {message}")
        self.code: Final = code
        self.message: Final = message
        self.details: Final = details
        self.retry_after: Final = retry_after

    @property
    def http_status(self) -> int:
        return HTTP_STATUS[self.code]

    def to_json(self) -> bytes:
        """``{"code", "message", "details"}``; details only where there are any."""
        body: dict[str, Any] = {"code": self.code.value, "message": self.message}
        if self.details:
            body["details"] = [_detail(message) for message in self.details]
        return msgspec.json.encode(body)


def _detail(message: Message) -> dict[str, str]:
    """The message's full name and its bytes in base64 without padding, as the protocol wants them."""
    value = base64.b64encode(message.SerializeToString()).decode().rstrip("=")
    return {"type": message.DESCRIPTOR.full_name, "value": value}
