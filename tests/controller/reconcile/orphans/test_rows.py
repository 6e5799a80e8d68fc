"""The rows of objects that are gone: which are ended, and how."""

import msgspec
import pytest

from controller.domain import names
from controller.domain.errors import Unavailable
from controller.domain.phases import Phase
from controller.domain.records import Transition, job_row
from controller.domain.resources import ResourceSet
from controller.reconcile import statuses
from controller.reconcile.orphans import AGE_SECONDS
from tests.controller.fakes import START
from tests.controller.reconcile.harness import World
from tests.controller.reconcile.orphans.harness import EVERY, row, running, sweep


async def test_an_object_that_went_before_its_job_was_submitted_has_its_row_ended(reporting: World) -> None:
    world = reporting
    world.faults.arm("before submit", Unavailable("no answer"))
    job = world.kube.create()
    with pytest.raises(Unavailable):
        await world.reconcile(job)
    assert row(world, job).status is Phase.PENDING
    world.kube.force_off(job)
    world.clock.pause(AGE_SECONDS)
    await sweep(world)
    assert row(world, job).status is Phase.PENDING
    await sweep(world)
    assert row(world, job).status is Phase.CANCELLED
    assert world.audit(job) == [(0, None, "Pending"), (1, "Pending", "Cancelled")]


async def test_an_object_that_went_before_it_was_accepted_has_the_row_ended_that_the_api_began(
    reporting: World,
) -> None:
    world = reporting
    job = world.kube.create()
    status = statuses.accepted(job, tenant_id="tenant", provider="local")
    api = msgspec.structs.replace(job, status=status)
    first = job_row(api, tenant_id="tenant", resources=ResourceSet(), env=None, now=START)
    await world.record.write([Transition(uid=job.key, number=0, from_phase=None, row=first, at=START, reason="")])
    world.kube.force_off(job)
    await sweep(world)
    await sweep(world, 2)
    assert row(world, job).status is Phase.CANCELLED


async def test_an_orphan_that_vanishes_at_the_service_has_failed_after_the_grace(reporting: World) -> None:
    world = reporting
    job = await running(world)
    world.kube.force_off(job)
    world.provider.jobs, world.provider.made = {}, []  # type: ignore[union-attr]
    world.clock.pause(AGE_SECONDS)
    await sweep(world)
    assert row(world, job).status is Phase.RUNNING
    await sweep(world)
    assert row(world, job).status is Phase.FAILED
    assert "does not know the job" in row(world, job).error_message


async def test_the_row_of_a_job_that_was_purged_does_not_come_back(world: World) -> None:
    job = await running(world)
    world.kube.edit(job, metadata={"annotations": {names.ANNOTATION_PURGE: "true"}})
    await world.record.delete_job("tenant", job.job_id, uid=job.key)
    world.kube.force_off(job, unseen=True)
    world.start()
    await sweep(world, 2)
    world.provider.move(Phase.CANCELLED)
    await sweep(world, 2)
    assert world.record.rows == {}


async def test_another_objects_row_is_not_touched(world: World) -> None:
    """The object was made anew with the same job id, and the old one's row removed before."""
    old = await running(world)
    world.kube.force_off(old)
    await world.record.delete_job("tenant", old.job_id, uid=old.key)
    new = await running(world)
    await sweep(world, 2)
    assert len(world.provider.cancelled) == 1
    if world.provider.names_are_ids:
        gone = world.provider.jobs[old.external_name]
        world.provider.jobs[old.external_name] = msgspec.structs.replace(gone, phase=Phase.CANCELLED)
    await sweep(world, 2)
    assert row(world, new).status is Phase.RUNNING
    assert world.audit(new) == [(0, None, "Pending"), *world.audit(new)[1:]]


async def test_a_database_that_is_down_delays_the_end_of_the_row(reporting: World) -> None:
    world = reporting
    job = await running(world)
    world.kube.force_off(job)
    world.provider.move(Phase.COMPLETED, completed_at=START)
    world.clock.pause(AGE_SECONDS)
    world.faults.arm("before record", Unavailable("down"))
    await world.process.orphans.sweep()
    assert row(world, job).status is Phase.RUNNING
    await sweep(world)
    assert row(world, job).status is Phase.COMPLETED


async def test_a_standby_that_saw_the_object_go_carries_on_when_it_leads(reporting: World) -> None:
    """Also for a job that has ended by then, of which no list tells."""
    world = reporting
    job = await running(world)
    standby = world.another()
    world.kube.force_off(job)
    standby.reconciler.remove(job.key)
    world.provider.move(Phase.COMPLETED, completed_at=START)
    world.clock.pause(EVERY)
    await standby.orphans.sweep()
    assert row(world, job).status is Phase.COMPLETED


@pytest.mark.parametrize("end", [Phase.COMPLETED, Phase.CANCELLED])
async def test_an_object_and_its_cloud_job_that_both_went_while_no_operator_ran_have_their_row_ended(
    reporting: World, end: Phase, caplog: pytest.LogCaptureFixture
) -> None:
    world = reporting
    job = await running(world)
    world.kube.force_off(job, unseen=True)
    world.provider.move(end, completed_at=world.clock.now())
    world.start()
    await sweep(world, 2)
    assert row(world, job).status is end
    assert "JennahJob any more" not in caplog.text
