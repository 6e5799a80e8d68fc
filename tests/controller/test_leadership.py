"""The election: who leads when, by whose clock, and what others are told. A lease in memory, time moved by hand."""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Coroutine
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from controller.candidacy import Timing
from controller.domain.errors import AlreadyExists, Conflict, Forbidden, NotFound, Unavailable
from controller.kube.lease import Lease
from controller.leadership import Election
from tests.controller.fakes import FakeClock, settle

TIMING = Timing(ttl=15, interval=2)
DEADLINE = 10


class FakeLease:
    """The API server's one lease, guarded by its version. `hangs` never answers; what was sent is done all the same."""

    def __init__(self) -> None:
        self.stored: Lease | None = None
        self.writes = 0
        self.looks = 0
        self.fault: Exception | None = None
        self.hangs = False
        self.loses_replies = False

    async def get(self) -> Lease:
        self.looks += 1
        await self._reach()
        if self.stored is None:
            raise NotFound("no lease")
        return self.stored

    async def create(self, lease: Lease) -> Lease:
        await self._reach()
        if self.stored is not None:
            raise AlreadyExists("there is one")
        return await self._store(lease)

    async def replace(self, lease: Lease) -> Lease:
        await self._reach()
        if self.stored is None:
            raise NotFound("no lease")
        if self.stored.version != lease.version:
            raise Conflict("a newer version exists")
        return await self._store(lease)

    def edit(self, **changes: object) -> None:
        """Somebody else writes."""
        assert self.stored is not None
        self.writes += 1
        self.stored = msgspec.structs.replace(self.stored, version=str(self.writes), **changes)

    async def _store(self, lease: Lease) -> Lease:
        self.writes += 1
        self.stored = msgspec.structs.replace(lease, version=str(self.writes))
        if self.loses_replies:
            await asyncio.Event().wait()
        return self.stored

    async def _reach(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.fault is not None:
            raise self.fault


class SkewedClock:
    """A clock of another machine, or one that was set: another wall time, another epoch, the same seconds."""

    def __init__(self, clock: FakeClock, *, wall: float = 0, epoch: float = 0) -> None:
        self._clock, self.wall, self._epoch = clock, wall, epoch

    def now(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self.wall)

    def monotonic(self) -> float:
        return self._clock.monotonic() + self._epoch

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


class Steady(random.Random):
    """No jitter: what the tests of times count on."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Candidate:
    """An election with its task, and what it told."""

    def __init__(self, name: str, lease: FakeLease, clock: SkewedClock, jitter: random.Random | None = None) -> None:
        self.name = name
        self.told: list[str] = []
        self.election = Election(
            lease,
            identity=name,
            timing=TIMING,
            clock=clock,
            started=lambda: self.told.append("leads"),
            stopped=lambda: self.told.append("stops"),
            jitter=jitter or Steady(),
        )
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self.election.run())

    async def die(self) -> None:
        """As kill -9: nothing is released."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def stop(self) -> None:
        await self.die()
        await self.election.release()

    @property
    def leads(self) -> bool:
        return self.election.is_leader()


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.lease = FakeLease()
        self.candidates: list[Candidate] = []

    def candidate(self, name: str, *, wall: float = 0, epoch: float = 0) -> Candidate:
        made = Candidate(name, self.lease, SkewedClock(self.clock, wall=wall, epoch=epoch))
        made.start()
        self.candidates.append(made)
        return made

    async def leader(self, name: str = "a") -> Candidate:
        made = self.candidate(name)
        await self.clock.advance(1)
        assert made.leads
        return made

    @property
    def stored(self) -> Lease:
        assert self.lease.stored is not None
        return self.lease.stored


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    for candidate in made.candidates:
        await candidate.die()


async def test_the_first_candidate_makes_the_lease_and_leads(world: World) -> None:
    a = world.candidate("a")
    await world.clock.advance(0)
    assert (a.leads, a.told) == (True, ["leads"])
    assert (world.stored.holder, world.stored.duration_seconds, world.stored.transitions) == ("a", 15, 0)
    assert world.stored.acquire_time == world.stored.renew_time == "2026-01-01T00:00:00.000000Z"


async def test_renewals_come_at_the_interval_and_keep_the_time_of_acquisition(world: World) -> None:
    a = await world.leader()
    await world.clock.advance(100)
    assert a.told == ["leads"]
    assert world.lease.writes == 1 + 50
    assert world.stored.acquire_time == "2026-01-01T00:00:00.000000Z"
    assert world.stored.renew_time == "2026-01-01T00:01:40.000000Z"
    assert world.stored.transitions == 0


@pytest.mark.parametrize("wall", [-86400, 0, 86400])
@pytest.mark.parametrize("epoch", [-1e6, 1e6])
async def test_a_dead_leaders_lease_is_taken_when_it_has_ended_and_not_before(
    world: World, wall: float, epoch: float
) -> None:
    a = await world.leader()
    b = world.candidate("b", wall=wall, epoch=epoch)
    await world.clock.advance(10)
    await a.die()
    renewed = world.clock.monotonic() - 1  # the last renewal was at 10 s
    await world.clock.advance(renewed + 14.9 - world.clock.monotonic())
    assert not b.leads
    await world.clock.advance(1)
    assert b.leads
    assert (world.stored.holder, world.stored.transitions) == ("b", 1)


async def test_a_candidate_waits_the_time_that_the_lease_itself_says(world: World) -> None:
    a = await world.leader()
    await a.die()
    world.lease.edit(duration_seconds=60)
    b = world.candidate("b")
    await world.clock.advance(59)
    assert not b.leads
    await world.clock.advance(2)
    assert b.leads


async def test_of_two_candidates_at_once_one_wins(world: World) -> None:
    a, b = world.candidate("a"), world.candidate("b")
    await world.clock.advance(1)
    assert [a.leads, b.leads].count(True) == 1
    await (a if a.leads else b).die()
    c = world.candidate("c")
    await world.clock.advance(20)
    assert [b.leads, c.leads].count(True) + a.leads == 1


async def test_the_same_worker_id_twice_is_two_identities_and_one_leader(world: World) -> None:
    # The identity carries chance (controller.main); the lease of our own former process is not ours.
    a = await world.leader("worker_1")
    b = world.candidate("worker_2")
    await world.clock.advance(60)
    assert (a.leads, b.leads) == (True, False)


async def test_a_leader_that_cannot_renew_stops_at_the_deadline_and_leads_again_later(world: World) -> None:
    a = await world.leader()
    await world.clock.advance(1)  # renewed at 2 s
    world.lease.fault = Unavailable("down")
    await world.clock.advance(DEADLINE - 0.1)
    assert a.leads
    await world.clock.advance(0.1)
    assert not a.leads
    assert a.told == ["leads", "stops"]
    world.lease.fault = None
    await world.clock.advance(3)
    assert a.told == ["leads", "stops", "leads"]


async def test_hung_calls_are_given_up_and_tried_again_before_the_deadline(world: World) -> None:
    a = await world.leader()
    world.lease.hangs = True
    await world.clock.advance(1 + TIMING.call_limit)
    world.lease.hangs = False
    await world.clock.advance(60)
    assert a.told == ["leads"]


async def test_two_tries_fit_in_the_deadline_whatever_the_times() -> None:
    for timing in (TIMING, Timing(ttl=2, interval=1.1), Timing(ttl=3600, interval=600), Timing(ttl=30, interval=5)):
        assert timing.interval + 2 * timing.call_limit + timing.retry_pause <= timing.renew_deadline


async def test_renewals_whose_replies_are_lost_do_not_prolong_and_are_found_again(world: World) -> None:
    a = await world.leader()
    world.lease.loses_replies = True
    await world.clock.advance(DEADLINE)
    assert not a.leads, "written, but never known to be"
    world.lease.loses_replies = False
    await world.clock.advance(10)
    assert a.leads
    assert (world.stored.holder, world.stored.transitions) == ("a", 0)


async def test_a_process_that_was_paused_finds_itself_not_leading_at_its_first_question(world: World) -> None:
    a = await world.leader()
    world.clock.pause(60)  # nothing of the process ran meanwhile
    assert not a.leads
    waiting = asyncio.create_task(a.election.wait_until_leader())
    await settle()
    assert not waiting.done()
    world.lease.edit(holder="b")
    await world.clock.advance(1)
    assert (a.leads, a.told) == (False, ["leads", "stops"])
    waiting.cancel()


async def test_a_paused_process_whose_lease_nobody_took_says_that_it_stopped_and_leads_again(world: World) -> None:
    a = await world.leader()
    world.clock.pause(60)
    await world.clock.advance(1)
    assert a.told == ["leads", "stops", "leads"]


async def test_a_renewal_that_was_answered_after_a_pause_counts_from_its_beginning(world: World) -> None:
    a = await world.leader()
    may_answer = asyncio.Event()
    store = world.lease._store

    async def slow(lease: Lease) -> Lease:
        stored = await store(lease)
        await may_answer.wait()
        return stored

    world.lease._store = slow  # type: ignore[method-assign]
    await world.clock.advance(1)
    world.lease._store = store  # type: ignore[method-assign]
    world.clock.pause(60)
    world.lease.hangs = True
    may_answer.set()
    await world.clock.advance(0)
    assert (a.leads, a.told) == (False, ["leads", "stops"])


async def test_a_released_lease_is_taken_within_a_second(world: World) -> None:
    a = await world.leader()
    b = world.candidate("b")
    await world.clock.advance(7.3)
    await a.stop()
    assert (world.stored.holder, a.leads, a.told) == ("", False, ["leads", "stops"])
    await world.clock.advance(1)
    assert b.leads
    assert (world.stored.holder, world.stored.transitions) == ("b", 1)
    assert world.stored.acquire_time > "2026-01-01T00:00:08"


async def test_a_standby_has_nothing_to_release(world: World) -> None:
    await world.leader()
    b = world.candidate("b")
    await world.clock.advance(1)
    writes, looks = world.lease.writes, world.lease.looks
    await b.stop()
    assert (world.lease.writes, world.lease.looks) == (writes, looks)
    assert b.told == []


async def test_a_lease_that_was_perhaps_taken_at_the_stop_is_released(world: World) -> None:
    world.lease.loses_replies = True
    a = world.candidate("a")
    await world.clock.advance(0)
    assert (world.stored.holder, a.leads) == ("a", False)
    await a.die()
    world.lease.loses_replies = False
    await a.election.release()
    assert world.stored.holder == ""


async def test_a_release_never_takes_the_lease_from_another(world: World) -> None:
    a = await world.leader()
    await a.die()
    world.lease.edit(holder="b")
    await a.election.release()
    assert world.stored.holder == "b"


async def test_a_release_that_hangs_ends_in_time(world: World) -> None:
    a = await world.leader()
    await a.die()
    world.lease.hangs = True
    releasing = asyncio.create_task(a.election.release())
    await world.clock.advance(2)
    assert releasing.done()
    assert not a.leads


async def test_a_conflict_by_somebody_who_only_put_a_label_on_costs_nothing(world: World) -> None:
    a = await world.leader()
    for _ in range(5):
        world.lease.edit()
        await world.clock.advance(2)
    assert a.told == ["leads"]
    assert world.stored.renew_time >= "2026-01-01T00:00:10"


async def test_a_conflict_because_another_holds_it_ends_leadership_at_once(world: World) -> None:
    a = await world.leader()
    world.lease.edit(holder="b")
    await world.clock.advance(2)
    assert (a.leads, a.told) == (False, ["leads", "stops"])


async def test_a_lease_that_was_deleted_is_made_again_by_its_leader_and_not_taken_by_another(world: World) -> None:
    a = await world.leader()
    b = world.candidate("b")
    await world.clock.advance(1.5)
    world.lease.stored = None
    await world.clock.advance(10)
    assert (a.leads, b.leads, a.told, b.told) == (True, False, ["leads"], [])
    assert world.stored.holder == "a"


async def test_setting_the_wall_clock_changes_nothing_but_what_is_shown(world: World) -> None:
    a = await world.leader()
    b = world.candidate("b")
    for wall in (3600.0, -3600.0, 0.0):
        for candidate in (a, b):
            candidate.election._clock.wall = wall  # type: ignore[attr-defined]
        await world.clock.advance(20)
    assert (a.told, b.told) == (["leads"], [])


async def test_a_right_that_is_missing_is_one_line_and_heals(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "controller.leadership")
    world.lease.fault = Forbidden("leases is forbidden")
    a = world.candidate("a")
    await world.clock.advance(60)
    assert [record.getMessage() for record in caplog.records] == ["the lease: leases is forbidden"]
    world.lease.fault = None
    await world.clock.advance(3)
    assert a.leads


async def test_each_change_is_one_line(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "controller.leadership")
    a = await world.leader()
    world.candidate("b")
    await world.clock.advance(60)
    await a.stop()
    await world.clock.advance(60)
    assert [record.getMessage() for record in caplog.records] == [
        "leading as a",
        "standing by: a leads",
        "no longer leading: it stops",
        "released the lease",
        "leading as b",
    ]


async def test_an_unexpected_failure_is_survived(world: World) -> None:
    a = await world.leader()
    world.lease.fault = RuntimeError("nobody expected this")
    await world.clock.advance(30)
    world.lease.fault = None
    await world.clock.advance(5)
    assert a.told == ["leads", "stops", "leads"]


async def test_who_waits_is_woken_after_the_start_was_told(world: World) -> None:
    order: list[str] = []
    a = Candidate("a", world.lease, SkewedClock(world.clock))
    world.candidates.append(a)

    async def work() -> None:
        await a.election.wait_until_leader()
        order.extend([*a.told, "works"])

    async with running(work()):
        await settle()
        a.start()
        await world.clock.advance(0)
    assert order == ["leads", "works"]


@contextlib.asynccontextmanager
async def running(coroutine: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(coroutine)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_candidates_that_failed_together_do_not_try_again_together(world: World) -> None:
    world.lease.fault = Unavailable("the API server is down")
    pauses = set()
    for n in range(20):
        candidate = Candidate(f"c{n}", world.lease, SkewedClock(world.clock), jitter=random.Random(n))
        pauses.add(await candidate.election.step())
    assert len(pauses) == 20
    assert all(0.8 * TIMING.interval <= pause <= TIMING.interval for pause in pauses)
