"""A database that is not there at the start: said once, tried again, not ready and alive meanwhile."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp
import pytest

from dev.stack import free_port


@contextlib.asynccontextmanager
async def program(command: str, variables: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "api.cli", command),
        env={"PATH": os.environ["PATH"], **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


@pytest.mark.parametrize("command", ["operator", "api"])
async def test_it_waits_alive_and_not_ready_and_says_so_once(command: str, tmp_path: Path) -> None:
    port, metrics_port = str(free_port(0)), str(free_port(0))
    secret = "pa55word"
    variables = {
        "DB_PROVIDER": "postgres",
        "DB_ENDPOINT": f"postgresql://user:{secret}@127.0.0.1:{free_port(0)}/jennah",
        "BATCH_PROVIDER": "local",
        "JENNAH_ALLOW_LOCAL_PROVIDER": "true",
        "JENNAH_DATA_DIR": str(tmp_path),
        "HEALTH_PORT": port,
        "WORKER_PORT": port,
        "WORKER_HOST": "127.0.0.1",
        "METRICS_PORT": metrics_port,
    }
    async with program(command, variables) as process, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        assert process.stdout is not None
        lines: list[str] = []
        while "waiting:" not in "".join(lines):
            lines.append((await asyncio.wait_for(process.stdout.readline(), 30)).decode())
        async with http.get("/livez") as alive, http.get("/readyz") as ready:
            assert (alive.status, ready.status) == (200, 503)
        async with http.get("/health") as health, http.post("/jennah.v1.DeploymentService/ListJobs") as call:
            assert (health.status, call.status) == (503, 503)
        if command == "api":
            async with http.get("/metrics") as hidden, http.get(f"http://127.0.0.1:{metrics_port}/metrics") as told:
                assert (hidden.status, told.status) == (503, 200)
        process.send_signal(signal.SIGTERM)
        rest, _ = await process.communicate()
        output = "".join(lines) + rest.decode()
    assert process.returncode == 0, output
    assert output.count("waiting:") == 1
    assert secret not in output
    assert "Traceback" not in output
