"""The loop on fakes: a job's life, what is refused, and what waits for the database, a secret or a provider."""

import pytest

from controller.domain import conditions, names
from controller.domain.errors import EnvironmentMissing, Invalid, Permanent, Unavailable
from controller.domain.job import TaskCounts
from controller.domain.phases import Phase
from controller.ports import Environment
from tests.controller.fakes import START, Crash
from tests.controller.reconcile.harness import World


async def test_a_job_lives_through_its_phases_with_four_status_writes(world: World) -> None:
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
    assert world.kube.writes == 4, "where it goes, and three phases"
    assert world.audit(job) == [
        (0, None, "Pending"),
        (1, "Pending", "Scheduled"),
        (2, "Scheduled", "Running"),
        (3, "Running", "Completed"),
    ]


@pytest.mark.parametrize("end", [Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED])
async def test_every_end_is_finished_and_nothing_else_is(world: World, end: Phase) -> None:
    job = world.kube.create(completions=8)
    await world.reconcile(job)
    world.provider.move(Phase.RUNNING, started_at=START, tasks=TaskCounts(total=8, running=5, succeeded=3))
    job = await world.observe(job)
    assert conditions.find(job.status.conditions, conditions.FINISHED) is None
    assert job.status.progress == "3/8"
    world.provider.move(end, completed_at=START)
    job = await world.observe(job)
    finished = conditions.find(job.status.conditions, conditions.FINISHED)
    assert finished is not None and (finished.status, finished.reason) == ("True", end.value)


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


async def leads(world: World) -> None:
    """The controller knows at which version its term began: what is made from now on is new."""
    await world.reconcile(world.kube.create("first"))
    world.provider.submissions.clear()
    world.provider.jobs.clear()


async def test_a_database_that_is_down_delays_status_and_submits_a_new_job_once(world: World) -> None:
    await leads(world)
    job = world.kube.create(job_id=None)
    for _ in range(2):
        world.faults.arm("before record", Unavailable("the database is down"))
    with pytest.raises(Unavailable):
        await world.reconcile(job)
    status = world.kube.current(job).status
    assert (status.phase, status.destination is not None) == (Phase.PENDING, True)
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


async def test_a_job_that_the_record_refuses_is_removed_after_its_ttl(world: World) -> None:
    first = world.kube.create("one", job_id="same")
    second = world.kube.create("two", job_id="same", ttl_seconds_after_finished=30)
    await world.reconcile(first)
    assert await world.reconcile(second) == 0, "its own write wakes nobody"
    assert await world.reconcile(second) == 30
    await world.clock.advance(30)
    await world.reconcile(second)
    assert world.kube.current(second).is_being_deleted


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


async def test_a_job_whose_environment_is_larger_than_any_fails_at_once_and_says_so(world: World) -> None:
    job = world.kube.create()
    world.kube.env = Invalid("spec.envFrom refers to too much")
    await world.reconcile(job)
    status = world.kube.current(job).status
    assert (status.phase, status.reason) == (Phase.FAILED, "InvalidSpec")
    assert status.message == "spec.envFrom refers to too much"
    assert not world.provider.submissions


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


@pytest.mark.parametrize("what", ["a caller's own job id", "an object of before the term", "one that had a status"])
async def test_a_job_that_may_have_run_before_waits_for_the_record(world: World, what: str) -> None:
    if what != "an object of before the term":
        await leads(world)
    job = world.kube.create(job_id="own" if what == "a caller's own job id" else None)
    if what == "one that had a status":
        job = world.kube.edit_status(job, phase=Phase.PENDING, transition=0, tenant_id="tenant", provider="local")
        job = world.kube.edit_status(job, phase=None, transition=None)
    for _ in range(5):
        world.faults.arm("before record", Unavailable("the database is down"))
        with pytest.raises(Unavailable, match="not submitted before the record can be read: the database is down"):
            await world.reconcile(job)
        world.clock.pause(30)
    assert not world.provider.submissions
    await world.reconcile(job)
    assert len(world.provider.submissions) == 1


async def test_a_database_that_is_down_holds_no_new_job_back_and_is_told_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING")
    await leads(world)
    for _ in range(3):
        job = world.kube.create(job_id=None)
        world.faults.arm("before record", Unavailable("the database is down"))
        world.faults.arm("before record", Unavailable("the database is down"))
        with pytest.raises(Unavailable):
            await world.reconcile(job)
    assert len(world.provider.jobs) == 3
    assert [line for line in caplog.messages if "before they are recorded" in line] == [
        "new jobs are submitted before they are recorded: the database is down"
    ]
