"""Jobs that were made at the service and not let go: they never ran, and who submits again lets them go."""

import msgspec
import pytest

from controller.domain import reasons
from controller.domain.errors import Unavailable
from controller.domain.job import Job
from controller.domain.phases import Phase
from tests.controller.fakes import START, Crash
from tests.controller.reconcile.harness import World
from tests.controller.reconcile.orphans.harness import row, running, sweep


async def died_before_it_let_go(world: World, **spec: object) -> Job:
    job = world.kube.create(**spec)
    world.faults.arm("before release", Crash())
    assert await world.crashes(world.reconcile(job))
    return world.kube.current(job)


def made_again_by_one_that_was_stopped(world: World, job: Job) -> None:
    known = world.provider.jobs[job.external_name]
    again = msgspec.structs.replace(known, phase=Phase.PENDING, is_unreleased=True, started_at=None, completed_at=None)
    world.provider.jobs[job.external_name] = again


async def test_nothing_says_that_it_was_submitted_before_it_is_let_go(world: World) -> None:
    job = await died_before_it_let_go(world)
    assert not job.is_submitted
    assert row(world, job).resource_path is None
    world.faults.arm("before release", Unavailable("no answer"))
    with pytest.raises(Unavailable):
        await world.reconcile(job)
    assert not world.kube.current(job).is_submitted
    await world.reconcile(job)
    assert world.kube.current(job).is_submitted
    assert not world.provider.jobs[job.external_name].is_unreleased
    assert len(world.provider.submissions) == 1


@pytest.mark.parametrize("policy", ["Delete", "Orphan"])
@pytest.mark.parametrize("by", ["cancel", "deletion"])
async def test_one_that_is_to_end_is_ended_without_having_been_let_go(world: World, by: str, policy: str) -> None:
    job = await died_before_it_let_go(world, deletion_policy=policy)
    job = (
        world.kube.edit(job, cancel=True)
        if by == "cancel"
        else world.kube.edit(job, metadata={"deletion_timestamp": START})
    )
    await world.reconcile(job)
    assert world.provider.jobs == {}
    assert row(world, job).status is Phase.CANCELLED


@pytest.mark.parametrize("phase", [Phase.SCHEDULED, Phase.RUNNING])
async def test_a_second_one_of_a_job_that_was_submitted_is_never_let_go(world: World, phase: Phase) -> None:
    """Somebody removed the first, and a process whose time was over made it again."""
    job = await running(world)
    if phase is Phase.SCHEDULED:
        job = world.kube.create("another")
        await world.reconcile(job)
    made_again_by_one_that_was_stopped(world, job)
    for _ in range(6):
        job = await world.observe(job)
        world.clock.pause(30)
    assert (job.status.phase, job.status.reason) == (Phase.FAILED, reasons.PROVIDER_JOB_MISSING)
    assert job.external_name in world.provider.cancelled
    assert job.external_name not in world.provider.jobs


async def test_a_second_one_of_a_job_that_has_ended_is_ended_and_its_end_stays(world: World) -> None:
    """Whatever the record says: one that never ran contradicts no end."""
    job = await running(world)
    world.provider.move(Phase.COMPLETED, exit_code=0, completed_at=START)
    job = await world.observe(job)
    made_again_by_one_that_was_stopped(world, job)
    del world.record.rows["tenant", job.job_id]
    await sweep(world)
    await world.reconcile(job)
    assert world.provider.jobs == {}
    assert world.kube.current(job).status == job.status


@pytest.mark.parametrize("policy", ["Delete", "Orphan"])
async def test_one_without_its_object_is_ended_whatever_the_settings_say(policy: str) -> None:
    world = World(ends_orphans=False)
    job = await died_before_it_let_go(world, deletion_policy=policy)
    world.kube.force_off(job)
    await sweep(world, 2)
    assert world.provider.jobs == {}
