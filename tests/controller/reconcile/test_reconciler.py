"""The loop on fakes: a job's life, and what the next process makes of one that died at any step."""

import msgspec
import pytest

from controller.domain import conditions, names
from controller.domain.errors import EnvironmentMissing, Permanent, Retryable, Unavailable
from controller.domain.job import JobStatus
from controller.domain.phases import Phase
from controller.ports import Environment
from tests.controller.fakes import START, Crash
from tests.controller.reconcile.harness import World


@pytest.fixture
def world() -> World:
    return World()


async def test_a_job_lives_through_its_phases_with_three_status_writes(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    job = world.kube.current(job)
    assert job.status.phase is Phase.SCHEDULED
    assert conditions.is_true(job.status.conditions, conditions.SUBMITTED)
    world.provider.move(Phase.RUNNING, started_at=START)
    job = await world.observe(job)
    assert job.status.phase is Phase.RUNNING
    world.provider.move(Phase.COMPLETED, exit_code=0, completed_at=START)
    job = await world.observe(job)
    assert job.status.phase is Phase.COMPLETED
    assert job.status.exit_code == 0
    assert conditions.is_true(job.status.conditions, conditions.COMPLETE)
    assert world.kube.writes == 3
    assert world.audit(job) == [
        (0, None, "Pending"),
        (1, "Pending", "Scheduled"),
        (2, "Scheduled", "Running"),
        (3, "Running", "Completed"),
    ]


async def test_the_finalizer_is_there_before_the_job_is_submitted(world: World) -> None:
    job = world.kube.create(held=False)
    world.faults.arm("before submit", Crash())
    assert await world.crashes(world.reconcile(job))
    held = world.kube.current(job)
    assert held.is_held
    assert held.metadata.labels[names.LABEL_JOB_ID] == "job"


async def test_nothing_is_written_for_a_job_that_did_not_change(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    writes = world.kube.writes
    for _ in range(3):
        await world.observe(job)
    assert world.kube.writes == writes


POINTS = ["before submit", "after submit", "before record", "after record", "before status", "after status"]


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
    world.faults.arm("before status", Crash("on purpose"))
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


@pytest.mark.parametrize("point", POINTS[2:])
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


async def test_a_refused_job_fails_with_the_services_reason(world: World) -> None:
    job = world.kube.create()
    world.faults.arm("before submit", Permanent("no such machine type", reason="SubmissionRefused"))
    await world.reconcile(job)
    status = world.kube.current(job).status
    assert (status.phase, status.reason, status.message) == (
        Phase.FAILED,
        "SubmissionRefused",
        "no such machine type",
    )
    assert ("Warning", "SubmissionRefused") in world.kube.events


async def test_an_unknown_profile_fails_the_job_and_names_the_known_ones(world: World) -> None:
    from controller.domain.job import Resources

    job = world.kube.create(resources=Resources(profile="giant"))
    await world.reconcile(job)
    status = world.kube.current(job).status
    assert status.phase is Phase.FAILED
    assert "small" in (status.message or "")
    assert not world.provider.submissions


async def test_a_database_that_is_down_delays_status_and_submits_once(world: World) -> None:
    job = world.kube.create()
    for _ in range(2):
        world.faults.arm("before record", Unavailable("the database is down"))
    with pytest.raises(Unavailable):
        await world.reconcile(job)
    assert world.kube.current(job).status.phase is None
    assert len(world.provider.submissions) == 1, "the job runs nevertheless"
    await world.reconcile(job)
    assert len(world.provider.submissions) == 1
    assert world.kube.current(job).status.phase is Phase.SCHEDULED


async def test_a_record_that_refuses_the_row_fails_the_job(world: World) -> None:
    job = world.kube.create()
    world.faults.arm("before record", Permanent("value too long", reason="RecordRejected"), passes=1)
    await world.reconcile(job)
    status = world.kube.current(job).status
    assert (status.phase, status.reason) == (Phase.FAILED, "RecordRejected")
    assert len(world.provider.cancelled) == 1, "nothing is left running unseen"


async def test_a_second_object_with_the_same_job_id_is_refused_before_it_is_submitted(world: World) -> None:
    first, second = world.kube.create("one", job_id="same"), world.kube.create("two", job_id="same")
    await world.reconcile(first)
    await world.reconcile(second)
    status = world.kube.current(second).status
    assert (status.phase, status.reason) == (Phase.FAILED, "RecordRejected")
    assert len(world.provider.submissions) == 1
    world.kube.edit(second, metadata={"deletion_timestamp": START, "annotations": {names.ANNOTATION_PURGE: "true"}})
    await world.reconcile(second)
    assert world.record.rows["tenant", "same"].status is Phase.SCHEDULED, "the row is the first one's, and stays"


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


# --- environment ----------------------------------------------------------------------------------------


async def test_a_job_waits_for_its_secret_without_writing_while_the_api_may_be_making_it(world: World) -> None:
    job = world.kube.create()
    world.kube.env = EnvironmentMissing("secret job-env does not exist")
    assert await world.reconcile(job) == pytest.approx(0.05)
    assert world.kube.writes == 0
    world.kube.env = Environment(values={"A": "1"}, shown={"A": "1"})
    await world.reconcile(job)
    assert world.provider.submissions[0].env == {"A": "1"}


async def test_a_job_whose_secret_never_comes_fails_after_the_limit(world: World) -> None:
    job = world.kube.create()
    world.kube.env = EnvironmentMissing("secret job-env does not exist")
    await world.clock.advance(3)
    await world.reconcile(job)
    assert not conditions.is_true(world.kube.current(job).status.conditions, conditions.ENVIRONMENT_READY)
    await world.clock.advance(61)
    await world.reconcile(job)
    status = world.kube.current(job).status
    assert (status.phase, status.reason) == (Phase.FAILED, "EnvSecretMissing")


# --- cancel, suspend, delete, ttl -----------------------------------------------------------------------


async def test_cancel_asks_the_service_once_and_waits_for_its_word(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    world.kube.edit(job, cancel=True)
    await world.reconcile(job)
    await world.observe(job)
    assert len(world.provider.cancelled) == 1
    assert world.kube.current(job).status.phase is Phase.SCHEDULED
    world.provider.move(Phase.CANCELLED)
    assert (await world.observe(job)).status.phase is Phase.CANCELLED


async def test_a_service_that_does_not_react_is_asked_to_cancel_again(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    world.kube.edit(job, cancel=True)
    pause = await world.reconcile(job)
    assert pause == 60
    await world.clock.advance(60)
    await world.reconcile(job)
    assert len(world.provider.cancelled) == 2


async def test_a_job_that_finished_before_the_cancel_stays_completed(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    world.kube.edit(job, cancel=True)
    world.provider.move(Phase.COMPLETED)
    assert (await world.observe(job)).status.phase is Phase.COMPLETED


async def test_cancelling_a_job_that_was_never_submitted_ends_it_without_submitting(world: World) -> None:
    job = world.kube.create(cancel=True)
    await world.reconcile(job)
    assert world.kube.current(job).status.phase is Phase.CANCELLED
    assert not world.provider.submissions


async def test_cancelling_finds_a_submission_whose_result_was_lost(world: World) -> None:
    job = world.kube.create()
    world.faults.arm("after submit", Crash())
    assert await world.crashes(world.reconcile(job))
    world.kube.edit(job, cancel=True)
    await world.reconcile(job)
    assert len(world.provider.cancelled) == 1
    assert not world.kube.current(job).is_finished


async def test_suspend_holds_a_job_back_and_lifting_it_submits(world: World) -> None:
    job = world.kube.create(suspend=True)
    await world.reconcile(job)
    assert conditions.is_true(world.kube.current(job).status.conditions, conditions.SUSPENDED)
    assert not world.provider.submissions
    world.kube.edit(job, suspend=False)
    await world.reconcile(job)
    assert len(world.provider.submissions) == 1
    assert not conditions.is_true(world.kube.current(job).status.conditions, conditions.SUSPENDED)


async def test_suspending_a_submitted_job_changes_nothing_and_says_so(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    world.kube.edit(job, suspend=True)
    await world.reconcile(job)
    condition = conditions.find(world.kube.current(job).status.conditions, conditions.SUSPENDED)
    assert condition is not None
    assert (condition.status, condition.reason) == ("False", "AlreadySubmitted")


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
    await world.record.delete_job("tenant", "job")
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


# --- a service that forgets -----------------------------------------------------------------------------


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


async def test_a_job_for_a_provider_that_is_not_set_up_waits_and_says_why(world: World) -> None:
    job = world.kube.create(provider="aws")
    await world.reconcile(job)
    status = world.kube.current(job).status
    condition = conditions.find(status.conditions, conditions.SUBMITTED)
    assert status.phase is Phase.PENDING
    assert condition is not None
    assert condition.reason == "ProviderNotConfigured"


async def test_a_namespace_too_long_for_a_tenant_id_fails_the_job_in_kubernetes_only(world: World) -> None:
    world.kube.labels = {names.LABEL_TENANT: "x" * 37}
    job = world.kube.create(tenant_id=None)
    await world.reconcile(job)
    assert world.kube.current(job).status.phase is Phase.FAILED
    assert not world.record.rows


async def test_a_database_that_is_down_holds_no_job_back_and_is_told_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING")
    for _ in range(3):
        job = world.kube.create()
        world.faults.arm("before record", Unavailable("the database is down"))
        world.faults.arm("before record", Unavailable("the database is down"))
        with pytest.raises(Unavailable):
            await world.reconcile(job)
    assert len(world.provider.jobs) == 3
    assert [line for line in caplog.messages if "before they are recorded" in line] == [
        "jobs are submitted before they are recorded: the database is down"
    ]
