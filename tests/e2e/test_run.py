"""``make run``: its first lines, its stop, and what it says where it cannot start."""

import asyncio
import os
import signal
import socket
import sys
import time
from pathlib import Path

from dev.stack import free_port

FIRST_LINES = [
    "Starting worker...",
    "Connected to SQLite",
    "Connected to local in region: local",
    "ConnectRPC handler registered at path: /jennah.v1.DeploymentService/",
    "Health check endpoint: /health",
    "Worker listening on 127.0.0.1:",
    "Endpoints:",
    "export KUBECONFIG=",
]


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "JENNAH_DATA_DIR": str(data_dir),
        "WORKER_PORT": str(free_port(0)),
        "KUBE_API_PORT": str(free_port(0)),
        **more,
    }


async def start(env: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dev", "run"),
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def read_until(process: asyncio.subprocess.Process, text: str) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    async for raw in process.stdout:
        lines.append(raw.decode().rstrip())
        if text in lines[-1]:
            return lines
    raise AssertionError(lines)


async def test_the_first_lines_tell_what_runs_where_and_ctrl_c_stops_it_in_time(tmp_path: Path) -> None:
    process = await start(environment(tmp_path))
    lines = await read_until(process, "export KUBECONFIG=")
    found = iter(lines)
    for expected in FIRST_LINES:
        assert any(line.startswith(expected) for line in found), (expected, lines)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    output, _ = await process.communicate()
    assert process.returncode == 0, output
    assert time.monotonic() - began < 5
    assert b"Traceback" not in output


async def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = await start(environment(tmp_path, WORKER_PORT=str(taken.getsockname()[1])))
        output, _ = await process.communicate()
    assert process.returncode == 1
    assert b"is in use; choose another with WORKER_PORT" in output
    assert b"Traceback" not in output


async def test_a_database_on_another_machine_needs_a_word(tmp_path: Path) -> None:
    settings = {"DB_PROVIDER": "postgres", "DB_ENDPOINT": "postgresql://u:a-secret@db.example/jennah"}
    process = await start(environment(tmp_path, **settings))
    output, _ = await process.communicate()
    assert process.returncode == 1
    assert output.startswith(b"error: DB_PROVIDER=postgres: the database (db.example) is not on this machine")
    assert b"JENNAH_ALLOW_REMOTE_DATABASE=true" in output
    assert b"a-secret" not in output
    assert list(tmp_path.iterdir()) == []


async def test_wrong_settings_of_the_programs_end_with_exit_code_2_and_a_line_a_fault() -> None:
    for command, variables in {
        "operator": {"DB_PROVIDER": "oracle", "BATCH_PROVIDER": "moon"},
        "api": {"DB_PROVIDER": "oracle", "WORKER_PORT": "many"},
    }.items():
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "api.cli", command),
            env={"PATH": os.environ["PATH"], **variables},
            stderr=asyncio.subprocess.PIPE,
        )
        _, stderr = await process.communicate()
        assert process.returncode == 2
        lines = stderr.decode().splitlines()
        for name in variables:
            assert any(line.startswith(name) for line in lines), lines
