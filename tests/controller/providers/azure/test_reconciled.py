"""What becomes of a JennahJob on Azure Batch: the adapter on the stand-in under the real reconciler."""

from collections.abc import AsyncIterator

import pytest

from controller.domain import conditions, reasons
from controller.domain.errors import Throttled
from controller.domain.job import Job
from controller.domain.phases import Phase
from controller.reconcile.observer import ref_of
from dev.emulators.azure.pools import PoolSpec
from tests.controller.providers.azure.harness import Service
from tests.controller.providers.azure.world import AzureWorld


@pytest.fixture
async def world() -> AsyncIterator[AzureWorld]:
    async with Service(pools=[PoolSpec(name="jennah")]).serving() as service:
        yield AzureWorld(service)


def scheduled(job: Job) -> tuple[str, str]:
    found = conditions.find(job.status.conditions, conditions.SCHEDULED)
    return found.status, found.reason


async def test_a_job_whose_pool_was_removed_is_told_and_ended_at_its_pending_deadline(world: AzureWorld) -> None:
    world.account.put_pool(PoolSpec(name="jennah", has_nodes=False))
    job = await world.submitted(pending_deadline_seconds=600)
    world.account.delete_pool("jennah")
    job = await world.later(job, 150)
    assert (job.status.phase, scheduled(job)) == (Phase.PENDING, ("False", reasons.POOL_MISSING))
    job = await world.later(job, 460)
    job = await world.later(job, 1)
    assert (job.status.phase, job.status.reason) == (Phase.FAILED, reasons.PENDING_DEADLINE_EXCEEDED)


async def test_a_job_whose_pool_comes_back_runs(world: AzureWorld) -> None:
    world.account.put_pool(PoolSpec(name="jennah", has_nodes=False))
    job = await world.submitted()
    world.account.delete_pool("jennah")
    assert scheduled(await world.later(job, 150)) == ("False", reasons.POOL_MISSING)
    world.account.put_pool(PoolSpec(name="jennah"))
    job = await world.later(job, 60)
    assert (job.status.phase, scheduled(job)) == (Phase.RUNNING, ("True", reasons.SCHEDULED))


async def test_a_disabled_shared_job_is_told_and_so_is_that_it_is_no_longer(world: AzureWorld) -> None:
    world.account.put_pool(PoolSpec(name="jennah", has_nodes=False))
    job = await world.submitted()
    [shared] = world.account.jobs.values()
    await world.clock.advance(120)
    world.account.set_state(shared.id, "disabled")
    assert scheduled(await world.later(job, 5)) == ("False", reasons.HELD_EXTERNALLY)
    world.account.set_state(shared.id, "active")
    assert scheduled(await world.later(job, 5)) == ("False", reasons.WAITING_FOR_CAPACITY)


async def test_a_job_that_we_cancel_is_cancelled(world: AzureWorld) -> None:
    job = await world.submitted()
    await world.reconcile(world.kube.edit(job, cancel=True))
    job = await world.later(job, 1)
    assert (job.status.phase, job.status.reason) == (Phase.CANCELLED, reasons.CANCELLED)


async def test_a_job_that_we_cancel_and_die_before_that_is_noted_is_cancelled(world: AzureWorld) -> None:
    job = await world.submitted()
    job = world.kube.edit(job, cancel=True)
    await world.provider.cancel(ref_of(job), reason="because")
    world.start()
    await world.reconcile(job)
    job = await world.later(job, 1)
    assert (job.status.phase, job.status.reason) == (Phase.CANCELLED, reasons.CANCELLED)


@pytest.mark.parametrize("whole_job", [False, True])
async def test_a_job_that_somebody_else_ends_has_failed(world: AzureWorld, whole_job: bool) -> None:
    job = await world.submitted()
    [shared] = world.account.jobs.values()
    if whole_job:
        world.account.terminate_job(shared.id, "by hand")
    else:
        world.account.terminate_task(shared.id, job.external_name)
    job = await world.later(job, 1)
    assert (job.status.phase, job.status.reason) == (Phase.FAILED, reasons.DELETED_EXTERNALLY)
    assert "TaskEnded" in job.status.message


async def test_a_job_that_runs_for_too_long_has_failed_for_that(world: AzureWorld) -> None:
    job = await world.submitted(active_deadline_seconds=60)
    job = await world.later(job, 70)
    assert (job.status.phase, job.status.reason) == (Phase.FAILED, reasons.DEADLINE_EXCEEDED)


async def test_a_job_whose_shared_job_somebody_deletes_has_failed_as_soon_as_it_is_gone(world: AzureWorld) -> None:
    job = await world.submitted()
    [shared] = world.account.jobs.values()
    world.account.set_state(shared.id, "deleting")
    job = await world.later(job, 5)
    assert conditions.find(job.status.conditions, conditions.OBSERVED).reason == reasons.DELETED_EXTERNALLY
    world.account.delete_job(shared.id)
    job = await world.later(job, 5)
    assert (job.status.phase, job.status.reason) == (Phase.FAILED, reasons.DELETED_EXTERNALLY)


async def test_a_job_that_a_quota_keeps_out_says_which_and_is_submitted_when_there_is_room(world: AzureWorld) -> None:
    world.account.active_jobs = 0
    job = world.kube.create()
    with pytest.raises(Throttled):
        await world.reconcile(job)
    told = conditions.find(world.kube.current(job).status.conditions, conditions.SUBMITTED)
    assert told.status == "False" and "ActiveJobAndScheduleQuotaReached" in told.message
    world.account.active_jobs = 1
    await world.clock.advance(60)
    await world.reconcile(job)
    assert conditions.is_true(world.kube.current(job).status.conditions, conditions.SUBMITTED)
