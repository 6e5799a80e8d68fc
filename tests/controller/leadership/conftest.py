"""A world of candidates, all of which die with the test."""

from collections.abc import AsyncIterator

import pytest

from tests.controller.leadership.harness import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    for candidate in made.candidates:
        await candidate.die()
