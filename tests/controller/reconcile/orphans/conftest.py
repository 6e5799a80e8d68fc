"""Worlds whose controller ends orphans, or only reports them; with either kind of service."""

from collections.abc import Callable, Iterator

import pytest

from tests.controller.reconcile.harness import World
from tests.controller.reconcile.orphans.harness import sample


@pytest.fixture(params=[True, False], ids=["we name jobs", "the service names jobs"])
def names_are_ids(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def world(names_are_ids: bool) -> World:
    """A controller that ends orphans."""
    return World(names_are_ids=names_are_ids, ends_orphans=True)


@pytest.fixture
def reporting(names_are_ids: bool) -> World:
    """A controller that only reports them."""
    return World(names_are_ids=names_are_ids, ends_orphans=False)


@pytest.fixture
def ended() -> Iterator[Callable[[], float]]:
    """How many were ended since the test began."""
    before = sample("jennah_orphans_ended_total")
    yield lambda: sample("jennah_orphans_ended_total") - before
