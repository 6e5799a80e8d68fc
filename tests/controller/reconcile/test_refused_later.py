"""A job that may be at the service already is looked for before our own rules fail it."""

import pytest

from controller.domain import reasons
from controller.domain.errors import EnvironmentMissing, Invalid, Permanent
from controller.domain.job import Job
from controller.domain.phases import Phase
from tests.controller.fakes import Crash
from tests.controller.reconcile.harness import World


async def sent_and_not_noted(world: World) -> Job:
    """The leader died after the service had made the job."""
    job = world.kube.create()
    world.faults.arm("after submit", Crash())
    with pytest.raises(Crash):
        await world.reconcile(job)
    world.start()
    return job


@pytest.fixture
def world() -> World:
    """We name the jobs."""
    return World(names_are_ids=True)


async def test_a_rule_that_came_later_does_not_fail_what_runs(world: World) -> None:
    job = await sent_and_not_noted(world)
    world.faults.arm("before submit", Permanent("spec.image: no longer", reason=reasons.INVALID_SPEC))
    await world.reconcile(job)
    status = world.kube.current(job).status
    assert (status.phase, status.submitted_at is not None) == (Phase.SCHEDULED, True)
    assert len(world.provider.jobs) == 1


@pytest.mark.parametrize("fault", [EnvironmentMissing("secret s is gone"), Invalid("secret s is no text")])
async def test_an_environment_that_is_gone_does_not_fail_what_runs(world: World, fault: Exception) -> None:
    job = await sent_and_not_noted(world)
    world.kube.env = fault
    await world.reconcile(job)
    assert world.kube.current(job).status.phase is Phase.SCHEDULED


async def test_what_never_was_made_fails(world: World) -> None:
    job = world.kube.create()
    world.faults.arm("before submit", Crash())
    with pytest.raises(Crash):
        await world.reconcile(job)
    world.start()
    world.faults.arm("before submit", Permanent("spec.image: no longer", reason=reasons.INVALID_SPEC))
    await world.reconcile(job)
    status = world.kube.current(job).status
    assert (status.phase, status.reason) == (Phase.FAILED, reasons.INVALID_SPEC)
