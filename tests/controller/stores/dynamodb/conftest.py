"""DynamoDB's stand-in, a table in it, and stores on it: with faults, and without."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import boto3
import pytest

from controller.stores import dynamodb_calls, dynamodb_connection
from controller.stores.dynamodb import DynamoStore
from tests.contract.databases import dynamodb as stand_in
from tests.controller.stores.dynamodb.proxy import FaultyProxy


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with stand_in.credentials():
        yield stand_in.server()


@pytest.fixture
async def table(server: str) -> str:
    name = stand_in.new_table_name()
    await stand_in.migrate(name, server)
    return name


@pytest.fixture
async def proxy(server: str) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy(server) as proxy:
        yield proxy


@pytest.fixture
async def store(proxy: FaultyProxy, table: str) -> AsyncIterator[DynamoStore]:
    """The one under test: through the proxy."""
    store = DynamoStore(stand_in.REGION, table, endpoint=proxy.url)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def other(server: str, table: str) -> AsyncIterator[DynamoStore]:
    """Another process on the same table, without faults."""
    store = DynamoStore(stand_in.REGION, table, endpoint=server)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store call ends within a second."""
    monkeypatch.setattr(dynamodb_calls, "CALL_SECONDS", 0.8)
    monkeypatch.setattr(dynamodb_connection, "CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(dynamodb_connection, "READ_SECONDS", 0.2)
    monkeypatch.setattr(dynamodb_calls, "BACKOFF_SECONDS", 0.01)


@pytest.fixture
def client(server: str) -> Iterator[Any]:
    client = boto3.client("dynamodb", region_name=stand_in.REGION, endpoint_url=server)
    yield client
    client.close()
