"""/livez and /readyz for the kubelet, /metrics for Prometheus: of the operator, and of the API while it starts."""

import contextlib
from collections.abc import AsyncIterator, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from controller import metrics


@contextlib.asynccontextmanager
async def serving(port: int, is_ready: Callable[[], bool], *, host: str | None = None) -> AsyncIterator[None]:
    """Answer probes on that port (of all addresses, or of one) while the block runs; 0 means no port at all."""
    if not port:
        yield
        return

    async def livez(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text="ok") if is_ready() else web.Response(status=503, text="not ready")

    async def get_metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def others(_: web.Request) -> web.Response:
        # While the API starts: by a 404 its callers would take its methods for missing, and not try again.
        return web.Response(status=404) if is_ready() else web.Response(status=503, text="not ready")

    app = web.Application()
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", get_metrics)
    app.router.add_route("*", "/{path:.*}", others)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    try:
        yield
    finally:
        await runner.cleanup()
