"""The account over HTTP, as the SDK speaks it, with faults on demand; usable in a test's own process."""

import contextlib
import re
import time
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

import msgspec
from aiohttp import web

from dev.emulators import http
from dev.emulators.azure import auth, odata
from dev.emulators.azure.pools import POOLS, PoolSpec
from dev.emulators.azure.service import ACTIVE_JOBS, MAX_BODY, Fault, Service
from dev.emulators.faults import Dice, Faults

API_VERSIONS = frozenset({"2025-06-01"})
PAGE_SIZE = 1000

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ID = r"[^/]+"
_ROUTES: Sequence[tuple[str, str, str]] = (
    ("GET", r"/pools", "list_pools"),
    ("GET", rf"/pools/({_ID})", "get_pool"),
    ("HEAD", rf"/pools/({_ID})", "pool_exists"),
    ("GET", r"/jobs", "list_jobs"),
    ("POST", r"/jobs", "create_job"),
    ("GET", rf"/jobs/({_ID})", "get_job"),
    ("PATCH", rf"/jobs/({_ID})", "update_job"),
    ("DELETE", rf"/jobs/({_ID})", "delete_job"),
    ("POST", rf"/jobs/({_ID})/terminate", "terminate_job"),
    ("GET", rf"/jobs/({_ID})/tasks", "list_tasks"),
    ("POST", rf"/jobs/({_ID})/tasks", "create_task"),
    ("POST", rf"/jobs/({_ID})/addtaskcollection", "create_tasks"),
    ("GET", rf"/jobs/({_ID})/tasks/({_ID})", "get_task"),
    ("DELETE", rf"/jobs/({_ID})/tasks/({_ID})", "delete_task"),
    ("POST", rf"/jobs/({_ID})/tasks/({_ID})/terminate", "terminate_task"),
    ("GET", rf"/jobs/({_ID})/tasks/({_ID})/files/(.+)", "get_file"),
)
MUTATING = frozenset(
    {"create_job", "update_job", "delete_job", "terminate_job", "create_task", "create_tasks", "delete_task"}
    | {"terminate_task"}
)


