"""Orphans are ended or reported as it is set, and each row follows its job to the end."""

from collections.abc import Callable

import pytest

from controller.domain.phases import Phase
from controller.reconcile.orphans import AGE_SECONDS
from tests.controller.fakes import START
from tests.controller.reconcile.harness import World
from tests.controller.reconcile.orphans.harness import gauge, row, running, sweep


@pytest.mark.parametrize("unseen", [False, True], ids=["seen by the watch", "gone while nobody watched"])
async def test_the_cloud_job_of_an_object_that_was_forced_away_is_ended_and_its_row_says_so(
    world: World, ended: Callable[[], float], unseen: bool
) -> None:
    job = await running(world)
    world.kube.force_off(job, unseen=unseen)
    if unseen:
        world.start()
    await sweep(world)
    world.clock.pause(AGE_SECONDS)
    assert (world.provider.cancelled, row(world, job).status) == ([], Phase.RUNNING)
    await sweep(world)
    assert len(world.provider.cancelled) == 1
    world.provider.move(Phase.CANCELLED, completed_at=START)
    await sweep(world, 2)
    last = row(world, job)
    assert last.status is Phase.CANCELLED
    assert last.completed_at is not None
    assert "its JennahJob was gone" in last.error_message
    assert world.audit(job)[-1][1:] == ("Running", "Cancelled")
    assert ended() == 1
    assert len(world.provider.cancelled) == 1


@pytest.mark.parametrize("killed", [False, True])
async def test_where_a_cancelled_job_leaves_no_trace_its_row_has_its_end_when_the_service_has_taken_the_cancellation(
    killed: bool,
) -> None:
    """Else nobody could tell it any more, had the process died by the time that it is gone."""
    world = World(ends_orphans=True)
    world.provider.cancel_erases = True
    world.start()
    job = await running(world)
    world.kube.force_off(job)
    world.clock.pause(AGE_SECONDS)
    await sweep(world)
    assert len(world.provider.cancelled) == 1
    assert row(world, job).status is Phase.CANCELLED
    if killed:
        world.start()
    world.provider.jobs.clear()
    await sweep(world, 4)
    assert row(world, job).status is Phase.CANCELLED
    assert world.audit(job)[-1][1:] == ("Running", "Cancelled")
    assert gauge() == 0


async def test_it_is_only_reported_once_where_that_is_the_setting_and_its_row_follows_it_to_its_end(
    reporting: World, caplog: pytest.LogCaptureFixture
) -> None:
    world = reporting
    job = await running(world)
    world.kube.force_off(job)
    await sweep(world, 5)
    assert world.provider.cancelled == []
    assert row(world, job).status is Phase.RUNNING
    assert caplog.text.count("has no JennahJob any more") == 1
    assert "left running (ORPHANS=report)" in caplog.text
    assert gauge() == 1
    world.provider.move(Phase.COMPLETED, exit_code=0, completed_at=START)
    await sweep(world)
    assert (row(world, job).status, row(world, job).error_message) == (Phase.COMPLETED, None)
    assert world.audit(job)[-1][1:] == ("Running", "Completed")
    assert gauge() == 0


async def test_a_job_that_fails_before_it_is_ended_has_failed(world: World) -> None:
    job = await running(world)
    world.kube.force_off(job)
    world.provider.move(Phase.FAILED, exit_code=3, reason="NonZeroExitCode", message="exit code 3", completed_at=START)
    world.clock.pause(AGE_SECONDS)
    await sweep(world)
    assert row(world, job).status is Phase.FAILED
    assert "exit code 3" in row(world, job).error_message
    assert world.provider.cancelled == []


@pytest.mark.parametrize("unseen", [False, True], ids=["seen by the watch", "gone while nobody watched"])
async def test_a_job_whose_deletion_policy_is_orphan_goes_on_and_its_row_gets_its_true_end(
    world: World, caplog: pytest.LogCaptureFixture, unseen: bool
) -> None:
    job = await running(world, deletion_policy="Orphan")
    world.kube.force_off(job, unseen=unseen)
    if unseen:
        world.start()
    await sweep(world, 4)
    assert world.provider.cancelled == []
    assert gauge() == 0
    assert "WARNING" not in caplog.text
    world.provider.move(Phase.COMPLETED, exit_code=0, completed_at=START)
    await sweep(world)
    assert row(world, job).status is Phase.COMPLETED


async def test_a_deleted_object_that_leaves_its_job_alone_has_its_row_ended_with_the_job(world: World) -> None:
    job = await running(world, deletion_policy="Orphan")
    await world.kube.delete(world.kube.current(job))
    await world.reconcile(job)
    world.reconciler.remove(job.key)
    await sweep(world, 3)
    assert (row(world, job).status, world.provider.cancelled) == (Phase.RUNNING, [])
    world.provider.move(Phase.FAILED, completed_at=START)
    await sweep(world)
    assert row(world, job).status is Phase.FAILED


async def test_an_end_that_the_watch_missed_is_found_by_the_sweep(world: World) -> None:
    job = await running(world)
    world.kube.force_off(job, unseen=True)
    assert world.cache.get(job.key) is not None
    await sweep(world, 2)
    assert world.cache.get(job.key) is None
    assert len(world.provider.cancelled) == 1


async def test_a_job_that_the_list_leaves_out_because_it_was_claimed_before_is_ended_too(world: World) -> None:
    job = await running(world)
    world.provider.unlisted.add(job.external_name)
    world.kube.force_off(job)
    world.clock.pause(AGE_SECONDS)
    await sweep(world)
    assert len(world.provider.cancelled) == 1
