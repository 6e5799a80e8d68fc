"""The Connect protocol's own request headers."""

import re
from collections.abc import Mapping
from typing import Final

from api.connect.errors import Code, ConnectError

VERSION: Final = "Connect-Protocol-Version"
TIMEOUT: Final = "Connect-Timeout-Ms"

_TIMEOUT = re.compile(r"[0-9]{1,10}")


def check_version(headers: Mapping[str, str]) -> None:
    """The version is 1 where it is sent at all. Raises ConnectError invalid_argument."""
    version = headers.get(VERSION)
    if version is not None and version.strip() != "1":
        raise ConnectError(Code.INVALID_ARGUMENT, f'{VERSION} must be "1"')


def timeout_seconds(headers: Mapping[str, str]) -> float | None:
    """How long the caller waits, in seconds. Raises ConnectError invalid_argument for what is no such number."""
    text = headers.get(TIMEOUT)
    if text is None:
        return None
    if not _TIMEOUT.fullmatch(text.strip()):
        raise ConnectError(Code.INVALID_ARGUMENT, f"{TIMEOUT} must be a whole number of at most 10 digits")
    return int(text) / 1000
