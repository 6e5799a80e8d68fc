"""/livez and /readyz for the kubelet, /metrics for Prometheus: small servers beside what a program does."""

import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Handler = Callable[[web.Request], Awaitable[web.Response]]


@contextlib.asynccontextmanager
async def serving(
    port: int,
    is_ready: Callable[[], bool],
    *,
    host: str | None = None,
    registry: CollectorRegistry | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[None]:
    """Answer probes on that port (of all addresses, or of one) while the block runs; 0 means no port at all.

    With a registry /metrics as well: the operator's port. Without one: the API's own, while it starts.
    """

    async def livez(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text="ok") if is_ready() else web.Response(status=503, text="not ready")

    async def others(_: web.Request) -> web.Response:
        # While the API starts: by a 404 its callers would take its methods for missing, and not try again.
        return web.Response(status=404) if is_ready() else web.Response(status=503, text="not ready")

    app = web.Application()
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    if registry is not None:
        app.router.add_get("/metrics", _metrics_of(registry))
    app.router.add_route("*", "/{path:.*}", others)
    async with _listening(app, port, host, tls):
        yield


@contextlib.asynccontextmanager
async def exposing(registry: CollectorRegistry, port: int, *, host: str | None = None) -> AsyncIterator[None]:
    """Answer /metrics, and nothing else, on that port while the block runs; 0 means no port at all."""
    app = web.Application()
    app.router.add_get("/metrics", _metrics_of(registry))
    async with _listening(app, port, host):
        yield


def _metrics_of(registry: CollectorRegistry) -> Handler:
    async def get_metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return get_metrics


@contextlib.asynccontextmanager
async def _listening(
    app: web.Application, port: int, host: str | None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[None]:
    if not port:
        yield
        return
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
        yield
    finally:
        await runner.cleanup()
