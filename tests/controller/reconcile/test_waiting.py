"""What a service says beside the phase: why a job waits, that somebody removes it, what it did otherwise."""

from datetime import timedelta

import pytest

from controller.domain import conditions, names, reasons
from controller.domain.differences import Remark
from controller.domain.job import Job
from controller.domain.phases import Phase
from tests.controller.fakes import START
from tests.controller.reconcile.harness import World

WORDS = "no quota for 8 CPUs in us-central1"


def condition(job: Job, kind: str) -> tuple[str, str, str] | None:
    found = conditions.find(job.status.conditions, kind)
    return (found.status, found.reason, found.message) if found else None


async def waiting(world: World, **spec: object) -> Job:
    """A submitted job that the service has no machine for."""
    job = world.kube.create(**spec)
    await world.reconcile(job)
    world.provider.move(Phase.PENDING, waits_because=WORDS, waits_reason=reasons.QUOTA_EXCEEDED)
    return await world.observe(job)


async def test_why_a_job_waits_is_told_once_it_lasts_and_taken_back_when_it_is_over(world: World) -> None:
    job = await waiting(world)
    assert condition(job, conditions.SCHEDULED) is None
    assert await world.reconcile(job) == 120, "and the pass comes back for it, though nothing changes at the service"
    await world.clock.advance(120)
    await world.reconcile(job)
    assert condition(world.kube.current(job), conditions.SCHEDULED) == ("False", reasons.QUOTA_EXCEEDED, WORDS)
    world.provider.move(Phase.RUNNING, waits_because=None)
    job = await world.observe(job)
    assert condition(job, conditions.SCHEDULED)[:2] == ("True", reasons.SCHEDULED)


async def test_a_job_that_waits_longer_than_its_pending_deadline_is_ended_and_failed(world: World) -> None:
    job = await waiting(world, pending_deadline_seconds=600)
    await world.clock.advance(599)
    await world.reconcile(job)
    assert world.provider.cancelled == []
    await world.clock.advance(1)
    await world.reconcile(job)
    assert world.provider.cancelled == [job.external_name]
    world.provider.move(Phase.CANCELLED, waits_because=None, completed_at=START)
    job = await world.observe(job)
    assert (job.status.phase, job.status.reason) == (Phase.FAILED, reasons.PENDING_DEADLINE_EXCEEDED)
    told = f"the job did not run within 600 s (spec.pendingDeadlineSeconds): {reasons.QUOTA_EXCEEDED}: {WORDS}"
    assert job.status.message == told


NO_NEWS: dict[str, dict[str, bool]] = {
    "a state that is not known": {},
    "it is being ended": {"is_cancelling": True},
    "it is being removed": {"is_cancelling": True, "is_being_deleted": True},
}
"""What services say of a job without a phase."""


def end(world: World, job: Job, how: str) -> None:
    if how == "cancel":
        world.kube.edit(job, cancel=True)
    elif how == "delete":
        world.kube.edit(job, metadata={"deletion_timestamp": world.clock.now()})


@pytest.mark.parametrize("how", ["deadline", "cancel", "delete"])
@pytest.mark.parametrize("no_news", NO_NEWS.values(), ids=NO_NEWS)
@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.SCHEDULED])
@pytest.mark.parametrize("seconds", [60, 300])
async def test_what_a_job_waited_for_is_told_with_its_end_whatever_the_service_says_meanwhile(
    world: World, phase: Phase, no_news: dict[str, bool], how: str, seconds: int
) -> None:
    """Before and after UNSCHEDULED_AFTER_SECONDS. "No news" was taken for a machine, and the reason was lost."""
    spec = {"pending_deadline_seconds": seconds} if how == "deadline" else {}
    job = await waiting(world, **spec)
    world.provider.move(phase, waits_because=WORDS, waits_reason=reasons.QUOTA_EXCEEDED)
    await world.observe(job)
    await world.clock.advance(seconds)
    end(world, job, how)
    await world.reconcile(job)
    assert world.provider.cancelled == [job.external_name]
    job = world.kube.current(job)
    assert (job.status.reason, job.status.message) == (reasons.QUOTA_EXCEEDED, WORDS)

    world.provider.move(None, waits_because=None, **no_news)
    job = await world.observe(job)
    assert condition(job, conditions.SCHEDULED) == ("False", reasons.QUOTA_EXCEEDED, WORDS)
    assert (job.status.reason, job.status.message) == (reasons.QUOTA_EXCEEDED, WORDS)

    at = world.clock.now()
    world.provider.move(Phase.CANCELLED, is_cancelling=False, is_being_deleted=False, completed_at=at, message="ended")
    await world.observer._round()
    await world.reconcile(job)
    row = world.record.rows["tenant", "job"]
    if how == "deadline":
        told = f"the job did not run within {seconds} s (spec.pendingDeadlineSeconds): QuotaExceeded: {WORDS}"
        assert row.status is Phase.FAILED
    else:
        told = f"ended; it waited: QuotaExceeded: {WORDS}"
        assert row.status is Phase.CANCELLED
    assert row.error_message == told, "and so says the notification, which is made of the row"
    assert world.kube.event_messages.count(told) == 1
    if how != "delete":
        job = world.kube.current(job)
        assert job.status.message == told
        assert condition(job, conditions.SCHEDULED) == ("False", reasons.QUOTA_EXCEEDED, WORDS)


