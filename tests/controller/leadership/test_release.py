"""Releasing the lease at the stop."""

import asyncio

from tests.controller.leadership.harness import World


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
