"""What the kinds of authentication have in common: a principal, and the rule for its tenants."""

from typing import Final, Protocol

import msgspec

NAME_MAX: Final = 256


class Principal(msgspec.Struct, frozen=True):
    """Who calls."""

    kind: str
    """How that is known: a word of API_AUTH; "anonymous" where nobody is asked."""
    name: str
    """Unique within the kind: a name of the tokens file, a user name of Kubernetes, the subject of a JWT."""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name[:NAME_MAX]}" if self.name else self.kind


class Identity(Protocol):
    """A caller whose token is good."""

    @property
    def principal(self) -> Principal: ...

    async def may_act_for(self, tenant_id: str) -> bool:
        """Raises ConnectError `unavailable`, or an error of ours, where that cannot be found out now."""
        ...


class Authenticator(Protocol):
    """One kind of authentication."""

    async def identify(self, token: str, remote: str) -> Identity | None:
        """Whose token it is; None for one that is not of this kind, or not good. `remote`: the caller's address.

        Raises ConnectError `unavailable`, or an error of ours, where that cannot be found out now.
        """
        ...

    async def close(self) -> None: ...


class Named(msgspec.Struct, frozen=True):
    """An identity whose tenants are written down."""

    principal: Principal
    tenants: frozenset[str]
    has_all: bool = False
    """Whether it may act for every tenant."""

    async def may_act_for(self, tenant_id: str) -> bool:
        return self.has_all or tenant_id in self.tenants


ANYBODY: Final = Named(Principal("anonymous", ""), frozenset(), has_all=True)
"""API_AUTH=none."""
