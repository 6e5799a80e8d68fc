"""Cancelling and suspending: what the service is asked, and whose word is the end."""

from controller.domain import conditions
from controller.domain.phases import Phase
from tests.controller.fakes import Crash
from tests.controller.reconcile.harness import World


async def test_cancel_asks_the_service_once_and_waits_for_its_word(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    world.kube.edit(job, cancel=True)
    await world.reconcile(job)
    await world.observe(job)
    assert len(world.provider.cancelled) == 1
    assert world.kube.current(job).status.phase is Phase.SCHEDULED
    world.provider.move(Phase.CANCELLED)
    assert (await world.observe(job)).status.phase is Phase.CANCELLED


async def test_a_service_that_does_not_react_is_asked_to_cancel_again(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    world.kube.edit(job, cancel=True)
    pause = await world.reconcile(job)
    assert pause == 60
    await world.clock.advance(60)
    await world.reconcile(job)
    assert len(world.provider.cancelled) == 2


async def test_a_job_that_finished_before_the_cancel_stays_completed(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    world.kube.edit(job, cancel=True)
    world.provider.move(Phase.COMPLETED)
    assert (await world.observe(job)).status.phase is Phase.COMPLETED


async def test_cancelling_a_job_that_was_never_submitted_ends_it_without_submitting(world: World) -> None:
    job = world.kube.create(cancel=True)
    await world.reconcile(job)
    assert world.kube.current(job).status.phase is Phase.CANCELLED
    assert not world.provider.submissions


async def test_cancelling_finds_a_submission_whose_result_was_lost(world: World) -> None:
    job = world.kube.create()
    world.faults.arm("after submit", Crash())
    assert await world.crashes(world.reconcile(job))
    world.kube.edit(job, cancel=True)
    await world.reconcile(job)
    assert len(world.provider.cancelled) == 1
    assert not world.kube.current(job).is_finished


async def test_suspend_holds_a_job_back_and_lifting_it_submits(world: World) -> None:
    job = world.kube.create(suspend=True)
    await world.reconcile(job)
    assert conditions.is_true(world.kube.current(job).status.conditions, conditions.SUSPENDED)
    assert not world.provider.submissions
    world.kube.edit(job, suspend=False)
    await world.reconcile(job)
    assert len(world.provider.submissions) == 1
    assert not conditions.is_true(world.kube.current(job).status.conditions, conditions.SUSPENDED)


async def test_suspending_a_submitted_job_changes_nothing_and_says_so(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    world.kube.edit(job, suspend=True)
    await world.reconcile(job)
    condition = conditions.find(world.kube.current(job).status.conditions, conditions.SUSPENDED)
    assert condition is not None
    assert (condition.status, condition.reason) == ("False", "AlreadySubmitted")
