"""What others are told of leadership, and what is logged."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from controller.domain.errors import Forbidden
from tests.controller.fakes import settle
from tests.controller.leadership.harness import Candidate, SkewedClock, World


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
