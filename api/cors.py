"""CORS for the origins that ALLOWED_ORIGINS names, as connect-web's pages need it; off where it names none."""

from collections.abc import Awaitable, Callable, Collection
from typing import Final

from aiohttp import hdrs, web

ALLOWED_HEADERS: Final = (
    "Authorization, Connect-Protocol-Version, Connect-Timeout-Ms, Content-Encoding, Content-Type, "
    "Idempotency-Key, X-Tenant-Id, X-User-Agent"
)
MAX_AGE_SECONDS: Final = 7200
"""How long a browser may remember a preflight: the most that Chrome does."""

_REQUESTED_METHOD = "Access-Control-Request-Method"
_METHOD = "POST"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Cors:
    """A wrapper around the endpoint."""

    def __init__(self, origins: Collection[str], handler: Handler) -> None:
        self._origins = frozenset(origins)
        self._handler = handler

    async def handle(self, request: web.Request) -> web.StreamResponse:
        origin = request.headers.get(hdrs.ORIGIN, "")
        is_allowed = bool(origin) and (origin in self._origins or "*" in self._origins)
        if is_allowed and request.method == hdrs.METH_OPTIONS and _REQUESTED_METHOD in request.headers:
            response: web.StreamResponse = _preflight()
        else:
            response = await self._handler(request)
        if self._origins:
            _add_vary(response)
        if is_allowed:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = "Accept-Post, Allow, Retry-After, Warning"
        return response


def _preflight() -> web.Response:
    headers = {
        "Access-Control-Allow-Methods": _METHOD,
        "Access-Control-Allow-Headers": ALLOWED_HEADERS,
        "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
    }
    return web.Response(status=204, headers=headers)


def _add_vary(response: web.StreamResponse) -> None:
    """A cache must not give one origin's answer to another."""
    known = response.headers.get(hdrs.VARY)
    response.headers[hdrs.VARY] = f"{known}, {hdrs.ORIGIN}" if known else hdrs.ORIGIN
