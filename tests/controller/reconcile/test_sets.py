"""Sets of tasks whose parallelism is the controller's business: the next tasks, what keeps them back, and the end."""

import pytest

from controller.domain import conditions, reasons
from controller.domain.errors import EnvironmentMissing, Permanent, Retryable, Throttled, Unavailable
from controller.domain.job import Job, TaskCounts
from controller.domain.phases import Phase
from controller.ports import Environment
from tests.controller.fakes import START
from tests.controller.reconcile.harness import World

AT_REST = {
    "tasks": TaskCounts(total=9, pending=6, succeeded=3, submitted=3),
    "tasks_due": 3,
    "is_at_rest": True,
    "started_at": START,
}


async def begun(world: World, *, phase: Phase = Phase.RUNNING, **spec: object) -> Job:
    """A set of which three of nine tasks were made, and run."""
    job = world.kube.create(completions=9, parallelism=3, **spec)
    await world.reconcile(job)
    world.provider.move(phase, tasks=TaskCounts(total=9, pending=6, running=3, submitted=3))
    return await world.observe(job)


async def later(world: World, job: Job, seconds: float = 1) -> Job:
    await world.clock.advance(seconds)
    await world.observe(job)
    return world.kube.current(job)


def progressing(job: Job) -> tuple[str, str] | None:
    found = conditions.find(job.status.conditions, conditions.PROGRESSING)
    return (found.status, found.reason) if found else None


# --- the next tasks -------------------------------------------------------------------------------------


async def test_the_next_tasks_cost_one_write_and_repeat_nothing_of_the_submission() -> None:
    world = World()
    before = await begun(world)
    world.provider.move(Phase.RUNNING, **AT_REST)
    writes, events, audit = world.kube.writes, list(world.kube.events), world.audit(before)
    job = await later(world, before, 10)
    assert world.provider.more == [(3, 6)]
    assert job.status.tasks.submitted == 6
    assert (world.kube.writes - writes, world.kube.events, world.audit(job)) == (1, events, audit)
    assert (job.status.submitted_at, job.status.transition) == (before.status.submitted_at, before.status.transition)
    assert progressing(job) is None
    assert len(world.provider.submissions) == 1
    await later(world, job)
    assert world.provider.more == [(3, 6)]


async def test_the_next_tasks_are_asked_for_with_what_status_remembers() -> None:
    world = World()
    job = await begun(world)
    world.provider.move(Phase.RUNNING, **AT_REST)
    await later(world, job)
    [ref] = world.observer._refs.values()
    assert ref.tasks_submitted == 6


async def test_a_set_gets_its_next_tasks_though_it_is_suspended() -> None:
    world = World()
    job = await begun(world)
    world.kube.edit(job, suspend=True)
    world.provider.move(Phase.RUNNING, **AT_REST)
    await later(world, job)
    assert world.provider.more == [(3, 6)]


async def test_a_set_gets_its_next_tasks_though_the_database_is_down() -> None:
    world = World()
    job = await begun(world, phase=Phase.SCHEDULED)
    world.provider.move(Phase.RUNNING, **AT_REST)
    for _ in range(2):
        world.faults.arm("before record", Unavailable("down"))
    with pytest.raises(Unavailable):
        await later(world, job)
    assert world.provider.more == [(3, 6)]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (EnvironmentMissing("no Secret"), reasons.WAITING_FOR_ENVIRONMENT),
        (Permanent("no pool any more", reason=reasons.SUBMISSION_REFUSED), reasons.SUBMISSION_REFUSED),
        (Permanent("not containers", reason=reasons.INVALID_SPEC), reasons.INVALID_SPEC),
        (Permanent("another's", reason=reasons.NAME_TAKEN), reasons.NAME_TAKEN),
        (Permanent("ended", reason=reasons.DELETED_EXTERNALLY), reasons.DELETED_EXTERNALLY),
        (Throttled("quota"), reasons.PROVIDER_ERROR),
        (Unavailable("lost"), reasons.PROVIDER_ERROR),
    ],
)
async def test_what_keeps_the_next_tasks_back_is_told_and_fails_nothing_that_runs(
    error: Exception, reason: str
) -> None:
    world = World()
    job = await begun(world)
    world.provider.move(Phase.RUNNING, **AT_REST)
    for _ in range(3):
        if isinstance(error, EnvironmentMissing):
            world.kube.env = error
        else:
            world.faults.arm("before submit more", error)
        with pytest.raises(Retryable):
            await later(world, job, 40)
        job = world.kube.current(job)
        assert (job.status.phase, progressing(job)) == (Phase.RUNNING, ("False", reason))
        assert conditions.is_true(job.status.conditions, conditions.SUBMITTED)
    waits = isinstance(error, EnvironmentMissing)
    assert world.kube.events.count(("Warning", reasons.WAITING_FOR_ENVIRONMENT)) == waits, (
        "once, where it is to be mended"
    )
    world.kube.env = Environment(values={}, shown={})
    job = await later(world, job, 40)
    assert progressing(job) == ("True", reasons.SUBMITTED)
    assert world.provider.more == [(3, 6)] and len(world.provider.submissions) == 1


async def test_a_set_that_cannot_get_its_next_tasks_is_observed_by_the_next_leader_all_the_same() -> None:
    world = World()
    job = await begun(world)
    world.provider.move(Phase.RUNNING, **AT_REST)
    world.kube.env = EnvironmentMissing("no Secret")
    world.start()
    world.observer.note(world.provider.jobs[job.external_name])
    with pytest.raises(Retryable):
        await world.reconcile(job)
    assert len(world.observer) == 1