async def test_what_removes_a_job_by_ending_it_does_not_take_the_reason_along(world: World) -> None:
    """A Kubernetes Job that is cancelled is deleted: nothing more is ever said of it."""
    job = await waiting(world)
    await world.clock.advance(5)
    await world.reconcile(world.kube.edit(job, cancel=True))
    world.provider.jobs.clear()
    await world.observe(job)
    await world.clock.advance(200)
    job = await world.observe(job)
    assert job.status.phase is Phase.CANCELLED
    assert job.status.message is not None and job.status.message.endswith(f"; it waited: QuotaExceeded: {WORDS}")


async def test_a_job_that_ran_and_is_cancelled_has_not_waited(world: World) -> None:
    job = await waiting(world)
    await world.clock.advance(120)
    await world.reconcile(job)
    world.provider.move(Phase.RUNNING, waits_because=None, started_at=START)
    await world.observe(job)
    await world.reconcile(world.kube.edit(job, cancel=True))
    world.provider.move(Phase.CANCELLED, completed_at=START, message="ended")
    job = await world.observe(job)
    assert (job.status.message, world.record.rows["tenant", "job"].error_message) == ("ended", None)


async def test_why_a_job_waits_is_its_reason_at_no_further_write_and_until_it_runs(world: World) -> None:
    job = await waiting(world)
    await world.clock.advance(120)
    writes = world.kube.writes
    await world.reconcile(job)
    status = world.kube.current(job).status
    assert (status.reason, status.message) == (reasons.QUOTA_EXCEEDED, WORDS)
    for tries in range(3):
        world.provider.move(Phase.PENDING, waits_because=f"{WORDS}, {tries} tries")
        await world.observe(job)
    assert world.kube.writes == writes + 1
    world.provider.move(Phase.RUNNING, waits_because=None)
    status = (await world.observe(job)).status
    assert (status.reason, status.message) == (reasons.RUNNING, None)


@pytest.mark.parametrize("by_us", [False, True])
async def test_a_job_that_failed_never_has_exit_code_0(world: World, by_us: bool) -> None:
    job = await waiting(world, pending_deadline_seconds=60)
    if by_us:
        await world.clock.advance(60)
        await world.reconcile(job)
    phase = Phase.CANCELLED if by_us else Phase.FAILED
    world.provider.move(phase, waits_because=None, exit_code=0, completed_at=START)
    job = await world.observe(job)
    assert (job.status.phase, job.status.exit_code) == (Phase.FAILED, None)


async def test_what_no_longer_holds_a_job_back_is_no_longer_told(world: World) -> None:
    job = await waiting(world)
    await world.clock.advance(120)
    await world.reconcile(job)
    world.provider.move(None, waits_because=None)  # nothing is known
    assert condition(await world.observe(job), conditions.SCHEDULED)[1] == reasons.QUOTA_EXCEEDED
    world.provider.move(Phase.PENDING, waits_because=None)
    told = condition(await world.observe(job), conditions.SCHEDULED)
    assert told[:2] == ("False", reasons.WAITING_FOR_CAPACITY) and WORDS not in told[2]
    world.provider.move(Phase.PENDING, waits_because="the pool has gone", waits_reason=reasons.POOL_MISSING)
    assert condition(await world.observe(job), conditions.SCHEDULED)[1:] == (reasons.POOL_MISSING, "the pool has gone")


