"""Cosmos DB: a database of its own for each test, on one emulator (npm's @vercel/cosmosdb-server) a session.

The emulator is installed once into a folder of the user's cache, so it needs Node, and npm's registry once.
What it does otherwise than the service is mended in `cosmosdb_emulator.cjs`, each with its name. What is left:
no keys, no 429, no time to live; everything is in memory.
"""

import atexit
import contextlib
import functools
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.stores.cosmosdb import CosmosStore
from controller.stores.cosmosdb_schema import CosmosMigrations
from dev.processes import ProcessFailed, output
from tests import outside
from tests.contract.databases import Fresh

PACKAGE, VERSION = "@vercel/cosmosdb-server", "1.0.1"
KEY = "bm90IGEgc2VjcmV0"
_SCRIPT = Path(__file__).with_name("cosmosdb_emulator.cjs")
_INSTALL_SECONDS, _STOP_SECONDS = 100, 5


class Emulator:
    """One process. It ends with this one: it watches its standard input."""

    def __init__(self, port: int = 0) -> None:
        """Start it and wait for its port; 0 means any. Raises OSError where it does not start."""
        command = ["node", str(_SCRIPT), str(_package()), str(port)]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.strip().isdecimal():
            self._process.wait(_STOP_SECONDS)
            self._errors.seek(0)
            said = self._errors.read().decode("utf-8", "replace").strip()
            self.stop()
            raise OSError(f"the emulator did not start: {said}")
        self.port = int(line)
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(_STOP_SECONDS)
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            assert stream is not None
            stream.close()


def emulator() -> Emulator:
    """The session's emulator, started when it is first needed. Skips the test where it is not to be had."""
    found = _emulator()
    if isinstance(found, str):
        pytest.skip(found)
    return found


@contextlib.asynccontextmanager
async def fresh(folder: Path) -> AsyncIterator[Fresh]:
    endpoint, database = emulator().endpoint, f"test-{uuid.uuid4()}"
    migrations = CosmosMigrations(endpoint, database, key=KEY)
    try:
        await migrations.apply()
    finally:
        await migrations.close()
    yield Fresh(
        store=lambda **more: CosmosStore(endpoint, database, key=KEY, **more),
        migrations=lambda: CosmosMigrations(endpoint, database, key=KEY),
    )


@functools.cache
def _emulator() -> Emulator | str:
    """The emulator, or why there is none."""
    if not shutil.which("node") or not shutil.which("npm"):
        return "Cosmos DB's emulator needs Node 20 and npm: https://nodejs.org"
    try:
        _install()
        started = Emulator()
    except (OSError, ProcessFailed) as error:
        return f"no {PACKAGE}@{VERSION}, npm's registry is needed once: {str(error)[-300:]}"
    atexit.register(started.stop)
    return started


def _package() -> Path:
    return _home() / "node_modules" / PACKAGE


def _home() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "jennah-tests" / f"cosmosdb-server-{VERSION}"


def _install() -> None:
    """Into a folder beside, then moved: two sessions may do so at once."""
    home = _home()
    if _package().is_dir():
        return
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as beside:
        command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", beside]
        output(*command, f"{PACKAGE}@{VERSION}", timeout=_INSTALL_SECONDS, cwd=beside, env=outside.for_installers())
        with contextlib.suppress(OSError):  # another was faster
            Path(beside, "node_modules").rename(_made(home) / "node_modules")


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder
