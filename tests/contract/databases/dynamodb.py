"""DynamoDB: a table of its own for each test, on moto's server in a subprocess, over HTTP.

What moto does not do as DynamoDB does, and what that means here:
- it has no isolation between parallel requests: `moto_server` lets them in one at a time;
- it ignores ClientRequestToken: a repeated success comes back as ConditionalCheckFailed, which our write ids answer;
- it never throttles, conflicts or loses a reply: `tests/controller/stores/dynamodb/proxy.py` does;
- its indexes are consistent at once, and a new table is there at once.
"""

import atexit
import contextlib
import functools
import importlib.util
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from controller.stores.dynamodb import DynamoStore
from controller.stores.dynamodb_schema import DynamoMigrations
from tests.contract.databases import Fresh

REGION = "eu-west-1"
_ROOT = Path(__file__).parents[3]
_STOP_SECONDS = 5
_DUMMY = {
    "AWS_ACCESS_KEY_ID": "dummy-key-id",
    "AWS_SECRET_ACCESS_KEY": "dummy-secret",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    "NO_PROXY": "127.0.0.1",
}


@contextlib.asynccontextmanager
async def fresh(_: Path) -> AsyncIterator[Fresh]:
    endpoint, table = server(), new_table_name()
    with credentials():
        await migrate(table, endpoint)
        yield Fresh(
            store=lambda **more: DynamoStore(REGION, table, endpoint=endpoint, **more),
            migrations=lambda: DynamoMigrations(REGION, table, endpoint=endpoint),
        )


@functools.cache
def server() -> str:
    """The endpoint of moto's server: one for all tests, ended with them."""
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask") is None:
        pytest.skip("moto's server is not installed: pip install 'moto[server]'")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.contract.databases.moto_server"],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None

    def stop() -> None:
        process.terminate()
        process.wait(_STOP_SECONDS)

    atexit.register(stop)
    with process.stdout as output:
        port = output.readline().strip()
    assert port, "moto's server did not start"
    return f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def credentials() -> Iterator[None]:
    """Dummy credentials, and none of this machine's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_PROFILE", raising=False)
        for name, value in _DUMMY.items():
            patch.setenv(name, value)
        yield


def new_table_name() -> str:
    return f"jennah-{uuid.uuid4().hex[:12]}"


async def migrate(table: str, endpoint: str) -> list[str]:
    """What ``jennah migrate`` does; the statements that it ran."""
    migrations = DynamoMigrations(REGION, table, endpoint=endpoint)
    try:
        return list(await migrations.apply())
    finally:
        await migrations.close()
