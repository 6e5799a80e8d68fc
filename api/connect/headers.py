"""The Connect protocol's own request headers."""

import re
from typing import Final

from multidict import MultiMapping

from api.connect.errors import Code, ConnectError

VERSION: Final = "Connect-Protocol-Version"
TIMEOUT: Final = "Connect-Timeout-Ms"

_TIMEOUT = re.compile(r"[0-9]{1,10}")


def single(headers: MultiMapping[str], name: str) -> str:
    """The value of a header that may be sent once; "" where it is not there. Raises ConnectError invalid_argument."""
    values = headers.getall(name, [])
    if len(values) > 1:
        raise sent_twice(name)
    return values[0].strip() if values else ""


def sent_twice(name: str) -> ConnectError:
    return ConnectError(Code.INVALID_ARGUMENT, f"{name} is sent more than once")


def check_version(headers: MultiMapping[str]) -> None:
    """The version is 1 where it is sent at all. Raises ConnectError invalid_argument."""
    version = headers.get(VERSION)
    if version is not None and version.strip() != "1":
        raise ConnectError(Code.INVALID_ARGUMENT, f'{VERSION} must be "1"')


def timeout_seconds(headers: MultiMapping[str]) -> float | None:
    """How long the caller waits, in seconds. Raises ConnectError invalid_argument for what is no such number."""
    text = headers.get(TIMEOUT)
    if text is None:
        return None
    if not _TIMEOUT.fullmatch(text.strip()):
        raise ConnectError(Code.INVALID_ARGUMENT, f"{TIMEOUT} must be a whole number of at most 10 digits")
    return int(text) / 1000
