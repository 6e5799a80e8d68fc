"""What the next process makes of a job when one died at any step, or the end was lost."""

import msgspec
import pytest

from controller.domain import conditions
from controller.domain.errors import Retryable, Unavailable
from controller.domain.job import JobStatus
from controller.domain.phases import Phase
from tests.controller.fakes import START, Crash
from tests.controller.reconcile.harness import World

AT_THE_SERVICE = ["before submit", "before release", "after submit"]
POINTS = [*AT_THE_SERVICE, "before record", "after record", "before status", "after status"]


@pytest.mark.parametrize(
    ("point", "passes"), [*((point, 0) for point in POINTS), ("before record", 1), ("after record", 1)]
)
async def test_a_crash_at_any_step_of_submitting_leads_to_one_cloud_job_and_one_ending(
    world: World, point: str, passes: int
) -> None:
    job = world.kube.create()
    world.faults.arm(point, Crash(), passes=passes)
    assert await world.crashes(world.reconcile(job))
    await world.reconcile(job)
    world.provider.move(Phase.COMPLETED, completed_at=START)
    job = await world.observe(job)
    assert len(world.provider.submissions) == 1
    assert job.status.phase is Phase.COMPLETED
    assert world.audit(job)[-1][2] == "Completed"
    assert [n for n, _, _ in world.audit(job)] == list(range(len(world.audit(job))))


async def test_an_end_that_only_the_record_has_gets_its_facts_from_the_service(world: World) -> None:
    """Two leaders died between the database and Kubernetes: one when it had submitted, one when it had seen the end."""
    job = world.kube.create()
    world.faults.arm("before status", Crash("on purpose"), passes=1)
    assert await world.crashes(world.reconcile(job))
    world.provider.move(Phase.FAILED, exit_code=3, completed_at=START)
    world.faults.arm("before status", Crash("on purpose"))
    assert await world.crashes(world.reconcile(job))
    assert world.kube.current(job).status.exit_code is None
    world.provider.move(None)  # its end is held back until its tasks can be read
    with pytest.raises(Retryable, match="does not tell yet"):
        await world.reconcile(job)
    world.provider.move(Phase.FAILED)
    await world.reconcile(job)
    status = world.kube.current(job).status
    assert (status.phase, status.exit_code, status.completed_at) == (Phase.FAILED, 3, START)
    assert len(world.provider.jobs) == 1


@pytest.mark.parametrize("point", POINTS[3:])
async def test_a_crash_while_the_end_is_written_never_changes_the_end(world: World, point: str) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    world.provider.move(Phase.FAILED, exit_code=3, completed_at=START)
    world.faults.arm(point, Crash())
    assert await world.crashes(world.observe(job))
    await world.reconcile(job)
    job = await world.observe(job)
    assert job.status.phase is Phase.FAILED
    assert world.audit(job)[-1] == (2, "Scheduled", "Failed")


async def test_the_record_is_ahead_when_the_writer_died_and_the_job_moved_on(world: World) -> None:
    """RUNNING was recorded as number 2, then the process died; the job has completed by the time another looks."""
    job = world.kube.create()
    await world.reconcile(job)
    world.provider.move(Phase.RUNNING)
    world.faults.arm("before status", Crash())
    assert await world.crashes(world.observe(job))
    world.provider.move(Phase.COMPLETED, completed_at=START)
    await world.reconcile(job)
    job = await world.observe(job)
    assert job.status.phase is Phase.COMPLETED
    assert job.status.transition == 3
    assert world.audit(job)[-2:] == [(2, "Scheduled", "Running"), (3, "Running", "Completed")]


async def test_an_end_in_the_record_is_kept_though_the_service_says_otherwise_now(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    world.provider.move(Phase.COMPLETED, completed_at=START)
    world.faults.arm("before status", Crash())
    assert await world.crashes(world.observe(job))
    world.provider.move(Phase.FAILED)
    await world.reconcile(job)
    job = await world.observe(job)
    assert job.status.phase is Phase.COMPLETED
    assert not conditions.is_true(job.status.conditions, conditions.FAILED)


async def test_a_lost_reply_of_the_service_ends_in_one_cloud_job(world: World) -> None:
    job = world.kube.create()
    world.faults.arm("after submit", Unavailable("the reply was lost"))
    with pytest.raises(Retryable):
        await world.reconcile(job)
    assert world.kube.current(job).status.phase is Phase.PENDING
    await world.reconcile(job)
    assert len(world.provider.submissions) == 1
    assert world.kube.current(job).is_submitted


async def test_a_job_whose_end_is_recorded_is_not_run_again_when_kubernetes_has_lost_its_status(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    world.provider.move(Phase.COMPLETED, completed_at=START)
    job = await world.observe(job)
    world.provider.jobs.clear()
    world.kube.objects["default", "job"] = msgspec.structs.replace(job, status=JobStatus())
    world.start()
    await world.reconcile(job)
    assert world.kube.current(job).status.phase is Phase.COMPLETED
    assert len(world.provider.submissions) == 1
