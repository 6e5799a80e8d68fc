"""A server that writes down the first line of what comes, and says 503: as a proxy, or as what is behind one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Recorder:
    """Listening at `host` and `port`."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.port = 0
        self.lines: list[str] = []
        """The first lines: ``CONNECT host:443 HTTP/1.1``; ``PRI * HTTP/2.0`` for gRPC."""
        self.has_any = asyncio.Event()

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Recorder"]:
        server = await asyncio.start_server(self._serve, self.host, 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            line = await reader.readline()
            if line:
                self.lines.append(line.decode("latin-1").strip())
                self.has_any.set()
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()
