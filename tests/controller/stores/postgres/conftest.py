"""Databases on a server of the tests' own, and stores on them: directly, and through a relay."""

from collections.abc import AsyncIterator, Iterator

import pytest

from controller.stores.postgres import PostgresStore
from tests.contract.databases import postgres
from tests.controller.stores.postgres.relay import Relay, relaying


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """A database with the schema."""
    async with postgres.fresh_url() as url:
        yield url


@pytest.fixture
def empty_url() -> Iterator[str]:
    """A database without it."""
    with postgres.database() as url:
        yield url


@pytest.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(url)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def relay(url: str) -> AsyncIterator[Relay]:
    async with relaying(url) as relay:
        yield relay


@pytest.fixture
async def distant(relay: Relay) -> AsyncIterator[PostgresStore]:
    """A store whose connections go through the relay."""
    store = PostgresStore(relay.url)
    await store.open()
    yield store
    await store.close()
