"""Deleting: the cloud job's end, the object's release, and its row; and the time after which ended objects go."""

import pytest

from controller.domain import names, reasons
from controller.domain.phases import Phase
from tests.controller.fakes import START, Crash
from tests.controller.reconcile.harness import World


async def test_deleting_a_running_job_cancels_it_and_releases_the_object_when_it_has_ended(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    world.kube.edit(job, metadata={"deletion_timestamp": START})
    await world.reconcile(job)
    assert world.provider.cancelled
    assert world.kube.objects
    world.provider.move(Phase.CANCELLED)
    await world.observer._round()
    await world.reconcile(job)
    assert not world.kube.objects
    assert world.record.rows["tenant", "job"].status is Phase.CANCELLED, "the row stays, as history"


async def test_a_purge_whose_second_step_never_came_is_carried_on(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    world.kube.edit(job, metadata={"annotations": {names.ANNOTATION_PURGE: "true"}})
    await world.reconcile(job)
    assert world.kube.current(job).is_being_deleted


async def test_orphan_ends_the_record_of_a_job_that_was_never_submitted(world: World) -> None:
    job = world.kube.create(deletion_policy="Orphan", suspend=True)
    await world.reconcile(job)
    world.kube.edit(job, metadata={"deletion_timestamp": START})
    await world.reconcile(job)
    assert not world.kube.objects
    assert world.record.rows["tenant", "job"].status is Phase.CANCELLED


async def test_orphan_releases_the_object_at_once_and_leaves_the_cloud_job(world: World) -> None:
    job = world.kube.create(deletion_policy="Orphan")
    await world.reconcile(job)
    world.kube.edit(job, metadata={"deletion_timestamp": START})
    await world.reconcile(job)
    assert not world.kube.objects
    assert not world.provider.cancelled


async def test_a_purged_job_takes_its_row_with_it_and_does_not_bring_it_back(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    world.kube.edit(job, metadata={"deletion_timestamp": START, "annotations": {names.ANNOTATION_PURGE: "true"}})
    await world.record.delete_job("tenant", "job", uid=job.key)
    await world.reconcile(job)
    world.provider.move(Phase.CANCELLED)
    await world.observer._round()
    await world.reconcile(job)
    assert not world.kube.objects
    assert not world.record.rows


async def test_an_object_that_names_anothers_job_and_asks_for_its_purge_leaves_the_row(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    forged = world.kube.create("forged", job_id="job", suspend=True)
    world.kube.edit(forged, metadata={"annotations": {names.ANNOTATION_PURGE: "true"}})
    while len(world.kube.objects) == 2:
        await world.reconcile(forged)
    assert [left.metadata.name for left in world.kube.objects.values()] == ["job"]
    assert world.record.owners["tenant", "job"] == job.key


@pytest.mark.parametrize("point", ["cancel", "before status", "after status", "release", "delete row"])
async def test_a_crash_at_any_step_of_deleting_still_ends_the_job_and_frees_the_object(
    world: World, point: str
) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    world.kube.edit(job, metadata={"deletion_timestamp": START, "annotations": {names.ANNOTATION_PURGE: "true"}})
    world.faults.arm(point, Crash())
    died = await world.crashes(world.reconcile(job))
    for _ in range(2):  # the first pass has the job observed, the second acts on what was seen
        await world.reconcile(job)
        await world.observer._round()
    await world.reconcile(job)
    world.provider.move(Phase.CANCELLED)
    for _ in range(3):
        if world.kube.objects:
            await world.observer._round()
            died |= await world.crashes(world.reconcile(job))
    assert died
    assert world.provider.cancelled
    assert not world.kube.objects
    assert not world.record.rows


async def test_a_finished_object_is_deleted_when_its_ttl_is_over(world: World) -> None:
    job = world.kube.create(ttl_seconds_after_finished=30)
    await world.reconcile(job)
    world.provider.move(Phase.COMPLETED, completed_at=START)
    await world.observer._round()
    assert await world.reconcile(job) == 30
    await world.clock.advance(30)
    await world.reconcile(job)
    await world.reconcile(job)
    assert not world.kube.objects
    assert world.record.rows["tenant", "job"].status is Phase.COMPLETED


async def test_an_object_that_an_older_etcd_brings_back_after_its_purge_is_not_run(world: World) -> None:
    job = world.kube.create()
    backup = world.kube.current(job)  # created, and not yet submitted
    await world.reconcile(job)
    world.provider.move(Phase.COMPLETED, completed_at=START)
    await world.observe(job)
    world.kube.edit(job, metadata={"annotations": {names.ANNOTATION_PURGE: "true"}, "deletion_timestamp": START})
    await world.reconcile(job)
    assert (world.kube.objects, world.record.rows) == ({}, {})
    world.provider.made.clear() if not world.provider.names_are_ids else world.provider.jobs.clear()
    world.kube.objects["default", "job"] = backup
    world.start()
    await world.reconcile(job)
    status = world.kube.current(job).status
    assert (status.phase, status.reason) == (Phase.FAILED, reasons.JOB_DELETED)
    assert len(world.provider.submissions) == 1
    assert world.record.rows == {}
