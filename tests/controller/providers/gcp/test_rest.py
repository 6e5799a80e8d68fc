"""The adapter against the service's REST reference: a server that knows methods, paths and JSON from there alone.

It takes no notice of what it need not know (filters, field masks), shows jobs by name, a few at a time, has no tasks
but those that failed, and answers with fields and states that no SDK has yet.
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from google.cloud import batch_v1

from controller.clock import SystemClock
from controller.cloud_settings import read_gcp
from controller.domain import reasons
from controller.domain.errors import Forbidden, Throttled, Unavailable
from controller.domain.phases import Phase
from controller.providers.gcp import calls, clients, rest
from controller.providers.gcp.provider import GcpProvider
from controller.variables import Environment
from tests.controller.providers.gcp.harness import PROJECT, REGION, ref_of, request_for, settings_for

PARENT = f"projects/{PROJECT}/locations/{REGION}"
PAGE = 2
TIME = "2026-01-01T00:00:00Z"


class Server:
    """projects.locations.jobs: create, get, list, cancel, delete; taskGroups.tasks: list."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.exit_codes: dict[str, int] = {}
        self.bodies: list[Any] = []
        self.headers: list[Any] = []
        self.instead: list[web.Response] = []
        """What the next calls are answered with after they were done."""
        self.takes_filters = True
        self.hangs = False
        self.has_cancel = True
        self.without_tasks = 501
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        path, verb = request.path.removeprefix("/v1/"), request.method
        self.headers.append(request.headers)
        if self.hangs:
            await asyncio.sleep(60)
        answer = await self._answer(path, verb, request)
        return self.instead.pop(0) if self.instead else answer

    async def _answer(self, path: str, verb: str, request: web.Request) -> web.Response:
        if (verb, path) == ("POST", f"{PARENT}/jobs"):
            return self._create(request.query, await request.json())
        if (verb, path) == ("GET", f"{PARENT}/jobs"):
            if request.query.get("filter") and not self.takes_filters:
                return failed(400, "INVALID_ARGUMENT")
            return self._list(int(request.query.get("pageToken", "0")))
        if path.endswith("/taskGroups/group0/tasks"):
            name = path.partition("/taskGroups/")[0]
            if name not in self.exit_codes:
                return web.Response(status=self.without_tasks, text="no")
            execution = {"taskState": "FAILED", "taskExecution": {"exitCode": self.exit_codes[name]}}
            status = {"state": "FAILED", "statusEvents": [{"eventTime": TIME, **execution}]}
            return web.json_response({"tasks": [{"name": f"{name}/taskGroups/group0/tasks/0", "status": status}]})
        name, _, method = path.partition(":")
        if method and not self.has_cancel:
            return web.Response(status=404, text="404: Not Found")
        job = self.jobs.get(name)
        if job is None:
            return failed(404, "NOT_FOUND")
        if method == "cancel":
            if job["status"]["state"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
                return failed(400, "FAILED_PRECONDITION")
            job["status"]["state"] = "CANCELLED"
        if verb == "DELETE":
            del self.jobs[name]
        return web.json_response({"name": "operations/1"} if verb != "GET" else job)

    def _create(self, query: Any, body: Any) -> web.Response:
        name = f"{PARENT}/jobs/{query['jobId']}"
        self.bodies.append(body)
        uuid.UUID(query["requestId"])
        if name in self.jobs:
            return failed(409, "ALREADY_EXISTS")
        more = {"name": name, "uid": f"uid-{len(self.jobs)}", "createTime": TIME, "somethingNew": {"a": [None]}}
        self.jobs[name] = {**body, **more, "status": {"state": "QUEUED", "runDuration": None}}
        return web.json_response(self.jobs[name])

    def _list(self, start: int) -> web.Response:
        found = [self.jobs[name] for name in sorted(self.jobs)]
        more = {"nextPageToken": str(start + PAGE)} if start + PAGE < len(found) else {}
        return web.json_response({"jobs": found[start : start + PAGE], **more} if found else {})


def failed(status: int, word: str) -> web.Response:
    error = {"code": status, "message": f"it is {word}", "status": word, "details": [{"@type": "type/unknown"}]}
    return web.json_response({"error": error}, status=status)


@contextlib.asynccontextmanager
async def serving(server: Server) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(server.handle), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    async with serving(made) as made.url:
        yield made


@pytest.fixture
async def provider(server: Server) -> AsyncIterator[GcpProvider]:
    made = GcpProvider(settings_for(server.url), SystemClock())
    yield made
    await made.close()


async def test_a_job_is_made_seen_in_all_its_states_and_removed(server: Server, provider: GcpProvider) -> None:
    await provider.open()
    request = request_for(("sh", "-c", "true"), env={"A": "1"}, spot=True)
    ref = ref_of(request)
    submitted = await provider.submit(request)
    assert (submitted.uid, submitted.phase) == (request.uid, Phase.PENDING)
    (body,) = server.bodies
    assert body["taskGroups"][0]["taskSpec"]["environment"]["variables"]["A"] == "1"
    assert body["taskGroups"][0]["taskSpec"]["maxRunDuration"] == "3600s"
    assert body["allocationPolicy"]["instances"][0]["policy"]["provisioningModel"] == "SPOT"
    assert body["logsPolicy"] == {"destination": "CLOUD_LOGGING"}
    status = server.jobs[submitted.resource_path]["status"]
    for state, phase in (("RUNNING", Phase.RUNNING), ("SOMETHING_NEW", None), ("SUCCEEDED", Phase.COMPLETED)):
        status["state"] = state
        seen = (await provider.observe([ref]))[ref.external_name]
        assert seen.phase is phase
        assert await provider.get(ref) == seen
    await provider.cancel(ref, reason="too late")
    await provider.delete(ref)
    await provider.delete(ref)
    assert await provider.get(ref) is None
    assert not await provider.cancel(ref, reason="gone")


async def test_a_failure_has_the_exit_code_of_its_task(server: Server, provider: GcpProvider) -> None:
    request = request_for()
    path = (await provider.submit(request)).resource_path
    server.jobs[path]["status"]["state"] = "FAILED"
    server.exit_codes[path] = 7
    seen = await provider.get(ref_of(request))
    assert (seen.phase, seen.exit_code, seen.reason) == (Phase.FAILED, 7, reasons.NON_ZERO_EXIT)


async def test_all_jobs_are_found_page_by_page_in_whatever_order(server: Server, provider: GcpProvider) -> None:
    requests = [request_for() for _ in range(30)]
    for request in requests:
        await provider.submit(request)
    seen = await provider.observe([ref_of(request) for request in requests])
    assert {one.uid for one in seen.values()} == {request.uid for request in requests}
    assert len(await provider.unclaimed({requests[0].uid})) == 29


async def test_where_filters_are_refused_all_jobs_are_listed(
    server: Server, provider: GcpProvider, caplog: pytest.LogCaptureFixture
) -> None:
    server.takes_filters = False
    await provider.open()
    requests = [request_for() for _ in range(3)]
    for request in requests:
        await provider.submit(request)
    for _ in range(2):
        seen = await provider.observe([ref_of(request) for request in requests])
        assert {one.uid for one in seen.values()} == {request.uid for request in requests}
    assert len([line for line in caplog.messages if "without a filter" in line]) == 1


async def test_a_job_that_runs_is_cancelled(server: Server, provider: GcpProvider) -> None:
    request = request_for()
    await provider.submit(request)
    assert await provider.cancel(ref_of(request), reason="because")
    assert (await provider.get(ref_of(request))).phase is Phase.CANCELLED


@pytest.mark.parametrize(
    "lost",
    [
        web.Response(status=503, text="<html>"),
        web.Response(status=504),
        web.Response(status=200, text="{"),
        failed(409, "ABORTED"),
        failed(500, "INTERNAL"),
    ],
    ids=lambda answer: str(answer.status),
)
async def test_a_job_whose_reply_was_lost_is_adopted(server: Server, provider: GcpProvider, lost: web.Response) -> None:
    server.instead.append(lost)
    request = request_for()
    with pytest.raises(Unavailable):
        await provider.submit(request)
    assert (await provider.submit(request)).uid == request.uid
    assert len(server.jobs) == 1


async def test_a_conflict_without_a_word_is_looked_into(server: Server, provider: GcpProvider) -> None:
    request = request_for()
    await provider.submit(request)
    server.instead.append(web.Response(status=409, text="Conflict"))
    assert (await provider.submit(request)).uid == request.uid


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (web.Response(status=404, text="404: Not Found"), Unavailable),
        (web.Response(status=400, text="Bad Request"), calls.Refused),
        (web.Response(status=401), Forbidden),
        (web.Response(status=403, text="[]"), Forbidden),
        (web.Response(status=412, text='{"error": "no"}'), calls.Refused),
        (web.Response(status=413), calls.Refused),
        (web.Response(status=429, text='{"error": {"code": 429}}'), Throttled),
        (web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), Unavailable),
        (web.Response(status=405), calls.Unimplemented),
        (web.Response(status=501), calls.Unimplemented),
        (failed(400, "FAILED_PRECONDITION"), calls.Refused),
        (failed(429, "RESOURCE_EXHAUSTED"), Throttled),
        (failed(500, "NO_SUCH_WORD"), Unavailable),
    ],
)
async def test_every_error_becomes_one_of_ours(
    server: Server, provider: GcpProvider, answer: web.Response, expected: type[Exception]
) -> None:
    server.instead.append(answer)
    with pytest.raises(expected) as raised:
        await provider.submit(request_for())
    assert type(raised.value) is expected


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_a_service_without_tasks_fails_jobs_without_an_exit_code(
    server: Server, provider: GcpProvider, status: int
) -> None:
    server.without_tasks = status
    request = request_for()
    path = (await provider.submit(request)).resource_path
    server.jobs[path]["status"]["state"] = "FAILED"
    seen = await provider.get(ref_of(request))
    assert (seen.phase, seen.exit_code) == (Phase.FAILED, None)