# --- the end --------------------------------------------------------------------------------------------


async def test_a_cancelled_set_gets_no_more_tasks_and_has_ended_once_it_is_at_rest() -> None:
    world = World()
    job = await begun(world)
    world.kube.edit(job, cancel=True)
    await later(world, job)
    assert world.provider.cancelled == [job.external_name]
    world.provider.move(Phase.RUNNING, **AT_REST)
    job = await later(world, job)
    assert (job.status.phase, job.status.reason) == (Phase.CANCELLED, reasons.CANCELLED)
    assert world.audit(job)[-1][1:] == ("Running", "Cancelled")
    assert world.provider.more == [] and job.status.completed_at is not None


async def test_a_set_that_is_cancelled_or_deleted_while_it_is_at_rest_has_ended() -> None:
    for wish in ({"cancel": True}, {"metadata": {"deletion_timestamp": START}}):
        world = World()
        job = await begun(world)
        world.kube.edit(job, **wish)
        world.provider.move(Phase.RUNNING, **AT_REST)
        await world.observer._round()
        await world.reconcile(job)
        assert world.record.rows["tenant", "job"].status is Phase.CANCELLED
        assert world.provider.more == []


async def test_a_set_whose_pending_deadline_is_over_has_failed_for_that() -> None:
    world = World()
    job = await begun(world, phase=Phase.PENDING, pending_deadline_seconds=60)
    await later(world, job, 70)
    assert world.provider.cancelled == [job.external_name]
    world.provider.move(Phase.PENDING, **{**AT_REST, "started_at": None})
    job = await later(world, job)
    assert (job.status.phase, job.status.reason) == (Phase.FAILED, reasons.PENDING_DEADLINE_EXCEEDED)
    assert world.provider.more == []


async def test_a_set_at_rest_ends_only_when_no_call_of_the_leader_before_can_add_to_it() -> None:
    world = World()
    world.takeover_settle = 40
    world.start()
    job = await begun(world)
    await world.clock.advance(100)
    world.provider.move(Phase.RUNNING, **AT_REST)
    world.kube.edit(job, cancel=True)
    world.start()
    job = await later(world, job)
    assert (job.status.phase, world.provider.more) == (Phase.RUNNING, [])
    job = await later(world, job, 40)
    assert job.status.phase is Phase.CANCELLED


async def test_a_set_at_rest_ends_only_when_no_call_of_ours_can_add_to_it() -> None:
    world = World()
    world.takeover_settle = 40
    world.start()
    job = await begun(world)
    await world.clock.advance(100)
    world.provider.move(Phase.RUNNING, **AT_REST)
    world.faults.arm("before submit more", Unavailable("lost"))
    with pytest.raises(Unavailable):
        await later(world, job)
    world.kube.edit(job, cancel=True)
    assert (await later(world, job)).status.phase is Phase.RUNNING
    world.provider.move(Phase.RUNNING, **{**AT_REST, "is_at_rest": False})  # it came after all
    assert (await later(world, job, 50)).status.phase is Phase.RUNNING
    assert len(world.provider.cancelled) >= 1
    world.provider.move(Phase.RUNNING, **AT_REST)
    job = await later(world, job)
    assert (job.status.phase, world.provider.more) == (Phase.CANCELLED, [])


# --- without the object ---------------------------------------------------------------------------------


async def test_a_set_that_is_to_go_on_without_its_object_gets_all_its_tasks_first() -> None:
    world = World()
    job = await begun(world, deletion_policy="Orphan")
    world.kube.edit(job, metadata={"deletion_timestamp": START})
    await world.reconcile(job)
    assert len(world.kube.objects) == 1
    world.provider.move(Phase.RUNNING, **AT_REST)
    await later(world, job)
    assert world.provider.more == [(3, 6)] and len(world.kube.objects) == 1
    whole = TaskCounts(total=9, running=2, succeeded=7, submitted=9)
    world.provider.move(Phase.RUNNING, tasks=whole, is_at_rest=False)
    await world.observer._round()
    await world.reconcile(job)
    assert world.kube.objects == {} and world.provider.cancelled == []


async def test_an_object_is_let_go_without_its_set_when_nobody_can_make_the_rest() -> None:
    world = World()
    job = await begun(world, deletion_policy="Orphan")
    world.kube.edit(job, metadata={"deletion_timestamp": START})
    world.provider.move(Phase.RUNNING, **AT_REST)
    world.kube.env = EnvironmentMissing("the namespace goes")
    with pytest.raises(Retryable):
        await later(world, job)
    await world.reconcile(job)
    assert world.kube.objects == {} and world.provider.cancelled == []


async def test_a_set_at_rest_whose_object_is_gone_has_ended() -> None:
    world = World(ends_orphans=True)
    job = await begun(world)
    world.provider.move(Phase.RUNNING, **AT_REST)
    world.kube.force_off(job)
    world.provider.unlisted.add(job.external_name)  # none of its tasks is unfinished
    await world.clock.advance(400)
    await world.process.orphans.sweep()
    row = world.record.rows["tenant", "job"]
    assert row.status is Phase.CANCELLED and world.provider.cancelled == []


async def test_a_set_that_ended_at_rest_is_not_taken_for_one_that_runs_on() -> None:
    world = World()
    job = await begun(world)
    world.kube.edit(job, cancel=True)
    world.provider.move(Phase.RUNNING, **AT_REST)
    job = await later(world, job)
    assert job.status.phase is Phase.CANCELLED
    world.observer.note(world.provider.jobs[job.external_name])
    await world.reconcile(job)
    assert world.kube.current(job).status.phase is Phase.CANCELLED
    assert world.provider.cancelled == []
