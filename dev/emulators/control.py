"""The side door of a stand-in, for tests: what really ran there, and which faults it has."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec
from aiohttp import web

from dev.emulators.faults import Dice, Faults


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One cloud job as it really is, whatever reads are told."""

    id: str
    """The service's own id: two entries are two jobs."""
    name: str
    """Our external name."""
    uid: str
    """The JennahJob's uid, as the cloud job carries it."""
    state: str
    """The service's word."""
    created_at: float
    """Seconds since 1970."""
    ran_seconds: float
    """How long its container has run, over all attempts; 0: it never started."""
    exit_code: int | None = None
    """Of a set of tasks: of the first that failed, else 0 once all have ended."""
    tasks: int = 1
    """The tasks that were made of it."""
    tasks_made_again: int = 0
    """Those that were made a second time, after they had been removed."""
    most_at_once: int = 1
    """The most tasks of it that there ever were at once and had not ended."""


Ledger = Callable[[], Sequence[LedgerEntry]]


@contextlib.asynccontextmanager
async def serving(ledger: Ledger, dice: Dice | None, port: int) -> AsyncIterator[int]:
    """Answer ``GET /ledger`` and, where there are dice, ``GET /faults`` and ``PUT /faults`` on loopback; the port."""

    async def get_ledger(_: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(list(ledger())), content_type="application/json")

    app = web.Application()
    app.router.add_get("/ledger", get_ledger)
    if dice is not None:
        _serve_faults(app, dice)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _serve_faults(app: web.Application, dice: Dice) -> None:
    async def get_faults(_: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(dice.faults), content_type="application/json")

    async def put_faults(request: web.Request) -> web.Response:
        try:
            dice.faults = msgspec.json.decode(await request.read(), type=Faults)
        except msgspec.MsgspecError as error:
            return web.Response(status=400, text=str(error))
        return await get_faults(request)

    app.router.add_get("/faults", get_faults)
    app.router.add_put("/faults", put_faults)
