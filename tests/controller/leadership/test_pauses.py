"""Processes that were paused, and replies that came late or never."""

import asyncio

from controller.kube.lease import Lease
from tests.controller.fakes import settle
from tests.controller.leadership.harness import DEADLINE, World


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
