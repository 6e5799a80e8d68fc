"""What a service gives to the endpoint: its methods, each a message in and a message out."""

from collections.abc import Awaitable, Callable

import msgspec
from google.protobuf.message import Message
from multidict import MultiMapping

from api.auth.principal import Principal


class Context(msgspec.Struct, kw_only=True):
    """What is known of a call beside its message. The gate and the method note in it what they find out."""

    headers: MultiMapping[str]
    """The request's headers; looked up without regard to case."""
    target: str = "/"
    """The request's target, as it was sent."""
    remote: str = ""
    """The address that the connection comes from; that of a proxy, where there is one."""
    principal: Principal | None = None
    """Who calls; None until that is known."""
    tenant_id: str = ""
    """For which tenant; "" until the principal is known."""
    unknown_fields: tuple[str, ...] = ()
    """Fields of the request that were ignored, as paths in the caller's words."""
    subject: dict[str, str] = {}
    """What a call changes, for its line in the audit log: names and ids that were found valid."""


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """One unary method. `call` raises ConnectError or an error of `controller.domain.errors`."""

    name: str
    request: type[Message]
    call: Callable[[Context, Message], Awaitable[Message]]
    is_audited: bool = False
    """Whether each call of it is a line in the audit log."""
