"""The stand-in of Cosmos DB that fails on demand, and a store on it."""

from collections.abc import AsyncIterator

import pytest

from controller.stores.cosmosdb import CosmosStore
from tests.controller.stores.cosmosdb import service as cosmosdb_service
from tests.controller.stores.cosmosdb.harness import KEY
from tests.controller.stores.cosmosdb.service import Service


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with cosmosdb_service.serve() as service:
        yield service


@pytest.fixture
async def store(service: Service) -> AsyncIterator[CosmosStore]:
    store = CosmosStore(service.endpoint, "jennah", key=KEY)
    await store.open()
    yield store
    await store.close()