async def test_what_cannot_be_reached_is_unavailable_and_no_more_is_told(server: Server) -> None:
    provider = GcpProvider(settings_for("http://127.0.0.1:1"), SystemClock())
    with pytest.raises(Unavailable):
        await provider.submit(request_for())
    await provider.close()


async def test_a_404_without_a_word_is_no_proof_that_a_job_is_gone(server: Server, provider: GcpProvider) -> None:
    server.has_cancel = False
    request = request_for()
    await provider.submit(request)
    with pytest.raises(calls.Unimplemented):
        await provider.cancel(ref_of(request), reason="because")
    assert not await provider.cancel(ref_of(request_for()), reason="because")


async def test_every_call_has_a_time_limit(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "CALL_SECONDS", 0.1)
    server.hangs = True
    provider = GcpProvider(settings_for(server.url), SystemClock())
    with pytest.raises(calls.TimedOut):
        await provider.submit(request_for())
    await provider.close()


async def test_https_is_spoken_with_credentials_and_http_without(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Credentials:
        valid = False

        def refresh(self, request: object) -> None:
            self.valid = True

        def apply(self, headers: dict[str, str]) -> None:
            headers["authorization"] = "Bearer token"

    monkeypatch.setattr(clients, "_credentials", Credentials)
    secure = await clients.make("https://batch.example")
    assert isinstance(secure, rest.RestClient)
    assert secure._credentials is not None
    await secure.close()
    clients_made = (rest.RestClient(server.url, Credentials()), "Bearer token"), (await clients.make(server.url), None)
    for client, expected in clients_made:
        with pytest.raises(Exception, match="NOT_FOUND"):
            await client.get_job(batch_v1.GetJobRequest(name=f"{PARENT}/jobs/none"))
        assert server.headers[-1].get("Authorization") == expected
        await client.close()


@pytest.mark.parametrize(
    ("endpoint", "is_fine"),
    [("127.0.0.1:9", True), ("http://h:9/", True), ("https://h", True), ("grpc://h:9", False), ("h:9/v1", False)],
)
def test_an_endpoint_is_a_host_and_port_or_a_url(endpoint: str, is_fine: bool) -> None:
    env = Environment({"BATCH_PROJECT_ID": "p", "GCP_BATCH_ENDPOINT": endpoint})
    assert read_gcp(env, "r").endpoint == endpoint.rstrip("/")
    assert bool(env.faults) is not is_fine
