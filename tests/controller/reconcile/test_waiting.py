"""What a service says beside the phase: why a job waits, that somebody removes it, what it did otherwise."""

from datetime import timedelta

import pytest

from controller.domain import conditions, names, reasons
from controller.domain.differences import Remark
from controller.domain.errors import EnvironmentMissing, Unavailable
from controller.domain.job import Job
from controller.domain.phases import Phase
from controller.ports import Environment
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


WAITS_FOR_ENVIRONMENT = ("Warning", reasons.WAITING_FOR_ENVIRONMENT)
NOT_CONFIGURED = ("Warning", reasons.PROVIDER_NOT_CONFIGURED)


async def waiting_for(world: World, message: str) -> Job:
    """A job that is known to wait for a Secret."""
    job = world.kube.create()
    world.kube.env = EnvironmentMissing(message)
    await world.clock.advance(3)  # the API makes a job first and its Secret right after
    await world.reconcile(job)
    return job


async def test_a_job_that_waits_for_a_secret_says_so_in_one_event_whatever_the_number_of_passes(world: World) -> None:
    job = await waiting_for(world, "secret a does not exist in namespace default")
    for message in ("secret a does not exist in namespace default", "secret b does not exist in namespace default"):
        world.kube.env = EnvironmentMissing(message)
        await world.clock.advance(1)
        await world.reconcile(job)
    assert world.kube.events == [WAITS_FOR_ENVIRONMENT]
    assert world.kube.event_messages == ["secret a does not exist in namespace default"]
    told = condition(world.kube.current(job), conditions.ENVIRONMENT_READY)
    assert told is not None and "secret b" in told[2], "the condition has what it waits for now"


async def test_a_process_that_takes_over_does_not_say_again_what_a_job_waits_for(world: World) -> None:
    job = await waiting_for(world, "secret a does not exist")
    world.start()
    await world.clock.advance(1)
    await world.reconcile(job)
    assert world.kube.events == [WAITS_FOR_ENVIRONMENT]


async def test_no_event_while_the_api_may_be_making_the_secret_nor_once_it_is_there(world: World) -> None:
    job = world.kube.create()
    world.kube.env = EnvironmentMissing("secret job-env does not exist")
    await world.reconcile(job)
    assert world.kube.events == []
    world.kube.env = Environment(values={"PASSWORD": "value-to-find"}, shown={"PASSWORD": "value-to-find"})
    await world.reconcile(job)
    await world.observe(job)
    assert WAITS_FOR_ENVIRONMENT not in world.kube.events
    assert "value-to-find" not in "".join(world.kube.event_messages)


@pytest.mark.parametrize("waited", [False, True])
async def test_keys_that_became_no_variables_are_told_in_a_condition_and_in_one_event(
    world: World, waited: bool
) -> None:
    job = await waiting_for(world, "secret files does not exist") if waited else world.kube.create()
    world.kube.events.clear()
    world.kube.event_messages.clear()
    world.kube.env = Environment(values={}, shown={}, left_out=("key tls.crt of secret files", "key a-b of secret s"))
    world.faults.arm("before submit", Unavailable("down"))
    with pytest.raises(Unavailable):
        await world.reconcile(job)
    await world.reconcile(job)
    world.provider.move(Phase.RUNNING)
    job = await world.observe(job)
    told = "envFrom: left out, as they cannot be variables: key tls.crt of secret files, key a-b of secret s"
    assert condition(job, conditions.ENVIRONMENT_READY) == ("True", reasons.INVALID_VARIABLE_NAMES, told)
    assert world.kube.events.count(("Warning", reasons.INVALID_VARIABLE_NAMES)) == 1
    assert told in world.kube.event_messages


async def test_a_wait_that_could_not_be_written_is_told_once_it_is(world: World) -> None:
    job = world.kube.create()
    world.kube.env = EnvironmentMissing("secret a does not exist")
    await world.clock.advance(3)
    world.faults.arm("before status", Unavailable("down"))
    with pytest.raises(Unavailable):
        await world.reconcile(job)
    assert world.kube.events == []
    await world.reconcile(job)
    assert world.kube.events == [WAITS_FOR_ENVIRONMENT]


async def test_a_job_of_a_provider_that_is_not_set_up_says_so_in_one_event(world: World) -> None:
    job = world.kube.create(provider="azure")
    for _ in range(3):
        await world.reconcile(job)
        await world.clock.advance(60)
    assert world.kube.events == [NOT_CONFIGURED]
    assert world.kube.event_messages[0].startswith("provider azure is not set up in this controller (it has: ")


async def test_an_outage_of_the_service_is_no_event(world: World) -> None:
    job = world.kube.create()
    world.faults.arm("before submit", Unavailable("down"))
    with pytest.raises(Unavailable):
        await world.reconcile(job)
    assert condition(world.kube.current(job), conditions.SUBMITTED)[:2] == ("False", reasons.PROVIDER_ERROR)
    assert world.kube.events == []
