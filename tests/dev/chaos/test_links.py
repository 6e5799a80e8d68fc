"""A link breaks what it carries in the way that it is told to, on open connections too."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from dev.chaos.links import Link, Trouble

LIMIT = 10.0


class Echo:
    """A server that answers each line with itself, and counts them."""

    def __init__(self) -> None:
        self.heard = 0
        self.changed = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.heard += 1
            self.changed.set()
            writer.write(line)
            await writer.drain()
        writer.close()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
async def echo() -> Echo:
    return Echo()


@pytest.fixture
async def link(echo: Echo) -> AsyncIterator[Link]:
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    made = Link("test", "127.0.0.1", server.sockets[0].getsockname()[1])
    await made.start()
    yield made
    await made.stop()
    server.close()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The answer; b"" where the connection is reset."""
    try:
        writer.write(b"hello\n")
        await writer.drain()
        return await asyncio.wait_for(reader.readline(), LIMIT)
    except ConnectionError:
        return b""


async def test_what_is_whole_carries_both_ways(link: Link) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    assert await ask(reader, writer) == b"hello\n"
    link.set(Trouble.SLOW)
    assert await ask(reader, writer) == b"hello\n"
    writer.close()


async def test_a_lost_reply_is_a_request_that_was_heard_and_a_connection_that_is_reset(link: Link, echo: Echo) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    link.set(Trouble.REPLIES_LOST)
    assert await ask(reader, writer) == b""
    assert echo.heard == 1
    writer.close()


async def test_a_cut_resets_what_is_open_and_takes_what_comes(link: Link) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    assert await ask(reader, writer) == b"hello\n"
    link.cut()
    assert await ask(reader, writer) == b""
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    assert await ask(reader, writer) == b"hello\n"
    writer.close()


async def test_a_server_that_refuses_is_heard_of_at_once(link: Link, echo: Echo) -> None:
    link.set(Trouble.REFUSED)
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    assert await ask(reader, writer) == b""
    assert echo.heard == 0
    writer.close()


async def test_a_silent_link_keeps_what_was_sent_and_delivers_it_late(link: Link, echo: Echo) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    assert await ask(reader, writer) == b"hello\n"
    link.set(Trouble.SILENT)
    answer = asyncio.create_task(ask(reader, writer))
    other, other_writer = await asyncio.open_connection("127.0.0.1", link.port)
    other_answer = asyncio.create_task(ask(other, other_writer))
    await asyncio.sleep(0.1)
    assert (echo.heard, answer.done(), other_answer.done()) == (1, False, False)
    link.set(Trouble.NONE)
    assert await answer == await other_answer == b"hello\n"
    await echo.until(lambda: echo.heard == 3)
    writer.close()
    other_writer.close()