class Emulator:
    """A stand-in: its service, its dice, and what it was asked."""

    def __init__(
        self,
        faults: Faults | None = None,
        *,
        seed: int | None = None,
        pools: Sequence[PoolSpec] = POOLS,
        active_jobs: int = ACTIVE_JOBS,
        step_seconds: float = 0.05,
        takes_prefixes: bool = True,
        takes_filters: bool = True,
        ignores_filters: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`takes_prefixes`: whether lists can be filtered by the beginning of ids; `takes_filters`: at all.
        `ignores_filters`: whether they have everything, whatever is asked for."""
        self._takes_prefixes = takes_prefixes
        self._takes_filters = takes_filters
        self._ignores_filters = ignores_filters
        self.dice = Dice(faults or Faults(), seed)
        self.service = Service(
            clock,
            pools=pools,
            active_jobs=active_jobs,
            step_seconds=step_seconds,
            hidden=lambda: self.dice.up_to(self.dice.faults.hidden_seconds),
        )
        self.counts: Counter[str] = Counter()
        """Requests that arrived, by operation, whatever became of them."""
        self.queries: list[Mapping[str, str]] = []
        """The parameters of every list of tasks."""
        self.instead: defaultdict[str, deque[Answer]] = defaultdict(deque)
        """Answers that the next requests of an operation get, instead of being done."""
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request of the service."""
        body = await request.read()
        operation, ids = _operation(request)
        if operation is None:
            return failed(404, "ResourceNotFound", "The specified resource does not exist.")
        self.counts[operation] += 1
        if self.instead[operation]:
            return await self.instead[operation].popleft()(request)
        if request.query.get("api-version") not in API_VERSIONS:
            return failed(400, "InvalidApiVersion", "The API version is not known.")
        refused = auth.refusal(request)
        if refused is not None:
            return failed(*refused, "Server failed to authenticate the request.")
        faults, dice = self.dice.faults, self.dice
        if dice.hits(faults.throttled):
            return failed(503, "ServerBusy", "The server is busy. Please try again later.")
        if operation in MUTATING and dice.hits(faults.lost_requests):
            return drop(request)
        answer = self._answer(operation, ids, request, body)
        answer.headers["Date"] = formatdate(self.service.clock(), usegmt=True)
        if operation in MUTATING and dice.hits(faults.lost_replies):
            return drop(request) if dice.hits(0.5) else failed(500, "InternalError", "Server encountered an error.")
        return answer

    def _answer(self, operation: str, ids: Sequence[str], request: web.Request, body: bytes) -> web.StreamResponse:
        try:
            return self._done(operation, ids, request, body)
        except Fault as fault:
            return failed(fault.status, fault.code, str(fault))
        except odata.BadQuery as bad:
            return failed(400, "InvalidQueryParameterValue", f"A query parameter is not valid: {bad}")
        except msgspec.MsgspecError:
            return failed(400, "InvalidRequestBody", "The request body is not valid.")

    def _done(self, operation: str, ids: Sequence[str], request: web.Request, body: bytes) -> web.StreamResponse:
        service, select = self.service, request.query.get("$select", "")
        if len(body) >= MAX_BODY:
            raise Fault(413, "RequestBodyTooLarge", "The request body is too large.")
        wanted: dict[str, Any] = msgspec.json.decode(body, type=dict) if body else {}
        match operation:
            case "list_pools":
                return self._page(request, service.list_pools(), lambda pool: pool)
            case "get_pool":
                return reply(odata.selected(service.get_pool(*ids), select))
            case "pool_exists":
                service.get_pool(*ids)
                return reply(None)
            case "list_jobs":
                return self._page(request, service.list_jobs(), lambda job: job)
            case "get_job":
                return reply(odata.selected(service.get_job(*ids), select))
            case "list_tasks":
                self.queries.append(dict(request.query))
                show, tasks = service.list_tasks(*ids)
                begun = int(request.query.get("$skiptoken", "0"))
                left = [task for task in tasks if task.number > begun]
                return self._page(request, left, show, number=lambda task: int(task.number))
            case "get_task":
                return reply(odata.selected(service.get_task(*ids), select))
            case "get_file":
                return web.Response(text=service.get_file(*ids), content_type="application/octet-stream")
            case "create_job":
                service.create_job(wanted)
            case "create_task":
                service.create_task(ids[0], wanted)
            case "create_tasks":
                return reply({"value": service.create_tasks(ids[0], wanted.get("value", []))})
            case "update_job":
                service.update_job(ids[0], wanted)
            case "terminate_job":
                service.terminate_job(ids[0], wanted.get("terminateReason", ""))
            case "delete_job":
                service.delete_job(*ids)
            case "terminate_task":
                service.terminate_task(*ids)
            case "delete_task":
                service.delete_task(*ids)
        return reply(None, status=_STATUSES[operation])

    def _page(
        self,
        request: web.Request,
        items: Sequence[Any],
        show: Callable[[Any], Any],
        *,
        number: Callable[[Any], int] | None = None,
    ) -> web.Response:
        """One page of those that $filter is true of, and the link of the next. With `number` the items are those that
        are left, and the link says behind which number it goes on, whatever is removed meanwhile."""
        query = request.query
        size = int(query.get("maxresults", PAGE_SIZE))
        if not 1 <= size <= PAGE_SIZE:
            raise Fault(400, "OutOfRangeQueryParameterValue", "maxresults is out of range.")
        if not self._takes_filters and query.get("$filter"):
            raise odata.BadQuery(query["$filter"])
        if not self._takes_prefixes and "startswith" in query.get("$filter", ""):
            raise odata.BadQuery("startswith")
        test = odata.parse(query["$filter"]) if query.get("$filter") and not self._ignores_filters else None
        found: list[Any] = []
        place = int(query.get("$skiptoken", "0")) if number is None else 0
        while place < len(items) and len(found) < size:
            shown = show(items[place])
            place += 1
            if test is None or test(shown):
                found.append(odata.selected(shown, query.get("$select", "")))
        wire: dict[str, Any] = {"odata.metadata": f"{self.url}/$metadata", "value": found}
        if place < len(items):
            again = {**query, "$skiptoken": str(place if number is None else number(items[place - 1]))}
            rest = "&".join(f"{quote(name)}={quote(text)}" for name, text in again.items())
            wire["odata.nextLink"] = f"{self.url}{request.path}?{rest}"
        return reply(wire)

    @contextlib.asynccontextmanager
    async def serving(self, port: int = 0, control_port: int = 0) -> AsyncIterator[tuple[str, int]]:
        """Answer on loopback; the URL and the control port."""
        async with http.serving(self.handle, self.service.ledger, self.dice, port, control_port) as (url, side_port):
            self.url = self.service.url = url
            yield url, side_port

    def in_thread(self) -> contextlib.AbstractContextManager[str]:
        """Answer from a thread with an event loop of its own; the URL."""
        return http.in_thread(self.serving())


_STATUSES = {
    "create_job": 201,
    "create_task": 201,
    "update_job": 200,
    "terminate_job": 202,
    "delete_job": 202,
    "terminate_task": 204,
    "delete_task": 200,
}


def _operation(request: web.Request) -> tuple[str | None, Sequence[str]]:
    for method, pattern, operation in _ROUTES:
        match = re.fullmatch(pattern, request.path)
        if match is not None and request.method == method:
            return operation, match.groups()
    return None, ()


def reply(wire: object, *, status: int = 200) -> web.Response:
    body = msgspec.json.encode(wire) if wire is not None else b""
    headers = {"request-id": "00000000-0000-0000-0000-000000000000"}
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def failed(status: int, code: str, message: str) -> web.Response:
    """An error as the service writes it."""
    text = f"{message}\nRequestId:00000000-0000-0000-0000-000000000000\nTime:2026-01-01T00:00:00.0000000Z"
    return reply({"code": code, "message": {"lang": "en-US", "value": text}}, status=status)


def drop(request: web.Request) -> web.Response:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.close()
    return web.Response(status=500)
