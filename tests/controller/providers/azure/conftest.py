"""The stand-in of Azure Batch in this process, and the adapter on it."""

from collections.abc import AsyncIterator

import pytest

from controller.providers.azure.provider import AzureProvider
from tests.controller.providers.azure.harness import Service


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with Service().serving() as running:
        yield running


@pytest.fixture
async def provider(service: Service) -> AzureProvider:
    return service.provider()
