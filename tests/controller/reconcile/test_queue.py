"""One test a law of the work queue's contract."""

import asyncio
import random

from controller.reconcile.queue import BACKOFF_CAP_SECONDS, WorkQueue
from tests.controller.fakes import FakeClock, settle


def make() -> tuple[WorkQueue, FakeClock]:
    clock = FakeClock()
    return WorkQueue(clock, random.Random(1)), clock


async def test_a_key_added_several_times_is_worked_on_once() -> None:
    queue, _ = make()
    for _ in range(3):
        queue.add("a")
    assert await queue.take() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_a_key_added_while_it_is_worked_on_comes_again_afterwards() -> None:
    queue, _ = make()
    queue.add("a")
    await queue.take()
    queue.add("a")
    assert len(queue) == 0, "not at the same time"
    queue.done("a")
    assert await queue.take() == "a"


async def test_keys_come_in_the_order_they_were_added() -> None:
    queue, _ = make()
    for key in "abc":
        queue.add(key)
    assert [await queue.take() for _ in range(3)] == ["a", "b", "c"]


async def test_a_key_put_off_comes_when_its_time_is_over() -> None:
    queue, clock = make()
    timer = asyncio.create_task(queue.run_timer())
    queue.add_after("a", 5)
    await clock.advance(4.9)
    assert len(queue) == 0
    await clock.advance(0.2)
    assert await queue.take() == "a"
    timer.cancel()


async def test_a_key_put_off_comes_earlier_when_it_is_added() -> None:
    queue, clock = make()
    timer = asyncio.create_task(queue.run_timer())
    queue.add_after("a", 5)
    queue.add("a")
    assert await queue.take() == "a"
    queue.done("a")
    await clock.advance(6)
    assert len(queue) == 0, "the later time is forgotten"
    timer.cancel()


async def test_the_earlier_of_two_times_counts() -> None:
    queue, clock = make()
    timer = asyncio.create_task(queue.run_timer())
    queue.add_after("a", 50)
    queue.add_after("a", 1)
    queue.add_after("a", 60)
    await clock.advance(1)
    assert await queue.take() == "a"
    timer.cancel()


async def test_back_off_grows_to_its_cap_and_forget_resets_it() -> None:
    queue, _ = make()
    pauses = [queue.back_off("a") for _ in range(2000)]
    assert pauses[0] <= 0.2
    assert max(pauses) <= BACKOFF_CAP_SECONDS
    assert min(pauses[20:]) >= BACKOFF_CAP_SECONDS / 2, "jitter takes at most half"
    queue.forget("a")
    assert queue.back_off("a") <= 0.2


async def test_back_off_waits_at_least_what_the_other_side_asked_for() -> None:
    queue, _ = make()
    assert queue.back_off("a", least=30) >= 30


async def test_a_cancelled_taker_loses_no_key() -> None:
    queue, _ = make()
    takers = [asyncio.create_task(queue.take()) for _ in range(2)]
    await settle()
    queue.add("a")
    takers[0].cancel()
    await settle()
    assert await asyncio.wait_for(takers[1], 1) == "a"


async def test_a_dropped_key_is_not_kept_in_memory() -> None:
    queue, clock = make()
    timer = asyncio.create_task(queue.run_timer())
    queue.back_off("a")
    queue.drop("a")
    await clock.advance(100)
    assert len(queue) == 0
    timer.cancel()
