"""A faulty connection to the in-memory API server: a small HTTP front before it, with faults as a test writes them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
from aiohttp import web
from kubernetes.aio import client as kube

from controller.kube.client import KubeClient, open_session
from tests.kubeapi import configuration_of, serving

HANG = "hang"
"""As a rule's answer: nothing is ever said."""
_HOP = {"host", "content-length", "transfer-encoding", "connection", "content-encoding"}

Rule = Callable[[web.BaseRequest], web.Response | str | None]


def status(code: int, reason: str = "", **headers: str) -> web.Response:
    """An answer of the API server's kind."""
    body = {"kind": "Status", "code": code, "reason": reason, "message": f"{reason} on purpose"}
    return web.json_response(body, status=code, headers=headers)


def is_watch(request: web.BaseRequest) -> bool:
    return request.query.get("watch") == "true"


class FaultyKube:
    """Passes requests on, but for those that `rule` answers. `requests`: method, path, whether a watch."""

    def __init__(self, upstream: kube.Configuration, client: KubeClient) -> None:
        self.client = client
        """Of the server itself, which has no faults."""
        self.rule: Rule = lambda request: None
        self.requests: list[tuple[str, str, bool]] = []
        self.watches: set[asyncio.Transport] = set()
        """The connections of those that are open."""
        self._upstream = upstream
        self._session: aiohttp.ClientSession
        self._runner: web.ServerRunner | None = None
        self._port = 0
        self._changed = asyncio.Event()

    @property
    def configuration(self) -> kube.Configuration:
        """How to reach the server through here."""
        made = kube.Configuration(host=f"http://127.0.0.1:{self._port}")
        made.api_key = dict(self._upstream.api_key)
        made.connection_pool_maxsize = 64
        return made

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["FaultyKube"]:
        async with open_session(self._upstream, limit=0) as self._session:
            await self.up()
            try:
                yield self
            finally:
                await self.down()

    async def up(self) -> None:
        """Listen, at the same port each time."""
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None, handler_cancellation=True))
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, shutdown_timeout=0.1, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def down(self) -> None:
        """Nobody listens, and what was open is closed."""
        self.drop_watches()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def drop_watches(self) -> None:
        for connection in self.watches:
            connection.abort()

    def count(self, what: Callable[[str, str, bool], bool]) -> int:
        return sum(what(*each) for each in self.requests)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Until that is so, by what came here."""
        async with asyncio.timeout(60):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append((request.method, request.path, is_watch(request)))
        self._changed.set()
        answer = self.rule(request)
        if answer == HANG:
            await asyncio.Event().wait()
        if isinstance(answer, web.Response):
            return answer
        return await self._pass_on(request)

    async def _pass_on(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        url = self._upstream.host + request.path_qs
        async with self._session.request(request.method, url, headers=headers, data=await request.read()) as reply:
            kept = {name: value for name, value in reply.headers.items() if name.lower() not in _HOP}
            response = web.StreamResponse(status=reply.status, headers=kept)
            connection = request.transport
            if is_watch(request) and connection is not None:
                self.watches.add(connection)
            try:
                await response.prepare(request)
                async for chunk in reply.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
            except ConnectionResetError:
                pass  # the client left, or was dropped
            finally:
                self.watches.discard(connection)  # type: ignore[arg-type]
            return response


@contextlib.asynccontextmanager
async def faulty_kube(data_dir: Path) -> AsyncIterator[FaultyKube]:
    """A server of its own, with the CRD, and the faulty connection to it."""
    async with serving(data_dir) as client, FaultyKube(await configuration_of(data_dir), client).running() as front:
        yield front
