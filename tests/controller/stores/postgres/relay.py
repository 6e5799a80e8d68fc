"""A TCP relay in front of a database, at which a test loses connections, replies or the whole server."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit, urlunsplit


class Relay:
    """Forwards between clients and the server of a URL."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._port = 0
        self.is_silent = False
        """Takes what clients send, and neither forwards nor answers."""
        self.loses_question: Callable[[bytes], bool] = lambda _: False
        """Whether to lose the connection instead of forwarding these bytes of a client."""
        self.loses_answer: Callable[[bytes], bool] = lambda _: False
        """The same for these bytes of the server."""
        self.lost = 0
        self.questions = 0
        """How often clients asked for all answers up to there, which they wait for: round trips."""

    @property
    def url(self) -> str:
        parts = urlsplit(self._url)
        credentials = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{credentials}@127.0.0.1:{self._port}"))

    async def listen(self) -> None:
        """Take connections, on the same port each time."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """As a server that is down: lose all connections, take none."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._connections):
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._connections.add(writer)
        try:
            target = urlsplit(self._url)
            server_reader, server_writer = await asyncio.open_connection(target.hostname, target.port)
            try:
                await _Line(self, reader, writer, server_reader, server_writer).run()
            finally:
                server_writer.transport.abort()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._connections.discard(writer)
            self._tasks.discard(task)


_WAITING = re.compile(rb"(?:[HS]\x00\x00\x00\x04)+")
"""Flush and Sync of the protocol, one of them or both."""


class _Line:
    """One client's connection."""

    def __init__(
        self,
        relay: Relay,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        self._relay = relay
        self._client, self._to_client = client, to_client
        self._server, self._to_server = server, to_server

    async def run(self) -> None:
        both = [asyncio.ensure_future(self._forward()), asyncio.ensure_future(self._backward())]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _forward(self) -> None:
        while data := await self._client.read(65536):
            if self._relay.loses_question(data):
                self._relay.lost += 1
                return
            self._relay.questions += len(_WAITING.findall(data))
            if not self._relay.is_silent:
                self._to_server.write(data)
                await self._to_server.drain()

    async def _backward(self) -> None:
        while data := await self._server.read(65536):
            if self._relay.loses_answer(data):
                self._relay.lost += 1
                return
            self._to_client.write(data)
            await self._to_client.drain()


@contextlib.asynccontextmanager
async def relaying(url: str) -> AsyncIterator[Relay]:
    relay = Relay(url)
    await relay.listen()
    try:
        yield relay
    finally:
        await relay.refuse()


def once(sign: bytes) -> Callable[[bytes], bool]:
    """True for the first bytes that contain that sign, and for none afterwards."""
    seen = False

    def is_first(data: bytes) -> bool:
        nonlocal seen
        if seen or sign not in data:
            return False
        seen = True
        return True

    return is_first
