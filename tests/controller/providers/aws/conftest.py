"""The stand-in of AWS Batch in a thread, and the adapter on it."""

import time
from collections.abc import AsyncIterator, Iterator

import pytest

from controller.providers.aws.provider import AwsProvider
from dev.emulators.aws.server import Emulator
from tests.controller.providers.aws.harness import Service


@pytest.fixture
def service() -> Iterator[Service]:
    """A stand-in whose clock only moves by `advance`."""
    now = [time.time()]

    def advance(seconds: float) -> None:
        now[0] += seconds

    emulator = Emulator(clock=lambda: now[0], step_seconds=1.0)
    with emulator.in_thread() as url:
        yield Service(url, emulator, advance)


@pytest.fixture
async def provider(service: Service) -> AsyncIterator[AwsProvider]:
    provider = service.provider()
    yield provider
    await provider.close()
