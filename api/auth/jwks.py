"""The public keys of an OpenID Connect issuer: found by its discovery document, kept, and asked for again.

Keys count for an hour after they were read, so a short outage of the issuer stops nobody. A key that is not known is
looked for at the issuer, at most once in 30 s: an issuer that changes its keys is followed, and callers who make up
key ids cannot make us ask it for each.
"""

import asyncio
import logging
import ssl
from typing import Any, Final

import aiohttp
import jwt
import msgspec

from api.auth.settings import is_safe
from api.connect.errors import Code, ConnectError
from controller import proxies
from controller.ports import Clock

LOG = logging.getLogger(__name__)

FRESH_SECONDS: Final = 600.0
"""Older keys are read again, beside the calls that use them."""
KEPT_SECONDS: Final = 3600.0
"""How long keys count while the issuer cannot be read."""
PAUSE_SECONDS: Final = 30.0
"""The least time between two looks at an issuer whose keys we have."""
RETRY_SECONDS: Final = 2.0
"""The same while we have none."""
CALL_SECONDS: Final = 10.0
DOCUMENT_MAX: Final = 1024 * 1024
WAITING_MAX: Final = 128
"""Calls that wait for the issuer."""
ALGORITHMS: Final = ("RS256", "ES256")

_DISCOVERY = "/.well-known/openid-configuration"


class IssuerUnreadable(Exception):
    """The issuer gives no keys. The message is for the log."""


class IssuerKeys:
    """The keys of one issuer."""

    def __init__(self, issuer: str, clock: Clock, tls: ssl.SSLContext | None = None) -> None:
        """`tls`: whom to trust; None: the system's authorities."""
        self._issuer = issuer
        self._clock = clock
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._keys: list[jwt.PyJWK] = []
        self._read_at = self._tried_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._waiting = 0
        self._said = ""

    async def find(self, key_id: str | None) -> jwt.PyJWK | None:
        """The key of that id; without an id the only one. None where the issuer has no such key.

        Raises ConnectError `unavailable` where the issuer cannot be read and its keys are not known.
        """
        age = self._clock.monotonic() - self._read_at
        if age < KEPT_SECONDS and (known := self._known(key_id)):
            if age >= FRESH_SECONDS:
                self._read_again()
            return known
        if self._read_again():
            await self._wait()
        if self._clock.monotonic() - self._read_at >= KEPT_SECONDS:
            raise _unavailable("the issuer of tokens cannot be read, try again")
        return self._known(key_id)

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def _known(self, key_id: str | None) -> jwt.PyJWK | None:
        found = [key for key in self._keys if key_id in (None, key.key_id)]
        return found[0] if len(found) == 1 else None

    def _read_again(self) -> bool:
        """Whether the issuer is being read, by this call or an earlier one."""
        if self._reading is None:
            now = self._clock.monotonic()
            if now - self._tried_at < (PAUSE_SECONDS if self._keys else RETRY_SECONDS):
                return False
            self._tried_at = now
            self._reading = asyncio.create_task(self._read())
        return True

    async def _wait(self) -> None:
        assert self._reading is not None
        if self._waiting >= WAITING_MAX:
            raise _unavailable("too many callers wait for the issuer of tokens, try again")
        self._waiting += 1
        try:
            await asyncio.shield(self._reading)
        finally:
            self._waiting -= 1

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                self._keys = await self._fetch_keys()
        except (IssuerUnreadable, aiohttp.ClientError, OSError, TimeoutError) as error:
            self._say(f"OIDC_ISSUER={self._issuer}: {str(error) or type(error).__name__}")
        else:
            self._read_at = self._clock.monotonic()
            self._say("")
        finally:
            self._reading = None

    def _say(self, fault: str) -> None:
        """One line a change."""
        if fault and fault != self._said:
            LOG.warning("the keys of callers' tokens cannot be read: %s", fault)
        elif self._said and not fault:
            LOG.info("the keys of callers' tokens can be read again")
        self._said = fault

    async def _fetch_keys(self) -> list[jwt.PyJWK]:
        found = await self._fetch(self._issuer.rstrip("/") + _DISCOVERY)
        if found.get("issuer") != self._issuer:
            raise IssuerUnreadable("its discovery document is of another issuer")
        url = found.get("jwks_uri")
        if not isinstance(url, str) or not is_safe(url):
            raise IssuerUnreadable("its discovery document names no https address of keys")
        listed = (await self._fetch(url)).get("keys")
        keys = [key for each in (listed if isinstance(listed, list) else []) if (key := _usable(each))]
        if not keys:
            raise IssuerUnreadable(f"it has no key for {' or '.join(ALGORITHMS)}")
        return keys

    async def _fetch(self, url: str) -> dict[str, Any]:
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        options: dict[str, Any] = {} if self._tls is None else {"ssl": self._tls}
        # A redirect could lead from https to http, or to another host.
        async with self._session.get(url, allow_redirects=False, proxy=proxies.for_url(url), **options) as response:
            if response.status != 200:
                raise IssuerUnreadable(f"{url} answers {response.status}")
            data = bytearray()
            async for chunk in response.content.iter_any():
                data += chunk
                if len(data) > DOCUMENT_MAX:
                    raise IssuerUnreadable(f"{url} is larger than {DOCUMENT_MAX} bytes")
        try:
            found = msgspec.json.decode(bytes(data))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise IssuerUnreadable(f"{url} is no JSON object")
        return found


def _usable(key: object) -> jwt.PyJWK | None:
    """The key, where it is one for signatures of our algorithms."""
    if not isinstance(key, dict) or key.get("use", "sig") != "sig":
        return None
    try:
        found = jwt.PyJWK(key)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    return found if found.algorithm_name in ALGORITHMS else None


def _unavailable(message: str) -> ConnectError:
    return ConnectError(Code.UNAVAILABLE, message, retry_after=int(RETRY_SECONDS))
