"""A service that forgets a job, requeues it, or has another's under its name."""

from controller.domain import conditions
from controller.domain.phases import Phase
from tests.controller.reconcile.harness import World


async def test_a_job_that_the_service_lost_is_looked_for_and_never_run_again(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    world.provider.jobs.clear()
    await world.observe(job)
    await world.reconcile(job)
    assert world.kube.current(job).status.phase is Phase.SCHEDULED
    await world.clock.advance(101)
    await world.reconcile(job)
    status = world.kube.current(job).status
    assert (status.phase, status.reason) == (Phase.FAILED, "ProviderJobMissing")
    assert len(world.provider.submissions) == 1


async def test_a_job_that_comes_back_within_the_grace_period_goes_on(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    kept = dict(world.provider.jobs)
    world.provider.jobs.clear()
    await world.observe(job)
    world.provider.jobs.update(kept)
    world.provider.move(Phase.RUNNING)
    job = await world.observe(job)
    assert job.status.phase is Phase.RUNNING
    assert conditions.is_true(job.status.conditions, conditions.OBSERVED)


async def test_a_service_that_requeues_a_job_takes_it_back_to_pending_and_counts_it(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    world.provider.move(Phase.RUNNING)
    await world.observe(job)
    world.provider.move(Phase.PENDING, retries=1)
    job = await world.observe(job)
    assert (job.status.phase, job.status.retries) == (Phase.PENDING, 1)
    assert world.audit(job)[-1] == (3, "Running", "Pending")


async def test_anothers_cloud_job_under_our_name_fails_the_job(world: World) -> None:
    job = world.kube.create()
    other = world.kube.create("other")
    await world.reconcile(other)
    taken = next(iter(world.provider.jobs.values()))
    world.provider.jobs[job.external_name] = taken
    await world.reconcile(job)
    status = world.kube.current(job).status
    assert (status.phase, status.reason) == (Phase.FAILED, "NameTaken")
