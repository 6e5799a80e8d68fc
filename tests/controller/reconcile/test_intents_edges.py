"""Intents where several things go wrong at once: hidden jobs, lagging lists, lost statuses, clocks, other wishes."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import msgspec
import pytest

from controller.domain.errors import Conflict, Invalid, Unavailable
from controller.domain.job import JobStatus
from controller.domain.phases import Phase
from controller.ports import JobRef, Observation
from controller.reconcile import reconciler
from tests.controller.fakes import START, Crash
from tests.controller.reconcile.harness import World
from tests.controller.reconcile.test_intents import drive, step, two_jobs_of_one


@pytest.fixture
def world() -> World:
    return World(names_are_ids=False)


def running(world: World) -> list[str]:
    return [made.resource_path for _, made in world.provider.made if not made.has_ended]


POINTS = ["prepare", "before submit", "after submit", "find", "get", "observe", "cancel"]
POINTS += ["before status", "after status", "before record", "after record", "get row"]


@pytest.mark.parametrize("nth", [0, 1, 2])
@pytest.mark.parametrize("error", [RuntimeError, Conflict, Unavailable, Crash, asyncio.CancelledError, TimeoutError])
@pytest.mark.parametrize("point", POINTS)
async def test_one_job_runs_whatever_is_raised_wherever(
    world: World, point: str, error: type[BaseException], nth: int
) -> None:
    job = world.kube.create()

    async def work() -> None:
        try:
            await world.observer._round()
            known = world.cache.get(job.key)
            if known is not None:
                await world.reconciler._work_on(known)
        except (Crash, asyncio.CancelledError):
            world.start()

    for number in range(3):
        if number == nth:
            world.faults.arm(point, error("on purpose"))
        await work()
        await world.clock.advance(1)
    for _ in range(40):
        await work()
        await world.clock.advance(15)
    world.faults._faults.clear()
    world.provider.move(Phase.COMPLETED, exit_code=0)
    for _ in range(60):
        await work()
        await world.clock.advance(15)
    status = world.kube.current(job).status
    assert len(world.provider.made) == 1
    assert (status.phase, status.submission) == (Phase.COMPLETED, None)


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_job_that_is_cancelled_before_the_service_shows_it_is_ended(world: World, restarted: bool) -> None:
    world.provider.hidden = 45
    job = world.kube.create()
    await drive(world, job, 3)
    if restarted:
        world.start()
    world.kube.edit(job, cancel=True)
    after = await drive(world, job, 120)
    assert running(world) == []
    assert after.status.phase is Phase.CANCELLED


async def test_a_list_that_lacks_our_own_job_for_once_ends_nothing(world: World) -> None:
    job = await two_jobs_of_one(world)
    await drive(world, job, 120)
    [ours] = running(world)
    complete = world.provider.find

    async def lagging(ref: JobRef) -> Sequence[Observation]:
        return [made for made in await complete(ref) if made.resource_path != ours]

    world.provider.find = lagging
    world.provider.get = _by_id(world)
    await drive(world, job, 70)
    world.provider.find = complete
    after = await drive(world, job, 400)
    assert (running(world), after.status.resource_path) == ([ours], ours)
    assert not after.is_finished


async def test_an_orphaned_object_waits_for_its_duplicates_and_leaves_one_job(world: World) -> None:
    job = await two_jobs_of_one(world)
    await drive(world, job, 2)
    world.kube.edit(job, metadata={"deletion_timestamp": START}, deletion_policy="Orphan")
    for _ in range(600):
        if world.kube.objects:
            await step(world, job)
            await world.clock.advance(1)
    assert not world.kube.objects
    assert len(running(world)) == 1


async def test_a_job_that_is_suspended_in_doubt_and_turns_up_late_is_adopted(world: World) -> None:
    world.provider.hidden = 90
    job = world.kube.create()
    world.faults.arm("after submit", Unavailable("lost"))
    await step(world, job)
    world.kube.edit(job, suspend=True)
    for _ in range(1000):  # by the timers alone: nothing else wakes it
        pause = await world.reconcile(job)
        if pause is None:
            break
        await world.clock.advance(pause)
    assert world.kube.current(job).is_submitted


@pytest.mark.parametrize("wish", ["complete", "cancel"])
async def test_a_search_for_duplicates_that_fails_holds_nothing_else_up(world: World, wish: str) -> None:
    job = world.kube.create()
    world.faults.arm("after submit", Unavailable("lost"))
    await drive(world, job, 60)

    async def failing(ref: JobRef) -> Sequence[Observation]:
        raise Unavailable("lists a job that it does not describe yet")

    world.provider.find = failing
    world.provider.get = _by_id(world)
    await drive(world, job, 70)
    if wish == "cancel":
        world.kube.edit(job, cancel=True)
        await drive(world, job, 200)
        assert world.provider.cancelled
    else:
        world.provider.move(Phase.COMPLETED, exit_code=0)
        assert (await drive(world, job, 200)).status.phase is Phase.COMPLETED


async def test_a_status_that_was_wiped_while_the_job_still_waits_makes_no_second_one(world: World) -> None:
    job = world.kube.create()
    await drive(world, job, 3)
    wiped = msgspec.structs.replace(world.kube.current(job), status=JobStatus())
    world.start()
    world.kube._store(wiped)
    after = await drive(world, job, 600, every=5)
    assert len(world.provider.made) == 1
    assert after.is_submitted


async def test_a_job_that_fails_by_our_own_rules_with_a_call_under_way_leaves_nothing_running(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = world.kube.create()
    world.faults.arm("after submit", Crash())
    await step(world, job)

    def gone(*_: object) -> None:
        raise Invalid("no such profile")

    monkeypatch.setattr(reconciler, "size", gone)
    after = await drive(world, job, 500, every=2)
    assert after.status.phase is Phase.FAILED
    assert running(world) == []


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_wall_clock_that_jumps_delays_no_adoption(world: World, hours: int) -> None:
    job = world.kube.create()
    world.faults.arm("after submit", Unavailable("lost"))
    await step(world, job)
    right = world.clock.now
    world.clock.now = lambda: right() + timedelta(hours=hours)
    after = await drive(world, job, 100)
    assert after.is_submitted
    assert len(world.provider.made) == 1


async def test_the_intent_keeps_the_job_at_its_provider(world: World) -> None:
    job = world.kube.create()
    world.faults.arm("before submit", Crash())
    await step(world, job)
    status = world.kube.current(job).status
    assert (status.provider, status.phase) == (world.provider.name, None)


def _by_id(world: World) -> object:
    """Describing by id, which does not go by the list."""

    async def get(ref: JobRef) -> Observation | None:
        if ref.resource_path is None:
            return next(iter(await world.provider.find(ref)), None)
        return next((made for _, made in world.provider.made if made.resource_path == ref.resource_path), None)

    return get


# --- services that let us name jobs: a submission in doubt and a wish for its end --------------------------


class Hiding(World):
    """A service of named jobs that shows a new one late."""

    takeover_settle = 42.0

    def __init__(self) -> None:
        super().__init__()
        self.visible = False
        shown, found = self.provider.observe, self.provider.get

        async def observe(refs: Sequence[JobRef]) -> dict[str, Observation]:
            return dict(await shown(refs)) if self.visible else {}

        async def get(ref: JobRef) -> Observation | None:
            return await found(ref) if self.visible else None

        self.provider.observe, self.provider.get = observe, get


@pytest.mark.parametrize("wish", [{"cancel": True}, {"metadata": {"deletion_timestamp": START}}])
async def test_a_lost_reply_and_a_wish_for_the_end_are_settled_by_submitting_again(wish: dict[str, object]) -> None:
    world = Hiding()
    job = world.kube.create()
    world.faults.arm("after submit", Unavailable("lost"))
    await step(world, job)
    world.kube.edit(job, **wish)
    await step(world, job)
    assert world.provider.cancelled == [job.external_name]
    assert not world.kube.current(job).is_finished


async def test_a_wish_for_the_end_waits_for_the_calls_of_the_controller_before_us() -> None:
    world = Hiding()
    job = world.kube.create()
    world.faults.arm("after submit", Crash())
    await step(world, job)  # a new process from here on: it knows of no call
    world.kube.edit(job, cancel=True)
    await drive(world, job, 40)
    assert not world.kube.current(job).is_finished
    world.visible = True
    after = await drive(world, job, 5)
    assert world.provider.cancelled == [job.external_name]
    assert after.is_submitted


async def test_a_job_that_was_never_sent_is_cancelled_at_once_by_who_has_led_for_long() -> None:
    world = Hiding()
    await world.clock.advance(60)
    job = world.kube.create(cancel=True)
    await world.reconcile(job)
    assert world.kube.current(job).status.phase is Phase.CANCELLED
    assert world.provider.submissions == []


async def test_a_cancel_that_the_service_could_not_take_is_repeated() -> None:
    world = Hiding()
    world.visible = True
    job = world.kube.create()
    await world.reconcile(job)
    world.visible = False
    world.kube.edit(job, cancel=True)
    known, world.provider.jobs = world.provider.jobs, {}
    await drive(world, job, 20)
    world.provider.jobs, world.visible = known, True
    world.provider.cancelled.clear()
    await drive(world, job, 20)
    assert world.provider.cancelled == [job.external_name]
