"""An HTTP proxy in front of DynamoDB's stand-in that fails as the real one does: throttles, conflicts, lost replies.

A fault is a function of the request: it may answer by itself, forward, or break the connection.
"""

import io
import json
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self

from aiohttp import ClientConnectionError, ClientSession, web

Body = dict[str, Any]
Forward = Callable[[], Awaitable[web.Response]]
Fault = Callable[[Body, Forward], Awaitable[web.Response | None]]
"""None breaks the connection."""


class FaultyProxy:
    """Forwards to `target`; keeps what it was asked as (operation, body)."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._faults: dict[str, deque[Fault]] = {}
        self._always: dict[str, Fault] = {}
        self._port = 0
        self._runner: web.AppRunner | None = None
        self.requests: list[tuple[str, Body]] = []

    async def __aenter__(self) -> Self:
        self._session = ClientSession(auto_decompress=False)
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await self._session.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Listen: the second time at the same port as the first."""
        application = web.Application(client_max_size=32 * 1024**2)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Refuse connections, and break those that are open."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def fail(self, operation: str, *faults: Fault) -> None:
        """The next requests of that operation meet these, one each."""
        self._faults.setdefault(operation, deque()).extend(faults)

    def fail_always(self, operation: str, fault: Fault | None) -> None:
        """All requests of that operation meet this one; None ends it."""
        self._always.pop(operation, None)
        if fault is not None:
            self._always[operation] = fault

    def count(self, operation: str) -> int:
        return sum(name == operation for name, _ in self.requests)

    async def _handle(self, request: web.Request) -> web.Response:
        operation = request.headers["X-Amz-Target"].rpartition(".")[2]
        raw = await request.read()
        body = json.loads(raw)
        self.requests.append((operation, body))

        async def forward() -> web.Response:
            headers = {name: request.headers[name] for name in ("X-Amz-Target", "Content-Type", "Authorization")}
            async with self._session.post(self._target, data=io.BytesIO(raw), headers=headers) as answer:
                return web.Response(status=answer.status, body=await answer.read())

        queued = self._faults.get(operation)
        fault = queued.popleft() if queued else self._always.get(operation)
        try:
            response = await (fault(body, forward) if fault else forward())
        except ClientConnectionError:  # the client gave up, or the test is over
            response = None
        if response is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return response


async def lose_the_request(_: Body, __: Forward) -> None:
    """The connection breaks before the service has it."""


async def lose_the_reply(_: Body, forward: Forward) -> None:
    """It is done, and the connection breaks before the reply: an unknown outcome."""
    await forward()


def refuse(code: str, status: int = 400) -> Fault:
    """That error, and nothing done."""

    async def fault(_: Body, __: Forward) -> web.Response:
        return _error(status, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "secret detail"})

    return fault


def cancel(code: str, *, at: Sequence[int] = (0,)) -> Fault:
    """A cancelled transaction, for that reason at these of its actions."""

    async def fault(body: Body, _: Forward) -> web.Response:
        reasons = [{"Code": code if index in at else "None"} for index in range(len(body["TransactItems"]))]
        return _error(400, {"__type": "TransactionCanceledException", "CancellationReasons": reasons, "Message": "m"})

    return fault


def refuse_with(text: str, code: str = "ValidationException") -> Fault:
    """That error for all requests which contain the text; the others pass."""

    async def fault(body: Body, forward: Forward) -> web.Response | None:
        return await (refuse(code)(body, forward) if text in json.dumps(body) else forward())

    return fault


def first(action: Callable[[], Awaitable[object]]) -> Fault:
    """Something else happens just before the request is done."""

    async def fault(_: Body, forward: Forward) -> web.Response:
        await action()
        return await forward()

    return fault


def answer(body: Body) -> Fault:
    async def fault(_: Body, __: Forward) -> web.Response:
        return web.Response(status=200, body=json.dumps(body).encode())

    return fault


def _error(status: int, body: Body) -> web.Response:
    return web.Response(status=status, body=json.dumps(body).encode(), content_type="application/x-amz-json-1.0")
