"""API_AUTH=token: bearer tokens whose SHA-256 is in a file (API_TOKENS_FILE), each with its tenants.

One token a line: ``NAME SHA256 tenant[,tenant]``, or ``*`` for all tenants. Empty lines and those that begin with
``#`` are left out.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from api.auth.principal import Named, Principal
from api.reloading import Reloaded
from controller.domain import names
from controller.domain.errors import ConfigError
from controller.ports import Clock

KIND: Final = "token"
VARIABLE: Final = "API_TOKENS_FILE"
TOKEN_MIN: Final = 16
"""Shorter tokens can be guessed, from their hash as well."""
ALL_TENANTS: Final = "*"

_NAME = re.compile(r"[A-Za-z0-9][\w.@:/-]{0,99}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_OF_NOTHING = hashlib.sha256().hexdigest()
_FORM = "NAME SHA256 TENANT[,TENANT] (or * for all tenants)"
_HOW = "the SHA-256 of a token is printed by: printf %s TOKEN | sha256sum"

Tokens = Mapping[str, Named]
"""By the SHA-256 of the token, in hex."""


class FileTokens:
    """The tokens of a file; a change of it counts within a second."""

    def __init__(self, path: Path, clock: Clock, failing: Callable[[int], None]) -> None:
        """`failing`: as `Reloaded` has it. Raises ConfigError."""
        self._tokens: Reloaded[Tokens] = Reloaded(VARIABLE, (path,), lambda: read(path), clock=clock, failing=failing)

    async def identify(self, token: str, remote: str) -> Named | None:
        if len(token) < TOKEN_MIN:
            return None
        # Found by its hash: the time that this takes says nothing about tokens.
        return self._tokens.get().get(hashlib.sha256(token.encode()).hexdigest())

    async def close(self) -> None:
        pass


def read(path: Path) -> Tokens:
    """The tokens of that file. Raises ConfigError with every fault; it names lines and never shows what is in them."""
    try:
        # No other character ends a line: what an editor shows as one, a comment say, is not read as two.
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{VARIABLE}={str(path)!r} cannot be read ({type(error).__name__})"]) from None
    found: dict[str, Named] = {}
    faults: list[str] = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        fault = _fault(words) or ("has the hash of an earlier line" if words[1].lower() in found else None)
        if fault:
            faults.append(f"{VARIABLE}={str(path)!r}: line {number} {fault}")
        else:
            name, digest, tenants = words
            found[digest.lower()] = _identity(name, tenants)
    if not found and not faults:
        faults.append(f"{VARIABLE}={str(path)!r} has no token")
    if faults:
        raise ConfigError(faults)
    return found


def _fault(words: list[str]) -> str | None:
    if len(words) == 1:
        return f"is no {_FORM}: files of plain tokens are not taken any more; {_HOW}"
    if len(words) != 3:
        return f"is no {_FORM}"
    name, digest, tenants = words
    if not _NAME.fullmatch(name):
        return "has a NAME that is not 1 to 100 letters, digits and . _ @ : / -"
    if not _SHA256.fullmatch(digest.lower()):
        return f"has a SHA256 that is not 64 hexadecimal digits; {_HOW}"
    if digest.lower() == _OF_NOTHING:
        return "has the SHA-256 of an empty token"
    if tenants != ALL_TENANTS:
        for tenant in tenants.split(","):
            if fault := names.api_tenant_fault(tenant):
                return f"has a tenant that {fault}"
    return None


def _identity(name: str, tenants: str) -> Named:
    has_all = tenants == ALL_TENANTS
    return Named(Principal(KIND, name), frozenset() if has_all else frozenset(tenants.split(",")), has_all=has_all)
