"""Cloud Spanner: the emulator at DB_TEST_SPANNER_EMULATOR where that is set, else the one of the Google Cloud CLI.

One emulator and one instance a session; each test has a database of its own in it.
"""

import atexit
import contextlib
import functools
import itertools
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest
from google.api_core.exceptions import AlreadyExists
from google.cloud.spanner_admin_database_v1 import DatabaseAdminClient
from google.cloud.spanner_admin_database_v1.services.database_admin.transports import DatabaseAdminGrpcTransport
from google.cloud.spanner_admin_instance_v1 import InstanceAdminClient
from google.cloud.spanner_admin_instance_v1.services.instance_admin.transports import InstanceAdminGrpcTransport

from controller.stores.spanner import SpannerStore
from controller.stores.spanner_schema import SpannerMigrations
from tests.contract.databases import Fresh

PROJECT, INSTANCE = "jennah-tests", "jennah-tests"
GIVEN = "DB_TEST_SPANNER_EMULATOR"
_HOST = "SPANNER_EMULATOR_HOST"
_HOW_TO_GET_IT = (
    "no Spanner emulator: set DB_TEST_SPANNER_EMULATOR=host:9010, or install the one of the Google Cloud CLI: "
    "gcloud components install cloud-spanner-emulator (Debian: google-cloud-cli-spanner-emulator)"
)
_START_SECONDS, _STOP_SECONDS = 20.0, 10.0
_numbers = itertools.count(1)


@contextlib.asynccontextmanager
async def fresh(folder: Path) -> AsyncIterator[Fresh]:
    """An empty database with our schema."""
    with database() as name:
        migrations = SpannerMigrations(PROJECT, INSTANCE, name)
        await migrations.apply()
        await migrations.close()
        yield Fresh(
            store=lambda **more: SpannerStore(PROJECT, INSTANCE, name, **more),
            migrations=lambda: SpannerMigrations(PROJECT, INSTANCE, name),
        )


@contextlib.contextmanager
def database(host: str | None = None) -> Iterator[str]:
    """The name of a database that does not exist yet, on that emulator (the session's own by default).

    SPANNER_EMULATOR_HOST leads there as long as the block runs.
    """
    host = host or _session_emulator()
    name = f"db-{os.getpid()}-{next(_numbers)}"
    before = os.environ.get(_HOST)
    os.environ[_HOST] = host
    try:
        yield name
    finally:
        with contextlib.suppress(Exception), grpc.insecure_channel(host) as channel:
            admin = DatabaseAdminClient(transport=DatabaseAdminGrpcTransport(channel=channel))
            # An instance takes 100 databases at most.
            admin.drop_database(database=f"projects/{PROJECT}/instances/{INSTANCE}/databases/{name}", timeout=5)
        if before is None:
            del os.environ[_HOST]
        else:
            os.environ[_HOST] = before


class Emulator:
    """An emulator of its own on 127.0.0.1. Its memory is empty after each start."""

    def __init__(self) -> None:
        root = _find_emulator()
        self.host = f"127.0.0.1:{_free_port()}"
        self._command = [str(root / "gateway_main"), "--hostname", "127.0.0.1"]
        self._command += ["--grpc_port", self.host.rpartition(":")[2], "--http_port", str(_free_port())]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and make the instance."""
        # gateway_main starts emulator_main: a process group of their own, so that both can be ended.
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        make_instance(self.host)

    def stop(self) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        # It does not end its emulator_main when it is ended; the other way round it does, and leaves no zombie.
        for child in _children(process.pid):
            os.kill(child, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what is left of the group
        process.wait(_STOP_SECONDS)


def _children(pid: int) -> list[int]:
    """Its child processes; none where the system does not tell (it is Linux that does)."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for children in lists for child in children.read_text().split()]


def make_instance(host: str) -> None:
    """The tests' instance, as soon as the emulator answers. It is there already: no error."""
    give_up = time.monotonic() + _START_SECONDS
    config = {"config": f"projects/{PROJECT}/instanceConfigs/emulator-config", "display_name": "t", "node_count": 1}
    with grpc.insecure_channel(host, options=[("grpc.max_reconnect_backoff_ms", 100)]) as channel:
        grpc.channel_ready_future(channel).result(timeout=give_up - time.monotonic())
        admin = InstanceAdminClient(transport=InstanceAdminGrpcTransport(channel=channel))
        with contextlib.suppress(AlreadyExists):
            admin.create_instance(
                parent=f"projects/{PROJECT}", instance_id=INSTANCE, instance=config, timeout=_START_SECONDS
            )


@functools.cache
def _session_emulator() -> str:
    """The host of the session's emulator; it ends with the session."""
    host = os.environ.get(GIVEN)
    if host:
        make_instance(host)
        return host
    emulator = Emulator()
    atexit.register(emulator.stop)
    emulator.start()
    return emulator.host


@functools.cache
def _find_emulator() -> Path:
    """The folder with gateway_main. Skips the test where there is none."""
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        pytest.skip(_HOW_TO_GET_IT)
    command = [gcloud, "info", "--format=value(installation.sdk_root)"]
    root = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout.strip()
    folder = Path(root) / "bin" / "cloud_spanner_emulator"
    if not (root and (folder / "gateway_main").is_file()):
        pytest.skip(_HOW_TO_GET_IT)
    return folder


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
