"""``python -m dev.bench.operator``: what ``jennah operator`` runs, on `InstantProvider` in place of a cloud's adapter.

Its settings are the operator's, with BATCH_PROVIDER=gcp, and of its own: BENCH_RUN_SECONDS (how long a job runs) and
BENCH_CONTROL_PORT, where on loopback ``GET /stats`` tells what was asked of the provider and when each job came to it,
and ``POST /end`` (a list of external names) has jobs complete and answers with the time.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator

import msgspec
from aiohttp import web

from controller import logs, main, settings
from dev.bench.instant import InstantProvider


async def run() -> None:
    found = settings.read_operator()
    logs.set_up(found.common.log_level, found.common.log_format)
    provider = InstantProvider(run_seconds=float(os.environ["BENCH_RUN_SECONDS"]))
    async with controlling(provider, int(os.environ["BENCH_CONTROL_PORT"])):
        await main.run(found, lambda _settings, _clock: provider)


@contextlib.asynccontextmanager
async def controlling(provider: InstantProvider, port: int) -> AsyncIterator[None]:
    """Answer the harness on that port of loopback."""

    async def stats(_: web.Request) -> web.Response:
        return _json({"calls": provider.calls, "submitted": provider.submitted})

    async def end(request: web.Request) -> web.Response:
        for name in msgspec.json.decode(await request.read(), type=list[str]):
            if not provider.end(name):
                raise web.HTTPNotFound(text=name)
        return _json(time.time())

    app = web.Application(client_max_size=2**26)
    app.router.add_get("/stats", stats)
    app.router.add_post("/end", end)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


if __name__ == "__main__":
    asyncio.run(run())
