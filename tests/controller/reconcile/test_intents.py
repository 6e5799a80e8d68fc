"""Exactly one job at a service that does not let us name jobs (design §3), whatever is lost and whoever dies."""

import msgspec
import pytest

from controller.domain import conditions, names, reasons
from controller.domain.errors import Conflict, Forbidden, Permanent, Retryable, Throttled, Unavailable
from controller.domain.job import Job, JobStatus, Submission
from controller.domain.phases import Phase
from tests.controller.fakes import START, Crash
from tests.controller.reconcile.harness import Process, World


@pytest.fixture
def world() -> World:
    return World(names_are_ids=False)


async def step(world: World, job: Job, process: Process | None = None) -> None:
    """A round and a pass, as workers do it: what fails is tried again later."""
    process = process or world.process
    try:
        await process.observer._round()
        await process.reconcile(job)
    except Crash:
        world.start()
    except Conflict:
        process.cache.put(world.kube.current(job))
    except Retryable:
        pass


async def drive(world: World, job: Job, seconds: float, every: float = 1.0) -> Job:
    """That much time, with a round and a pass each so often."""
    for _ in range(int(seconds / every)):
        await step(world, job)
        await world.clock.advance(every)
    return world.kube.current(job)


def condition(job: Job, kind: str) -> tuple[str, str] | None:
    found = conditions.find(job.status.conditions, kind)
    return (found.status, found.reason) if found else None


