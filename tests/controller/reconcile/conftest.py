"""The world of most tests; a file that needs another has its own."""

import pytest

from tests.controller.reconcile.harness import World


@pytest.fixture
def world() -> World:
    return World()
