"""Who may call (API_AUTH): everybody, as with the original; holders of a token from a file; accounts of the cluster.

Wrong and missing are the same answer, `unauthenticated`. No token is ever logged.
"""

import asyncio
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from aiohttp import hdrs

from api.connect.endpoint import Authorize
from api.connect.errors import Code, ConnectError
from controller.domain.errors import ConfigError
from controller.kube.client import KubeClient
from controller.ports import Clock

REVIEWED_SECONDS: Final = 60.0
"""How long a TokenReview's answer counts."""
REVIEWS_MAX: Final = 10_000
REVIEWS_AT_ONCE: Final = 8
"""Anybody may make up tokens: asking about them must leave connections to Kubernetes for the calls of others."""
TOKEN_MIN: Final = 16
"""Shorter tokens can be guessed."""

_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"


async def allow_all(headers: Mapping[str, str]) -> None:
    """API_AUTH=none."""


class StaticTokens:
    """API_AUTH=token: the bearer token must be one of these."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._digests = [_digest(token) for token in tokens]

    async def __call__(self, headers: Mapping[str, str]) -> None:
        digest = _digest(_bearer(headers))
        # Every token is compared in full: the time taken says nothing about which one was nearly right.
        if not sum(hmac.compare_digest(digest, known) for known in self._digests):
            raise _refusal()


class TokenReviews:
    """API_AUTH=kubernetes: the cluster says whether a bearer token is one of its accounts'."""

    def __init__(self, client: KubeClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._reviewed: OrderedDict[bytes, tuple[float, bool]] = OrderedDict()
        self._places = asyncio.Semaphore(REVIEWS_AT_ONCE)

    async def __call__(self, headers: Mapping[str, str]) -> None:
        token = _bearer(headers)
        digest, now = _digest(token), self._clock.monotonic()
        since, is_known = self._reviewed.get(digest, (-REVIEWED_SECONDS, False))
        if now - since >= REVIEWED_SECONDS:
            is_known = await self._review(token)
            self._remember(digest, now, is_known)
        if not is_known:
            raise _refusal()

    async def _review(self, token: str) -> bool:
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        async with self._places:
            answer = await self._client.post(_REVIEWS, body)
        return (answer.get("status") or {}).get("authenticated") is True

    def _remember(self, digest: bytes, now: float, is_known: bool) -> None:
        self._reviewed[digest] = (now, is_known)
        self._reviewed.move_to_end(digest)
        while len(self._reviewed) > REVIEWS_MAX:
            self._reviewed.popitem(last=False)


def read_tokens(path: Path) -> list[str]:
    """One token a line; empty lines and lines with # are left out. Raises ConfigError, which never shows a token."""
    try:
        lines = [line.strip() for line in path.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"API_TOKENS_FILE={str(path)!r} cannot be read ({type(error).__name__})"]) from None
    tokens = [line for line in lines if line and not line.startswith("#")]
    if not tokens:
        raise ConfigError([f"API_TOKENS_FILE={str(path)!r} has no token"])
    if any(len(token) < TOKEN_MIN for token in tokens):
        raise ConfigError([f"API_TOKENS_FILE={str(path)!r} has a token of less than {TOKEN_MIN} characters"])
    return tokens


def make(kind: str, *, tokens_file: Path | None, client: KubeClient, clock: Clock) -> Authorize:
    """The check for that API_AUTH. Raises ConfigError."""
    if kind == "token":
        assert tokens_file is not None, "the settings ask for the file"
        return StaticTokens(read_tokens(tokens_file))
    return TokenReviews(client, clock) if kind == "kubernetes" else allow_all


def _bearer(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get(hdrs.AUTHORIZATION, "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip() or not token.isascii():
        raise _refusal()
    return token.strip()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _refusal() -> ConnectError:
    return ConnectError(Code.UNAUTHENTICATED, "a valid bearer token is required in the Authorization header")
