"""The stand-in of Google Cloud Batch in this process, and the adapter on it."""

from collections.abc import AsyncIterator

import pytest

from tests.controller.providers.gcp.harness import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World().running() as world:
        yield world
