"""A run that any record of ours knows of is never run again, whatever else was lost."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from controller.domain import conditions, reasons
from controller.domain.errors import Throttled, Unavailable
from controller.domain.job import Job, JobStatus
from controller.domain.phases import Phase
from tests.controller.fakes import START, Crash
from tests.controller.reconcile.harness import World
from tests.controller.reconcile.orphans.harness import row, running

DAY = 86400.0


def empty(status: JobStatus) -> dict[str, object]:
    """As etcd has it from a backup of before the submission."""
    return {name: getattr(JobStatus(), name) for name in JobStatus.__struct_fields__}


LOSSES: dict[str, Callable[[JobStatus], dict[str, object]]] = {
    "all of it": empty,
    "all but that it was accepted": lambda old: (
        empty(old) | {"phase": Phase.PENDING, "transition": 0, "tenant_id": old.tenant_id, "provider": old.provider}
    ),
    "its submission": lambda old: {"submitted_at": None, "resource_path": None, "destination": None},
}


def forget(world: World) -> None:
    """The service removes what has ended, as each does some day."""
    world.provider.jobs.clear()
    if not world.provider.names_are_ids:
        world.provider.made.clear()  # type: ignore[attr-defined]


async def passes(world: World, job: Job, count: int = 12) -> Job:
    for _ in range(count):
        job = await world.observe(job)
        world.clock.pause(60)
    return job


@pytest.mark.parametrize("what", LOSSES)
async def test_the_record_forbids_a_second_run_of_a_job_whose_status_and_cloud_job_are_gone(
    world: World, what: str
) -> None:
    job = await running(world)
    path = job.status.resource_path
    world.kube.edit_status(job, **LOSSES[what](job.status))
    forget(world)
    world.start()
    job = await passes(world, job)
    assert len(world.provider.submissions) == 1
    assert (job.status.phase, job.status.reason) == (Phase.FAILED, reasons.PROVIDER_JOB_MISSING)
    assert (job.status.resource_path, job.status.started_at) == (path, START), "what the row has of the run"
    assert row(world, job).status is Phase.FAILED


@pytest.mark.parametrize("what", LOSSES)
async def test_a_job_that_runs_is_found_again_by_what_the_record_has(world: World, what: str) -> None:
    job = await running(world)
    path = job.status.resource_path
    world.kube.edit_status(job, **LOSSES[what](job.status))
    world.start()
    job = await passes(world, job, 4)
    assert (job.status.phase, job.status.resource_path) == (Phase.RUNNING, path)
    assert len(world.provider.submissions) == 1


async def test_a_leader_that_dies_before_status_and_an_outage_of_a_day_are_no_second_run(world: World) -> None:
    job = world.kube.create()
    world.faults.arm("before status", Crash(), passes=1)
    assert await world.crashes(world.reconcile(job))
    assert row(world, job).resource_path is not None
    world.clock.pause(1.5 * DAY)
    forget(world)
    world.start()
    job = await passes(world, job)
    assert len(world.provider.submissions) == 1
    assert (job.status.phase, job.status.reason) == (Phase.FAILED, reasons.PROVIDER_JOB_MISSING)


@pytest.mark.parametrize("outage", [0.5, 1.5])
async def test_an_outcome_that_is_unknown_for_longer_than_the_service_remembers_counts_as_a_run(
    world: World, outage: float
) -> None:
    """The leader dies when it has called and before it has written anything: only the destination is known."""
    world.provider.remembers_seconds = DAY
    world.start()
    job = world.kube.create()
    world.faults.arm("after submit", Crash())
    assert await world.crashes(world.reconcile(job))
    world.clock.pause(outage * DAY)
    if outage > 1:
        forget(world)
    world.start()
    job = await passes(world, job)
    assert len(world.provider.submissions) == 1
    if outage > 1:
        assert (job.status.phase, job.status.reason) == (Phase.FAILED, reasons.PROVIDER_JOB_MISSING)
        assert "not known whether the job ran" in (job.status.message or "")
    else:
        assert job.is_submitted and not job.is_finished


async def test_a_call_of_ours_that_is_unknown_for_longer_than_the_service_remembers_counts_as_a_run() -> None:
    world = World()
    world.provider.remembers_seconds = 60.0
    world.start()
    job = world.kube.create()
    world.faults.arm("after submit", Unavailable("the reply is lost"))
    with pytest.raises(Unavailable):
        await world.reconcile(job)
    forget(world)
    world.clock.pause(100)
    job = await passes(world, job, 3)
    assert len(world.provider.submissions) == 1
    assert (job.status.phase, job.status.reason) == (Phase.FAILED, reasons.PROVIDER_JOB_MISSING)


async def test_a_job_that_was_refused_for_longer_than_the_service_remembers_is_submitted_in_the_end() -> None:
    """Each refusal is known to have made nothing, and the next leader can tell."""
    world = World()
    world.provider.remembers_seconds = DAY
    world.start()
    job = world.kube.create()
    for _ in range(40):
        world.faults.arm("before submit", Throttled("the quota is used up"))
        with pytest.raises(Throttled):
            await world.reconcile(job)
        world.clock.pause(3600)
    world.start()
    await world.reconcile(job)
    assert len(world.provider.submissions) == 1
    assert world.kube.current(job).is_submitted


@pytest.mark.parametrize("edit", ["phase", "transition", "started_at"])
async def test_a_status_that_says_it_ran_is_enough_though_the_record_was_lost_too(world: World, edit: str) -> None:
    job = await running(world)
    kept = {"phase": Phase.RUNNING, "transition": 2, "started_at": START}
    lost = {name: value for name, value in empty(job.status).items() if name not in ("tenant_id", "provider")}
    lost |= {"phase": Phase.PENDING, "transition": 0, edit: kept[edit]}
    world.kube.edit_status(job, **lost)
    world.record.rows.clear()
    world.record.audit.clear()
    world.record.owners.clear()
    world.record.destinations.clear()
    forget(world)
    world.start()
    job = await passes(world, job)
    assert len(world.provider.submissions) == 1
    assert (job.status.phase, job.status.reason) == (Phase.FAILED, reasons.PROVIDER_JOB_MISSING)


async def test_a_lost_job_that_is_to_end_is_cancelled(world: World) -> None:
    job = await running(world)
    world.kube.edit_status(job, **empty(job.status))
    world.kube.edit(job, cancel=True)
    forget(world)
    world.start()
    job = await passes(world, job)
    assert (job.status.phase, len(world.provider.submissions)) == (Phase.CANCELLED, 1)
    assert conditions.is_true(job.status.conditions, conditions.CANCELLED)


async def test_an_end_that_was_asked_for_stays_though_a_restored_object_does_not_know_that_it_was(world: World) -> None:
    """What ended because we asked for it, here or as an orphan, looks like a failure to an object without the wish."""
    job = await running(world)
    world.kube.edit(job, cancel=True)
    ended = START + timedelta(seconds=1)
    world.provider.move(Phase.CANCELLED, failed_unless_asked=reasons.DELETED_EXTERNALLY, completed_at=ended)
    assert (await world.observe(job)).status.phase is Phase.CANCELLED
    world.kube.edit(job, cancel=None)
    world.kube.edit_status(job, **LOSSES["all but that it was accepted"](job.status))
    world.start()
    job = await world.observe(job)
    assert (job.status.phase, job.status.completed_at) == (Phase.CANCELLED, ended)
    assert world.audit(job)[-1][1:] == ("Running", "Cancelled")
    assert len(world.provider.submissions) == 1