async def ended_by_a_call(world: World, job: Job, **facts: object) -> Job:
    world.provider.move(
        Phase.CANCELLED, waits_because=None, failed_unless_asked=reasons.DELETED_EXTERNALLY, message="ended", **facts
    )
    return await world.observe(job)


async def test_a_call_that_ended_a_job_is_ours_if_status_has_the_mark_that_we_asked(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    await world.reconcile(world.kube.edit(job, cancel=True))
    job = await ended_by_a_call(world, job, completed_at=START)
    assert (job.status.phase, job.status.reason) == (Phase.CANCELLED, reasons.CANCELLED)


async def test_a_call_that_ended_a_job_and_was_not_ours_is_a_failure(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    job = await ended_by_a_call(world, job, completed_at=START)
    assert (job.status.phase, job.status.reason) == (Phase.FAILED, reasons.DELETED_EXTERNALLY)
    assert job.status.message == "ended"


@pytest.mark.parametrize(("seconds", "reason"), [(600, reasons.PENDING_DEADLINE_EXCEEDED), (599, "DeletedExternally")])
async def test_the_end_of_a_job_that_waited_too_long_is_ours_though_nobody_lived_to_note_it(
    world: World, seconds: int, reason: str
) -> None:
    job = await waiting(world, pending_deadline_seconds=600)
    ended = world.kube.current(job).status.submitted_at + timedelta(seconds=seconds)
    job = await ended_by_a_call(world, job, completed_at=ended)
    assert (job.status.phase, job.status.reason) == (Phase.FAILED, reason)


async def test_a_job_that_got_its_machine_has_no_pending_deadline_any_more(world: World) -> None:
    job = await waiting(world, pending_deadline_seconds=600)
    world.provider.move(Phase.RUNNING, waits_because=None, started_at=START)
    await world.observe(job)
    await world.clock.advance(3600)
    assert await world.reconcile(job) is None
    assert world.provider.cancelled == []


async def test_a_state_without_a_phase_leaves_the_phase_as_it_was(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    world.provider.move(Phase.RUNNING)
    await world.observe(job)
    world.provider.move(None, is_cancelling=True)
    job = await world.observe(job)
    assert job.status.phase is Phase.RUNNING


async def test_a_job_that_somebody_removes_at_the_service_fails_without_a_grace_period(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    world.provider.move(None, is_being_deleted=True, is_cancelling=True)
    job = await world.observe(job)
    assert condition(job, conditions.OBSERVED)[:2] == ("False", reasons.DELETED_EXTERNALLY)
    world.provider.jobs.clear()
    job = await world.observe(job)
    assert (job.status.phase, job.status.reason) == (Phase.FAILED, reasons.DELETED_EXTERNALLY)


async def test_a_job_that_we_wanted_to_end_is_cancelled_when_it_is_gone(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    world.kube.edit(job, cancel=True)
    world.provider.move(None, is_being_deleted=True, is_cancelling=True)
    await world.observe(job)
    world.provider.jobs.clear()
    assert (await world.observe(job)).status.phase is Phase.CANCELLED


async def test_what_a_service_did_otherwise_becomes_a_condition(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    remark = Remark(condition=conditions.PARALLELISM_HONOURED, reason=reasons.NOT_SUPPORTED, message="no such limit")
    world.provider.move(Phase.RUNNING, remarks=(remark,))
    job = await world.observe(job)
    assert condition(job, conditions.PARALLELISM_HONOURED) == ("False", reasons.NOT_SUPPORTED, "no such limit")


@pytest.mark.parametrize(("purged", "left"), [(True, 1), (False, 0)])
async def test_delete_job_removes_the_cloud_job_as_well_a_deleted_object_alone_does_not(
    world: World, purged: bool, left: int
) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    annotations = {names.ANNOTATION_PURGE: "true"} if purged else {}
    world.kube.edit(job, metadata={"deletion_timestamp": START, "annotations": annotations})
    await world.reconcile(job)
    world.provider.move(Phase.CANCELLED, completed_at=START)
    await world.observer._round()
    await world.reconcile(job)
    assert not world.kube.objects
    assert len(world.provider.deleted) == left
