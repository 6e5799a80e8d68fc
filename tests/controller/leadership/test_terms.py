"""Who leads when: a lease is taken, renewed, and lost at its deadline."""

import random

import pytest

from controller.candidacy import Timing
from controller.domain.errors import Unavailable
from tests.controller.leadership.harness import DEADLINE, TIMING, Candidate, SkewedClock, World


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


async def test_candidates_that_failed_together_do_not_try_again_together(world: World) -> None:
    world.lease.fault = Unavailable("the API server is down")
    pauses = set()
    for n in range(20):
        candidate = Candidate(f"c{n}", world.lease, SkewedClock(world.clock), jitter=random.Random(n))
        pauses.add(await candidate.election.step())
    assert len(pauses) == 20
    assert all(0.8 * TIMING.interval <= pause <= TIMING.interval for pause in pauses)
