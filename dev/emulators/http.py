"""The HTTP front of a stand-in: on loopback, with its side door, in a program or in a thread of a test."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

from aiohttp import web

from dev.emulators import control
from dev.emulators.faults import Dice

LARGEST_REQUEST_BYTES = 4 * 2**20

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def serving(
    handle: Handle, ledger: control.Ledger, dice: Dice, port: int, control_port: int
) -> AsyncIterator[tuple[str, int]]:
    """Answer every path by `handle`; the URL and the control port."""
    app = web.Application(client_max_size=LARGEST_REQUEST_BYTES)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        async with control.serving(ledger, dice, control_port) as side_port:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}", side_port
    finally:
        await runner.cleanup()


@contextlib.contextmanager
def in_thread(front: contextlib.AbstractAsyncContextManager[tuple[str, int]]) -> Iterator[str]:
    """Answer from a thread with an event loop of its own, for callers that block theirs; the URL."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="emulator", daemon=True)
    thread.start()
    try:
        url, _ = asyncio.run_coroutine_threadsafe(front.__aenter__(), loop).result(10)
        yield url
        asyncio.run_coroutine_threadsafe(front.__aexit__(None, None, None), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
