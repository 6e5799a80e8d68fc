"""The service over HTTP, as boto3 speaks it (REST-JSON), with faults on demand; usable in a test's own process."""

import contextlib
import itertools
import re
import time
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import msgspec
from aiohttp import web

from dev.emulators import http
from dev.emulators.aws import shapes
from dev.emulators.aws.checks import QUEUES, ClientFault, QueueSpec
from dev.emulators.aws.service import Service
from dev.emulators.control import LedgerEntry
from dev.emulators.faults import Dice, Faults

MUTATING = frozenset(
    {"SubmitJob", "RegisterJobDefinition", "DeregisterJobDefinition", "CancelJob", "TerminateJob", "TerminateJobs"}
)

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


_SCOPE = re.compile(r"Credential=[^/]+/\d+/([a-z0-9-]+)/batch/aws4_request")


class Emulator:
    """A stand-in: its service, its dice, and what it was asked. Each region that a request is signed for has a service
    of its own, as they know nothing of each other's jobs."""

    def __init__(
        self,
        faults: Faults | None = None,
        *,
        seed: int | None = None,
        region: str = "eu-west-1",
        queues: Sequence[QueueSpec] = QUEUES,
        step_seconds: float = 0.05,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.dice = Dice(faults or Faults(), seed)

        def make(region: str) -> Service:
            return Service(
                clock,
                region=region,
                queues=queues,
                step_seconds=step_seconds,
                hidden=lambda: self.dice.up_to(self.dice.faults.hidden_seconds),
            )

        self._make = make
        self.service = make(region)
        """That of `region`, which requests are for that are not signed."""
        self._regions = {region: self.service}
        self.counts: Counter[str] = Counter()
        """Requests that arrived, by operation, whatever became of them."""
        self.instead: defaultdict[str, deque[Answer]] = defaultdict(deque)
        """Answers that the next requests of an operation get, instead of being done."""
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request of the service."""
        operation = shapes.operations().get(request.path)
        body = await request.read()
        if operation is None or request.method != "POST":
            return failed(404, "UnknownOperationException", "Unknown operation")
        self.counts[operation] += 1
        if self.instead[operation]:
            return await self.instead[operation].popleft()(request)
        faults, dice = self.dice.faults, self.dice
        if dice.hits(faults.throttled):
            return failed(429, "TooManyRequestsException", "Too Many Requests")
        if operation in MUTATING and dice.hits(faults.lost_requests):
            return drop(request)
        answer = self._answer(self.region(_region_of(request)), operation, body)
        if operation in MUTATING and dice.hits(faults.lost_replies):
            return drop(request) if dice.hits(0.5) else failed(500, "ServerException", "Internal server error")
        return answer

    def region(self, name: str) -> Service:
        """The service of that region; of "" the first one."""
        if not name:
            return self.service
        if name not in self._regions:
            self._regions[name] = self._make(name)
        return self._regions[name]

    def ledger(self) -> list[LedgerEntry]:
        """Every job of every region."""
        return list(itertools.chain.from_iterable(service.ledger() for service in self._regions.values()))

    def _answer(self, service: Service, operation: str, body: bytes) -> web.Response:
        try:
            wanted = msgspec.json.decode(body or b"{}", type=dict)
        except msgspec.MsgspecError:
            return failed(400, "ClientException", "The request is not JSON")
        if fault := shapes.fault(operation, wanted):
            return failed(400, "ClientException", f"Error executing request, Exception : {fault}")
        try:
            return reply(service.call(operation, wanted))
        except ClientFault as error:
            return failed(400, "ClientException", str(error))
        except NotImplementedError:
            return failed(404, "UnknownOperationException", f"{operation} is not played here")

    @contextlib.asynccontextmanager
    async def serving(self, port: int = 0, control_port: int = 0) -> AsyncIterator[tuple[str, int]]:
        """Answer on loopback; the URL and the control port."""
        async with http.serving(self.handle, self.ledger, self.dice, port, control_port) as (url, side_port):
            self.url = url
            yield url, side_port

    def in_thread(self) -> contextlib.AbstractContextManager[str]:
        """Answer from a thread with an event loop of its own; the URL."""
        return http.in_thread(self.serving())


def _region_of(request: web.Request) -> str:
    match = _SCOPE.search(request.headers.get("Authorization", ""))
    return match[1] if match else ""


def reply(wire: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(wire), content_type="application/json")


def failed(status: int, code: str, message: str) -> web.Response:
    """An error as REST-JSON has it: the code in a header, the text in the body."""
    return web.Response(
        status=status,
        body=msgspec.json.encode({"message": message}),
        content_type="application/json",
        headers={"x-amzn-ErrorType": code, "x-amzn-RequestId": "00000000-0000-0000-0000-000000000000"},
    )


def drop(request: web.Request) -> web.Response:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.close()
    return web.Response(status=500)
