"""The stand-in, on a time that the test moves."""

import pytest

from dev.emulators.faults import Dice, Faults
from dev.emulators.gcp.service import BatchService
from tests.dev.emulators.gcp.harness import Time


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def service(time: Time) -> BatchService:
    return BatchService(Dice(Faults(), seed=7), now=time)
