"""A stand-in for Cosmos DB's REST API over HTTP: real transactional batches, and faults on demand.

It knows the requests that the store makes to write (a query by ids, a batch), to open, and to blank variables (a query
over all partitions, in pages of two; a patch), and answers them as the service does: a batch that fails changes
nothing, and its reply is HTTP 207 with the operation's own status and 424 for all others. Unlike the emulator it can
fail: a fault is taken from `faults` by the next request of its kind.
"""

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Document = dict[str, Any]
Handler = Callable[["web.Request"], Awaitable[web.StreamResponse]]
Fault = Callable[["Service", web.Request, Handler], Awaitable[web.StreamResponse]]

SCHEMA = {"id": "schema", "tenantId": "$schema", "type": "schema", "version": 2, "_etag": "s"}
MISSING = {"x-ms-substatus": "1003"}


class Service:
    """One account with one database and its container."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.documents: dict[tuple[str, str], Document] = {("$schema", "schema"): dict(SCHEMA)}
        self.has_container = True
        self.refused: dict[str, int] = {}
        """Status by document id: operations that write it always fail with that."""
        self.faults: dict[str, deque[Fault]] = defaultdict(deque)
        """For the next requests, by kind: account, database, databases, batch, query, scan, read, patch."""
        self.always: dict[str, Fault] = {}
        """Faults that never end, by kind."""
        self.batches: list[list[Document]] = []
        self.requests: list[str] = []
        self.late: list[asyncio.Task[web.StreamResponse]] = []
        """What `do_it_late` has begun."""
        self._etags = 0

    def of_type(self, kind: str) -> list[Document]:
        return [document for document in self.documents.values() if document["type"] == kind]

    async def account(self, request: web.Request) -> web.StreamResponse:
        here = [{"name": "here", "databaseAccountEndpoint": self.endpoint}]
        return web.json_response({"writableLocations": here, "readableLocations": here})

    async def read_container(self, request: web.Request) -> web.StreamResponse:
        if not self.has_container:
            return web.json_response({}, status=404, headers=MISSING)
        return web.json_response({"id": "records", "_rid": "r", "partitionKey": {"paths": ["/tenantId"]}})

    async def no_more(self, request: web.Request) -> web.StreamResponse:
        """Databases are read and created by faults only."""
        return web.json_response({}, status=400)

    async def read(self, request: web.Request) -> web.StreamResponse:
        found = self.documents.get((_partition(request), request.match_info["id"]))
        return web.json_response(found) if found else web.json_response({}, status=404)

    async def query(self, request: web.Request) -> web.StreamResponse:
        ids = [p["value"] for p in (json.loads(await request.read()))["parameters"] if p["name"].startswith("@id")]
        found = [self.documents[key] for id in ids if (key := (_partition(request), id)) in self.documents]
        return web.json_response({"Documents": found, "_count": len(found)})

    async def scan(self, request: web.Request) -> web.StreamResponse:
        """The rows that have variables, whatever is asked for of them."""
        found = [document for document in self.of_type("job") if "envVarsJson" in document]
        start = int(request.headers.get("x-ms-continuation", "0"))
        page = found[start : start + 2]
        # The answer has an etag of its own, which is no token.
        headers = {"etag": "no-token"} | ({"x-ms-continuation": str(start + 2)} if found[start + 2 :] else {})
        return web.json_response({"Documents": page, "_count": len(page)}, headers=headers)

    async def patch(self, request: web.Request) -> web.StreamResponse:
        key = _partition(request), request.match_info["id"]
        document = self.documents.get(key)
        if document is None:
            return web.json_response({}, status=404)
        if request.headers.get("if-match", document["_etag"]) != document["_etag"]:
            return web.json_response({}, status=412)
        [operation] = json.loads(await request.read())["operations"]
        assert operation["op"] == "set"
        self._etags += 1
        changed = {operation["path"].removeprefix("/"): operation["value"], "_etag": f'"{self._etags}"'}
        self.documents[key] = {**document, **changed}
        return web.json_response({})

    async def batch(self, request: web.Request) -> web.StreamResponse:
        operations = json.loads(await request.read())
        self.batches.append(operations)
        before, etags, statuses = dict(self.documents), self._etags, list[int]()
        for operation in operations:
            statuses.append(self._write(_partition(request), operation))
            if statuses[-1] >= 400:
                self.documents, self._etags = before, etags
                results = [424] * len(operations)
                results[len(statuses) - 1] = statuses[-1]
                return web.json_response([{"statusCode": status} for status in results], status=207)
        return web.json_response([{"statusCode": status} for status in statuses])

    def _write(self, partition: str, operation: Document) -> int:
        body = operation.get("resourceBody", {})
        key = (partition, operation.get("id") or body["id"])
        old = self.documents.get(key)
        kind, etag = operation["operationType"], operation.get("ifMatch")
        if key[1] in self.refused:
            return self.refused[key[1]]
        if kind == "Create" and old:
            return 409
        if kind in ("Replace", "Delete") and not old:
            return 404
        if etag and old and old["_etag"] != etag:
            return 412
        if kind == "Delete":
            del self.documents[key]
            return 204
        self._etags += 1
        self.documents[key] = {**body, "_etag": f'"{self._etags}"'}
        return 200 if old else 201


async def lose_the_reply(service: Service, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Do it, then cut the connection: the outcome is unknown."""
    await handler(request)
    return await cut(service, request, handler)


