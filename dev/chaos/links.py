"""A TCP proxy between one program and one server, on which things go wrong: cut, slow, silent, replies lost.

It knows nothing of what it carries (TLS, gRPC, HTTP, PostgreSQL), so it breaks all of them alike.
"""

import asyncio
import contextlib
from enum import StrEnum

CHUNK = 2**16
LOSE_AFTER_SECONDS = 0.2
"""From the first swallowed bytes of a reply until the connection is reset: the request has gone through by then."""


class Trouble(StrEnum):
    """What is wrong with a link."""

    NONE = "none"
    REFUSED = "refused"
    """Connections are reset, and new ones as well: the server is down, or a firewall says no."""
    SLOW = "slow"
    """Every chunk comes late, both ways."""
    SILENT = "silent"
    """Connections stay open and nothing comes through: a router dropped its tables."""
    REPLIES_LOST = "replies lost"
    """Requests get through; instead of the reply the connection is reset."""


class Link:
    """Carries connections from `port` on loopback to `host`:`upstream`."""

    def __init__(self, name: str, host: str, upstream: int, *, slow_seconds: float = 0.3) -> None:
        self.name = name
        self.port = 0
        self.trouble = Trouble.NONE
        self._host, self._upstream = host, upstream
        self._slow_seconds = slow_seconds
        self._healed = asyncio.Event()
        self._healed.set()
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    def set(self, trouble: Trouble) -> None:
        """Have that trouble from now on, on open connections too."""
        self.trouble = trouble
        if trouble is Trouble.SILENT:
            self._healed.clear()
        else:
            self._healed.set()
        if trouble is Trouble.REFUSED:
            self.cut()

    def cut(self) -> None:
        """Reset all open connections; new ones are taken."""
        for line in self._lines:
            line.cancel()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        await asyncio.gather(*self._lines, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = asyncio.current_task()
        assert line is not None
        self._lines.add(line)
        try:
            # A cut ends the line quietly: asyncio would tell of the task of a stream that was cancelled.
            with contextlib.suppress(OSError, asyncio.CancelledError):
                if self.trouble is not Trouble.REFUSED:
                    await self._carry(reader, writer)
        finally:
            writer.transport.abort()
            self._lines.discard(line)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Both ways, until one side ends."""
        far_reader, far_writer = await asyncio.open_connection(self._host, self._upstream)
        ways = [
            asyncio.create_task(self._pump(reader, far_writer, is_reply=False)),
            asyncio.create_task(self._pump(far_reader, writer, is_reply=True)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            far_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_reply: bool) -> None:
        while data := await reader.read(CHUNK):
            if self.trouble is Trouble.SLOW:
                await asyncio.sleep(self._slow_seconds)
            await self._healed.wait()
            if is_reply and self.trouble is Trouble.REPLIES_LOST:
                await asyncio.sleep(LOSE_AFTER_SECONDS)
                return
            writer.write(data)
            await writer.drain()
