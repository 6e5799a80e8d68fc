"""Beside the service: probes, CORS, who may call, and the stop."""

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from api import metrics
from api.app import PROBES, create_app, make_runner
from api.main import serve, tell_who_may_call
from controller.clock import SystemClock
from controller.kube.client import KubeClient
from controller.stores.sqlite import SqliteStore
from tests.api.harness import SERVICE, TENANT, Api, api_settings, serving

ORIGIN = "https://jennah.example.com"


async def test_health_is_as_the_original_until_it_stops(api: Api) -> None:
    reply = await api.raw("/health", None, method="GET")
    assert (reply.status, reply.data, reply.headers["Content-Type"]) == (200, b"OK", "text/plain; charset=utf-8")
    api.app[PROBES].is_stopping = True
    for path in ("/health", "/readyz"):
        assert (await api.raw(path, None, method="GET")).status == 503
    assert (await api.raw("/livez", None, method="GET")).status == 200


async def test_without_origins_there_is_no_cors(api: Api) -> None:
    preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    reply = await api.raw(SERVICE + "GetJob", None, method="OPTIONS", **preflight)
    assert reply.status == 405
    assert "Access-Control-Allow-Origin" not in reply.headers


async def test_a_page_of_an_allowed_origin_may_call(kube: KubeClient, store: SqliteStore) -> None:
    async with serving(kube, store, api_settings(allowed_origins=(ORIGIN,))) as api:
        preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
        reply = await api.raw(SERVICE + "GetJob", None, method="OPTIONS", **preflight)
        assert (reply.status, reply.headers["Access-Control-Allow-Origin"]) == (204, ORIGIN)
        allowed = reply.headers["Access-Control-Allow-Headers"].lower()
        for header in ("x-tenant-id", "content-type", "connect-protocol-version", "connect-timeout-ms"):
            assert header in allowed
        reply = await api.call("ListJobs", Origin=ORIGIN)
        assert (reply.status, reply.headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)
        assert reply.headers["Vary"] == "Accept-Encoding, Origin"
        other = await api.call("ListJobs", Origin="https://evil.example.com")
        assert "Access-Control-Allow-Origin" not in other.headers
        foreign = {**preflight, "Origin": "https://evil.example.com"}
        assert (await api.raw(SERVICE + "GetJob", None, method="OPTIONS", **foreign)).status == 405


async def test_the_start_is_told_and_a_stop_lets_requests_end(
    kube: KubeClient, store: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = api_settings(stop_delay_seconds=0.05, cancel_wait_seconds=0.5)
    stop, clock = asyncio.Event(), SystemClock()
    app = create_app(client=kube, store=store, settings=settings, clock=clock)
    server = asyncio.create_task(serve(app, settings, clock=clock, stop=stop))
    url = await listening(capsys)
    async with aiohttp.ClientSession(headers={"X-Tenant-Id": TENANT}) as http:

        async def call(method: str, message: dict[str, Any]) -> int:
            async with http.post(f"{url}{SERVICE}{method}", json=message) as response:
                return response.status

        assert await call("SubmitJob", {"image_uri": "i", "job_id": "a"}) == 200
        in_flight = asyncio.create_task(call("CancelJob", {"job_id": "a"}))
        await asyncio.sleep(0.01)
        stop.set()
        while not app[PROBES].is_stopping:
            await asyncio.sleep(0)
        async with http.get(f"{url}/health") as response:
            assert response.status == 503
        assert await in_flight == 200
    await server
    with pytest.raises(OSError):
        await asyncio.open_connection(*url.removeprefix("http://").split(":"))


def test_that_anybody_may_call_is_told(caplog: pytest.LogCaptureFixture) -> None:
    tell_who_may_call(api_settings(port=8081))
    assert [each.getMessage() for each in caplog.records] == [
        "API_AUTH=none: anybody who reaches 127.0.0.1:8081 may act for every tenant"
    ]
    assert metrics.AUTHENTICATION_DISABLED._value.get() == 1
    caplog.clear()
    tell_who_may_call(api_settings(kinds=("kubernetes",)))
    assert (caplog.records, metrics.AUTHENTICATION_DISABLED._value.get()) == ([], 0)


async def test_callers_are_sent_away_while_it_stops(api: Api) -> None:
    """A Gateway that keeps its connections would go on with a replica whose port closes soon."""
    assert "Connection" not in (await api.call("ListJobs")).headers
    api.app[PROBES].is_stopping = True
    for reply in (
        await api.call("ListJobs"),
        await api.call("GetJob", {}),
        await api.raw("/livez", None, method="GET"),
    ):
        assert reply.headers["Connection"] == "close"


async def test_connections_are_closed_by_their_callers_and_not_under_them() -> None:
    """Go's client keeps an idle connection for 90 s, Google's load balancers for 600 s, Envoy for an hour."""
    runner = make_runner(web.Application())
    await runner.setup()
    assert runner.server is not None
    assert runner.server().keepalive_timeout > 3600
    await runner.cleanup()


async def test_a_port_that_is_taken_is_an_error(kube: KubeClient, store: SqliteStore, api: Api) -> None:
    port = int(api.url.rpartition(":")[2])
    settings = api_settings(stop_delay_seconds=0.0)
    app = create_app(client=kube, store=store, settings=settings, clock=SystemClock())
    taken = type(settings)(common=settings.common, host="127.0.0.1", port=port)
    with pytest.raises(OSError):
        await serve(app, taken, clock=SystemClock(), stop=asyncio.Event())


async def listening(capsys: pytest.CaptureFixture[str]) -> str:
    """The address in the last of the lines that the start prints."""
    printed = ""
    async with asyncio.timeout(5):
        while "listening" not in printed:
            await asyncio.sleep(0.001)
            printed += capsys.readouterr().out
    handler, health, worker = printed.splitlines()
    assert handler == "ConnectRPC handler registered at path: /jennah.v1.DeploymentService/"
    assert health == "Health check endpoint: /health"
    return "http://" + worker.removeprefix("Worker listening on ")
