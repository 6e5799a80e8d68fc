"""In front of every method: which host is called, who calls, for which tenant. It is settled before a body is read."""

from collections.abc import Sequence
from typing import Final

from aiohttp import hdrs
from multidict import MultiMapping

from api import validation
from api.auth.principal import ANYBODY, Authenticator, Identity
from api.connect import headers
from api.connect.errors import Code, ConnectError
from api.connect.methods import Context
from api.hosts import KnownHosts

ONCE: Final = (validation.TENANT_HEADER, hdrs.AUTHORIZATION, validation.IDEMPOTENCY_HEADER)
"""Headers that mean something else to each reader where they are sent twice."""


class Gate:
    """Lets calls in. Without authenticators anybody may act for every tenant."""

    def __init__(self, authenticators: Sequence[Authenticator], hosts: KnownHosts) -> None:
        self._authenticators = authenticators
        self._hosts = hosts

    async def admit(self, call: Context) -> None:
        """Note the principal and the tenant in the call.

        Raises ConnectError, or an error of ours where Kubernetes or the issuer cannot be asked.
        """
        self._hosts.check(call.headers, call.target)
        for name in ONCE:
            headers.single(call.headers, name)
        identity = await self._identify(call)
        call.principal = identity.principal
        call.tenant_id = validation.tenant_id(call.headers)
        if not await identity.may_act_for(call.tenant_id):
            raise ConnectError(
                Code.PERMISSION_DENIED,
                f"this caller (by {call.principal.kind}) may not act for tenant {call.tenant_id}",
            )

    async def close(self) -> None:
        for authenticator in self._authenticators:
            await authenticator.close()

    async def _identify(self, call: Context) -> Identity:
        if not self._authenticators:
            return ANYBODY
        token = _bearer(call.headers)
        for authenticator in self._authenticators:
            if identity := await authenticator.identify(token, call.remote):
                return identity
        raise _refusal()


def _bearer(found: MultiMapping[str]) -> str:
    scheme, _, token = headers.single(found, hdrs.AUTHORIZATION).partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or not token.isascii():
        raise _refusal()
    if "," in token:  # two headers that a proxy has joined; no token has one
        raise headers.sent_twice(hdrs.AUTHORIZATION)
    return token


def _refusal() -> ConnectError:
    return ConnectError(Code.UNAUTHENTICATED, "a valid bearer token is required in the Authorization header")
