"""A database on Spanner's emulator, and stores on it: directly, and through a proxy with faults."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest

from controller.stores.spanner import SpannerStore
from tests.contract.databases import spanner as emulators
from tests.contract.databases.spanner import INSTANCE, PROJECT
from tests.controller.stores.spanner import proxy as spanner_proxy
from tests.controller.stores.spanner.harness import Gateway, migrate, transition
from tests.controller.stores.spanner.proxy import Proxy


@pytest.fixture
def database() -> Iterator[str]:
    """The name of a database that does not exist yet."""
    with emulators.database() as name:
        yield name


@pytest.fixture
async def schema(database: str) -> str:
    """The name of a database with our schema."""
    await migrate(database)
    return database


@pytest.fixture
async def store(schema: str) -> AsyncIterator[SpannerStore]:
    store = SpannerStore(PROJECT, INSTANCE, schema)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def proxy(schema: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with spanner_proxy.running(os.environ["SPANNER_EMULATOR_HOST"]) as proxy:
        monkeypatch.setenv("SPANNER_EMULATOR_HOST", proxy.host)
        yield proxy


@pytest.fixture
async def proxied(proxy: Proxy, schema: str) -> AsyncIterator[SpannerStore]:
    """A store that speaks through the proxy, whose calls are counted from here on."""
    store = SpannerStore(PROJECT, INSTANCE, schema, call_seconds=2)
    await store.open()
    await store.record([transition(job="first")])
    proxy.calls.clear()
    yield store
    proxy.faults.clear()
    await store.close()


@pytest.fixture
def gateway(schema: str) -> Iterator[Gateway]:
    gateway = Gateway(schema)
    yield gateway
    gateway.close()
