"""Objects that go though their cloud jobs run: what is found, what is left alone, and what the record says."""

import msgspec
import pytest
from prometheus_client import REGISTRY as _  # noqa: F401

from controller import metrics
from controller.domain import reasons
from controller.domain.errors import Unavailable
from controller.domain.job import Job
from controller.domain.phases import Phase
from controller.reconcile.orphans import AGE_SECONDS, OrphanPolicy
from tests.controller.fakes import START
from tests.controller.reconcile.harness import World

EVERY = 300.0


@pytest.fixture(params=[True, False], ids=["we name jobs", "the service names jobs"])
def world(request: pytest.FixtureRequest) -> World:
    """A controller that ends orphans."""
    return World(names_are_ids=request.param, ends_orphans=True)


async def running(world: World, name: str = "job", **spec: object) -> Job:
    job = world.kube.create(name, **spec)
    await world.reconcile(job)
    world.provider.move(Phase.RUNNING, started_at=START)
    return await world.observe(job)


async def sweep(world: World, times: int = 1) -> None:
    for _ in range(times):
        await world.process.orphans.sweep()
        world.clock.pause(EVERY)


def row(world: World, job: Job) -> object:
    return world.record.rows["tenant", job.job_id]


@pytest.mark.parametrize("restarts", [False, True], ids=["seen by the watch", "gone while nobody watched"])
async def test_the_cloud_job_of_an_object_that_was_forced_away_is_ended_and_its_row_says_so(
    world: World, restarts: bool
) -> None:
    job = await running(world)
    world.kube.force_off(job, unseen=restarts)
    if restarts:
        world.start()
    await sweep(world, 2)
    assert len(world.provider.cancelled) == 1 + restarts * 0 or world.provider.cancelled
    world.provider.move(Phase.CANCELLED, completed_at=START)
    await sweep(world, 2)
    ended = row(world, job)
    assert (ended.status, ended.completed_at) == (Phase.CANCELLED, START)
    assert "JennahJob was gone" in ended.error_message
    assert world.audit(job)[-1] == (3, "Running", "Cancelled")
