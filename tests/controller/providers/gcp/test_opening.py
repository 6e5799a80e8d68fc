"""The start: credentials, the project, and the connection to the service."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.auth.credentials import AnonymousCredentials

from controller.domain.errors import ConfigError, Unavailable
from controller.providers.gcp import clients
from controller.providers.gcp.provider import GcpProvider
from tests.controller.fakes import FakeClock
from tests.controller.providers.gcp.harness import PROJECT, World, settings_for


async def test_opening_asks_for_one_job(world: World) -> None:
    await world.provider.open()
    assert world.server.calls == {"ListJobs": 1}


@pytest.mark.parametrize("code", [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED])
async def test_refused_credentials_stop_the_start_with_the_roles_that_are_needed(
    world: World, code: grpc.StatusCode
) -> None:
    world.aborting(("ListJobs", code, "Permission 'batch.jobs.list' denied"))
    with pytest.raises(ConfigError) as stopped:
        await world.provider.open()
    (line,) = stopped.value.faults
    for word in (
        "roles/batch.jobsEditor",
        "roles/iam.serviceAccountUser",
        "roles/logging.logWriter",
        "batch.jobs.list",
    ):
        assert word in line
    assert "\n" not in line


async def test_a_wrong_project_stops_the_start_with_its_variable(world: World) -> None:
    world.aborting(("ListJobs", grpc.StatusCode.NOT_FOUND, "no such project"))
    with pytest.raises(ConfigError, match=f"BATCH_PROJECT_ID={PROJECT}"):
        await world.provider.open()


async def test_missing_credentials_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")  # so that nothing else is looked for
    provider = GcpProvider(settings_for(""), FakeClock())
    with pytest.raises(ConfigError, match="application default ones"):
        await provider.open()
    await provider.close()


@pytest.fixture
async def token_server() -> AsyncIterator[tuple[str, list[int]]]:
    """A server that refuses every token request with the last status of that list; its URL."""
    statuses = [400]

    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"error": "invalid_grant"}, status=statuses[-1])

    app = web.Application()
    app.router.add_post("/token", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/token", statuses
    await runner.cleanup()


async def test_refused_credentials_stop_the_start_before_any_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, token_server: tuple[str, list[int]]
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {"type": "service_account", "client_email": "a@b.c", "token_uri": token_server[0], "private_key": pem}
    file = tmp_path / "key.json"
    file.write_text(json.dumps({**account, "project_id": PROJECT, "private_key_id": "k", "client_id": "1"}))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    provider = GcpProvider(settings_for(""), FakeClock())
    with pytest.raises(ConfigError, match=r"roles/batch\.jobsEditor") as stopped:
        await provider.open()
    assert "invalid_grant" in str(stopped.value)
    assert "PRIVATE" not in str(stopped.value)
    await provider.close()


async def test_a_service_that_cannot_be_reached_is_waited_for() -> None:
    async with World().running() as world:
        endpoint = world.server.endpoint
    provider = GcpProvider(settings_for(endpoint), FakeClock())
    with pytest.raises(Unavailable, match="by gRPC; for REST write http://"):
        await provider.open()
    await provider.close()


@pytest.mark.parametrize("endpoint", ["", "127.0.0.1:1"], ids=["service", "stand-in"])
async def test_connections_that_die_are_found_out(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    made: list[tuple[str, dict[str, Any]]] = []

    def channel(make: Any) -> Any:
        def recording(target: str, *more: Any, **settings: Any) -> Any:
            made.append((target, dict(settings["options"])))
            return make(target, *more, **settings)

        return recording

    monkeypatch.setattr(grpc.aio, "insecure_channel", channel(grpc.aio.insecure_channel))
    monkeypatch.setattr(grpc.aio, "secure_channel", channel(grpc.aio.secure_channel))
    monkeypatch.setattr(clients, "_credentials", AnonymousCredentials)
    client = await clients.make(endpoint)
    await client.close()
    ((target, options),) = made
    assert target == (endpoint or "batch.googleapis.com:443")
    assert options["grpc.max_receive_message_length"] == -1
    assert options["grpc.keepalive_time_ms"] == 30_000
    assert options["grpc.keepalive_timeout_ms"] == 10_000
    assert options["grpc.max_reconnect_backoff_ms"] == 10_000