async def test_a_submission_costs_one_write_more_and_leaves_no_intent(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    assert len(world.provider.made) == 1
    assert world.kube.writes == 2
    status = world.kube.current(job).status
    assert (status.submission, status.resource_path) == (None, world.provider.made[0][1].resource_path)
    assert condition(world.kube.current(job), conditions.SUBMITTED) == ("True", reasons.SUBMITTED)


async def test_the_intent_says_who_when_and_until_when(world: World) -> None:
    job = world.kube.create()
    world.faults.arm("before submit", Crash())
    assert await world.crashes(world.reconcile(job))
    intent = world.kube.current(job).status.submission
    assert (intent.attempt, intent.by, intent.at, intent.in_doubt) == (1, "process-1", START, False)
    assert (intent.deadline - intent.at).total_seconds() == 12


@pytest.mark.parametrize("point", ["before submit", "after submit"])
@pytest.mark.parametrize("hidden", [0, 20])
async def test_a_process_that_dies_around_the_call_leaves_one_job(world: World, point: str, hidden: float) -> None:
    world.provider.hidden = hidden
    job = world.kube.create()
    world.faults.arm(point, Crash())
    assert await world.crashes(world.reconcile(job))
    was_made = len(world.provider.made)
    await drive(world, job, 41)
    assert len(world.provider.made) == was_made, "nothing is sent before the call must be over and have settled"
    after = await drive(world, job, 40)
    assert len(world.provider.made) == 1
    assert after.status.resource_path == world.provider.made[0][1].resource_path


@pytest.mark.parametrize("hidden", [0, 25])
async def test_a_lost_reply_is_looked_for_and_adopted(world: World, hidden: float) -> None:
    world.provider.hidden = hidden
    job = world.kube.create()
    world.faults.arm("after submit", Unavailable("the reply was lost"))
    with pytest.raises(Unavailable):
        await world.reconcile(job)
    assert condition(world.kube.current(job), conditions.SUBMITTED) == ("False", reasons.SUBMITTING)
    after = await drive(world, job, 50)
    assert len(world.provider.made) == 1
    assert after.is_submitted
    assert condition(after, conditions.SUBMITTED) == ("True", reasons.SUBMITTED)


async def test_a_lost_request_is_sent_again_after_two_looks_apart(world: World) -> None:
    job = world.kube.create()
    world.faults.arm("before submit", Unavailable("who knows"))
    await drive(world, job, 43)
    assert world.kube.current(job).status.submission.attempt == 1
    await drive(world, job, 14)
    assert world.provider.made == [], "one look is not enough"
    after = await drive(world, job, 5)
    assert len(world.provider.made) == 1
    assert after.status.submission.look_again_at is not None, "and duplicates are looked for later"


@pytest.mark.parametrize("error", [Throttled("slower"), Forbidden("no right"), Retryable("nothing was sent")])
async def test_what_was_not_sent_for_sure_is_sent_again_at_once(world: World, error: Exception) -> None:
    job = world.kube.create()
    world.faults.arm("before submit", error)
    await step(world, job)
    assert world.kube.current(job).status.submission is None
    await step(world, job)
    assert len(world.provider.made) == 1


async def test_what_prepare_refuses_writes_no_intent(world: World) -> None:
    job = world.kube.create()
    world.faults.arm("prepare", Permanent("no such queue", reason=reasons.INVALID_SPEC))
    await world.reconcile(job)
    after = world.kube.current(job)
    assert (after.status.phase, after.status.reason, after.status.submission) == (
        Phase.FAILED,
        reasons.INVALID_SPEC,
        None,
    )
    assert world.kube.writes == 1


async def test_of_two_controllers_one_writes_the_intent_and_the_other_sends_nothing(world: World) -> None:
    job = world.kube.create()
    other = world.another()
    await world.reconcile(job)
    with pytest.raises(Conflict):
        await other.reconciler.reconcile(job)  # on the version that it still believes in
    assert len(world.provider.made) == 1


async def test_anothers_intent_is_waited_for_by_our_own_clock_too(world: World) -> None:
    """The writer's clock was behind by an hour: its deadline looks long past."""
    job = world.kube.create()
    old = Submission(attempt=1, by="other", at=START.replace(year=2025), deadline=START.replace(year=2025))
    status = msgspec.structs.replace(job.status, submission=old)
    world.kube._store(msgspec.structs.replace(job, status=status))
    await drive(world, job, 41)
    assert world.provider.made == []
    await drive(world, job, 20)
    assert len(world.provider.made) == 1


async def test_an_intent_is_not_touched_before_its_deadline_however_long_we_know_it(world: World) -> None:
    job = world.kube.create()
    late = START.replace(hour=1)
    status = msgspec.structs.replace(job.status, submission=Submission(attempt=1, by="other", at=START, deadline=late))
    world.kube._store(msgspec.structs.replace(job, status=status))
    await drive(world, job, 3600, every=60)
    assert world.provider.made == []
    await drive(world, job, 120, every=10)
    assert len(world.provider.made) == 1


async def two_jobs_of_one(world: World) -> Job:
    """A process was stopped right before its call and wakes long after another has taken its place."""
    job = world.kube.create()
    world.faults.arm("before submit", Crash())
    assert await world.crashes(world.reconcile(job))
    await drive(world, job, 70)
    await world.provider.submit(msgspec.structs.replace(world.provider.stopped[0][1], send_by=None))
    assert len(world.provider.made) == 2
    return world.kube.current(job)


async def test_a_duplicate_is_ended_and_the_oldest_goes_on(world: World) -> None:
    job = await two_jobs_of_one(world)
    after = await drive(world, job, 120)
    first, second = (made for _, made in world.provider.made)
    assert not first.has_ended
    assert second.phase is Phase.CANCELLED
    assert after.status.resource_path == first.resource_path
    assert ("Warning", reasons.DUPLICATE) in world.kube.events
    after = await drive(world, job, 300)
    assert after.status.submission is None, "the doubt is over once no call can come any more"


async def test_a_job_that_is_older_than_the_adopted_one_takes_its_place(world: World) -> None:
    """The service showed the first one only after the second had been sent."""
    world.provider.hidden = 100
    job = world.kube.create()
    world.faults.arm("after submit", Unavailable("the reply was lost"))
    await drive(world, job, 60)
    world.provider.hidden = 0
    first, second = (made for _, made in world.provider.made)
    assert world.kube.current(job).status.resource_path == second.resource_path
    world.provider.move(Phase.RUNNING)
    after = await drive(world, job, 130)
    assert after.status.resource_path == first.resource_path
    assert world.provider.cancelled == [second.resource_path]
    world.provider.move(Phase.COMPLETED, exit_code=0)
    assert (await drive(world, job, 3)).status.phase is Phase.COMPLETED


async def test_duplicates_of_a_job_that_has_ended_are_ended_too(world: World) -> None:
    job = world.kube.create()
    world.faults.arm("after submit", Unavailable("the reply was lost"))
    await drive(world, job, 45)
    world.provider.move(Phase.COMPLETED, exit_code=0)
    after = await drive(world, job, 2)
    assert after.status.phase is Phase.COMPLETED
    await world.provider.submit(msgspec.structs.replace(world.provider.submissions[0], send_by=None))
    after = await drive(world, job, 120)
    assert (after.status.phase, after.status.resource_path) == (
        Phase.COMPLETED,
        world.provider.made[0][1].resource_path,
    )
    assert [made.phase for _, made in world.provider.made] == [Phase.COMPLETED, Phase.CANCELLED]


async def test_a_deleted_object_is_held_until_duplicates_were_looked_for(world: World) -> None:
    job = await two_jobs_of_one(world)
    world.kube.edit(job, metadata={"deletion_timestamp": START})
    for _ in range(500):
        if world.kube.objects:
            await step(world, job)
            await world.clock.advance(1)
    assert not world.kube.objects
    assert all(made.has_ended for _, made in world.provider.made)


async def test_a_cancel_in_doubt_ends_the_job_that_was_made(world: World) -> None:
    job = world.kube.create()
    world.faults.arm("after submit", Unavailable("the reply was lost"))
    await step(world, job)
    world.kube.edit(job, cancel=True)
    await drive(world, job, 30)
    assert not world.kube.current(job).is_finished
    after = await drive(world, job, 20)
    assert after.status.phase is Phase.CANCELLED
    assert world.provider.cancelled == [world.provider.made[0][1].resource_path]


async def test_a_cancel_in_doubt_of_a_job_that_was_never_made_ends_it_after_two_looks(world: World) -> None:
    job = world.kube.create()
    world.faults.arm("before submit", Unavailable("who knows"))
    await step(world, job)
    world.kube.edit(job, cancel=True)
    after = await drive(world, job, 65)
    assert (after.status.phase, after.status.reason) == (Phase.CANCELLED, reasons.CANCELLED_BEFORE_SUBMISSION)
    assert world.provider.made == []


async def test_a_cancel_without_any_intent_asks_nobody(world: World) -> None:
    job = world.kube.create(cancel=True)
    world.faults.arm("get", AssertionError("the service was asked"))
    await world.reconcile(job)
    assert world.kube.current(job).status.reason == reasons.CANCELLED_BEFORE_SUBMISSION


async def test_a_status_that_was_wiped_does_not_run_the_job_again(world: World) -> None:
    job = world.kube.create()
    await world.reconcile(job)
    world.provider.move(Phase.RUNNING)
    await drive(world, job, 2)
    wiped = msgspec.structs.replace(world.kube.current(job), status=type(job.status)())
    world.start()
    world.kube._store(wiped)
    after = await drive(world, job, 60)
    assert len(world.provider.made) == 1
    assert after.status.phase is Phase.RUNNING


async def test_a_database_that_is_down_does_not_hold_a_new_job_back(world: World) -> None:
    await step(world, world.kube.create("first"))
    job = world.kube.create(job_id=None)
    for _ in range(3):
        world.faults.arm("before record", Unavailable("the database is down"))
    await step(world, job)
    assert len(world.provider.made) == 2
    after = await drive(world, job, 60)
    assert len(world.provider.made) == 2
    assert (after.status.phase, world.audit(job)[0]) == (Phase.PENDING, (0, None, "Pending"))


async def test_a_search_that_fails_is_no_look(world: World) -> None:
    job = world.kube.create()
    world.faults.arm("before submit", Unavailable("who knows"))
    for _ in range(30):
        world.faults.arm("find", Unavailable("the service is down"))
    await drive(world, job, 60)
    assert world.provider.made == []


async def test_the_job_keeps_its_finalizer_and_names_all_along(world: World) -> None:
    job = await two_jobs_of_one(world)
    assert names.FINALIZER in job.metadata.finalizers
    assert {made.external_name for _, made in world.provider.made} == {job.external_name}


async def test_an_end_that_kubernetes_lost_keeps_its_path_though_the_service_hides_the_job(
    world: World,
) -> None:
    job = world.kube.create()
    await drive(world, job, 2)
    world.provider.move(Phase.COMPLETED, exit_code=0)
    ended = await drive(world, job, 2)
    assert ended.status.phase is Phase.COMPLETED
    world.kube._store(msgspec.structs.replace(ended, status=JobStatus()))
    world.provider.hidden = 3600
    world.start()
    with pytest.raises(Retryable, match="does not show it yet"):
        await world.reconcile(job)
    after = await drive(world, job, 40)
    assert (after.status.phase, after.status.resource_path) == (Phase.COMPLETED, ended.status.resource_path)
    assert len(world.provider.made) == 1