async def cut(service: Service, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Cut the connection without doing it."""
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def do_it_late(service: Service, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Cut the connection, and do it when it has long been done again."""
    await request.read()

    async def later() -> web.StreamResponse:
        await asyncio.sleep(0.5)
        return await handler(request)

    service.late.append(asyncio.create_task(later()))
    return await cut(service, request, handler)


async def hang(service: Service, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Do it, and answer far too late."""
    answer = await handler(request)
    await asyncio.sleep(60)
    return answer


def status(code: int, **headers: str) -> Fault:
    """Answer with that status, without doing it. Header names with _ for -."""

    async def answer(service: Service, request: web.Request, handler: Handler) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response({"code": "x", "message": "quotes secret values"}, status=code, headers=named)

    return answer


def first(change: Callable[[Service], None]) -> Fault:
    """Let another writer be faster: change the documents, then go on."""

    async def answer(service: Service, request: web.Request, handler: Handler) -> web.StreamResponse:
        change(service)
        return await handler(request)

    return answer


def operation_status(code: int, index: int = 0) -> Fault:
    """A batch that one operation made fail, for a reason that passes."""

    async def answer(service: Service, request: web.Request, handler: Handler) -> web.StreamResponse:
        results = [{"statusCode": 424} for _ in json.loads(await request.read())]
        results[index] = {"statusCode": code}
        return web.json_response(results, status=207)

    return answer


@asynccontextmanager
async def serve() -> AsyncIterator[Service]:
    """A service on a port of its own."""
    service = Service()

    def guarded(kind: str, handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            service.requests.append(kind)
            waiting = service.faults[kind]
            fault = waiting.popleft() if waiting else service.always.get(kind)
            return await (fault(service, request, handler) if fault else handler(request))

        return handle

    query, scan, batch = guarded("query", service.query), guarded("scan", service.scan), guarded("batch", service.batch)

    async def post(request: web.Request) -> web.StreamResponse:
        if "x-ms-cosmos-is-batch-request" in request.headers:
            return await batch(request)
        return await (query if "x-ms-documentdb-partitionkey" in request.headers else scan)(request)

    container = "/dbs/jennah/colls/records"
    app = web.Application()
    app.router.add_get("/", guarded("account", service.account))
    app.router.add_post("/dbs", guarded("databases", service.no_more))
    app.router.add_get("/dbs/jennah/", guarded("database", service.no_more))
    app.router.add_get(f"{container}/", service.read_container)
    app.router.add_post(f"{container}/docs/", post)
    app.router.add_get(f"{container}/docs/{{id}}/", guarded("read", service.read))
    app.router.add_patch(f"{container}/docs/{{id}}/", guarded("patch", service.patch))
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    service.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield service
    finally:
        await runner.cleanup()


def _partition(request: web.Request) -> str:
    [partition] = json.loads(request.headers["x-ms-documentdb-partitionkey"])
    return str(partition)
