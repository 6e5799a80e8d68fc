"""Open files: programs with a low limit raise it; where none is left callers are sent away, with one line a change."""

import asyncio
import contextlib
import subprocess
import sys
from pathlib import Path

SECONDS = 20.0
ROOT = Path(__file__).parents[2]
SERVER = """
import asyncio, logging, resource, sys
from controller import open_files

class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

async def main():
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr)
    open_files.QUIET_SECONDS = 1.5  # asyncio tries again after one
    resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT, HARD))
    open_files.prepare(1000)

    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0, backlog=100)
    print(server.sockets[0].getsockname()[1], resource.getrlimit(resource.RLIMIT_NOFILE)[0], flush=True)
    async with server:
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


class Server:
    """An echo service in a process with that soft and hard limit."""

    def __init__(self, soft: int, hard: int) -> None:
        code = SERVER.replace("SOFT", str(soft)).replace("HARD", str(hard))
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port, self.limit = map(int, self._process.stdout.readline().split())

    def line(self) -> str:
        """The next of its log."""
        assert self._process.stderr is not None
        return self._process.stderr.readline().strip()

    def stop(self) -> list[str]:
        """Ends it; the lines of its log that were not read yet."""
        _, errors = self._process.communicate(timeout=SECONDS)
        return str(errors).splitlines()


async def call(port: int) -> asyncio.StreamWriter | None:
    """A connection that has been answered; None where it was closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(SECONDS):
        with contextlib.suppress(OSError):
            writer.write(b"hello\n")
            if await reader.readline() == b"hello\n":
                return writer
    writer.close()
    return None


def test_the_soft_limit_is_raised_without_a_word() -> None:
    server = Server(64, 2000)
    assert server.limit == 1000
    assert server.stop() == []


async def test_without_files_callers_are_sent_away_and_the_log_has_one_line_a_change() -> None:
    server = Server(32, 64)
    assert server.limit == 64
    assert "is 64, less than 1000" in server.line()
    answers = await asyncio.gather(*(call(server.port) for _ in range(100)))
    accepted = [writer for writer in answers if writer is not None]
    assert 40 < len(accepted) < 64
    assert server.line().startswith("ERROR no file can be opened")
    for writer in accepted:
        writer.close()
    assert await asyncio.to_thread(server.line) == "INFO files can be opened again"
    again = await call(server.port)
    assert again is not None
    again.close()
    assert await asyncio.to_thread(server.stop) == []
