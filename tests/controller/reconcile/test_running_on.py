"""Cloud jobs that run though their JennahJob has ended: they are ended, and the end that was told stays as it is."""

import msgspec
import pytest

from controller.domain import names, reasons
from controller.domain.errors import Unavailable
from controller.domain.job import Job
from controller.domain.phases import Phase
from tests.controller.fakes import START, FakeService
from tests.controller.reconcile.harness import World
from tests.controller.reconcile.orphans.harness import row, running, sweep


@pytest.fixture
def aws() -> World:
    """A controller whose service names the jobs, so that one can have two."""
    return World(names_are_ids=False, ends_orphans=False)


async def completed_with_a_second_job(world: World) -> Job:
    job = await running(world)
    world.provider.move(Phase.COMPLETED, exit_code=0, completed_at=START)
    job = await world.observe(job)
    assert isinstance(world.provider, FakeService)
    first = world.provider.made[0][1]
    second = msgspec.structs.replace(
        first, resource_path="fake/second", phase=Phase.RUNNING, exit_code=None, completed_at=None
    )
    world.provider.made.append((world.clock.monotonic(), second))
    return job


async def test_a_second_job_of_one_that_has_ended_is_ended_and_not_taken_for_it(aws: World) -> None:
    job = await completed_with_a_second_job(aws)
    await sweep(aws)
    await aws.reconcile(job)
    assert aws.provider.cancelled == ["fake/second"]
    assert aws.kube.current(job).status == job.status
    assert row(aws, job).status is Phase.COMPLETED
    await sweep(aws, 2)
    await aws.reconcile(job)
    assert aws.provider.cancelled == ["fake/second"]


async def test_nothing_is_made_anew_while_the_record_cannot_be_asked(aws: World) -> None:
    job = await completed_with_a_second_job(aws)
    await sweep(aws)
    aws.record.faults.arm("get row", Unavailable("the database is down"))
    with pytest.raises(Unavailable):
        await aws.reconcile(job)
    assert aws.kube.current(job).status == job.status
    await aws.reconcile(job)
    assert aws.provider.cancelled == ["fake/second"]


@pytest.mark.parametrize("names_are_ids", [True, False], ids=["we name jobs", "the service names jobs"])
async def test_a_job_that_was_given_up_and_turns_up_again_is_ended(names_are_ids: bool) -> None:
    world = World(names_are_ids=names_are_ids)
    job = await running(world)
    service = world.provider
    jobs, made = service.jobs, service.made if isinstance(service, FakeService) else []
    service.jobs = {}
    if isinstance(service, FakeService):
        service.made = []
    for _ in range(6):
        job = await world.observe(job)
        world.clock.pause(30)
    assert (job.status.phase, job.status.reason) == (Phase.FAILED, "ProviderJobMissing")
    service.jobs = jobs
    if isinstance(service, FakeService):
        service.made = made
    service.cancelled.clear()
    await sweep(world)
    await world.reconcile(job)
    assert len(service.cancelled) == 1
    assert world.kube.current(job).status == job.status


async def test_the_object_of_a_deleted_job_that_runs_on_comes_back_and_is_given_up_once(world: World) -> None:
    """With an older etcd; deletionPolicy Orphan left the cloud job running."""
    job = await running(world, deletion_policy="Orphan")
    backup = world.kube.current(job)
    world.kube.edit(job, metadata={"annotations": {names.ANNOTATION_PURGE: "true"}, "deletion_timestamp": START})
    await world.reconcile(job)
    assert (world.kube.objects, world.record.rows) == ({}, {})
    world.kube.objects["default", "job"] = backup
    world.start()
    await world.reconcile(job)
    world.provider.move(Phase.SCHEDULED)  # the service takes it back into its queue: a transition is due
    given_up = (await world.observe(job)).status
    assert (given_up.phase, given_up.reason) == (Phase.FAILED, reasons.JOB_DELETED)
    for _ in range(3):
        await sweep(world)
        await world.reconcile(job)
    assert world.kube.current(job).status == given_up
    assert len(world.provider.submissions) == 1
    assert world.record.rows == {}
