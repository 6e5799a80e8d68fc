"""Workers: what happens to a key that fails outside of any pass, and how they stop."""

import asyncio

from controller.domain.errors import Conflict
from controller.reconcile.queue import WorkQueue
from controller.reconcile.workers import Workers
from tests.controller.fakes import AlwaysLeader, FakeClock, settle
from tests.controller.reconcile.harness import World


async def test_a_worker_survives_any_failure_and_the_key_comes_again() -> None:
    clock = FakeClock()
    queue = WorkQueue(clock)
    tries: list[str] = []

    async def work_on(key: str) -> None:
        tries.append(key)
        if len(tries) == 1:
            raise RuntimeError("nobody expected this")

    timer = asyncio.create_task(queue.run_timer())
    async with Workers(queue, work_on, 1, AlwaysLeader()).running(1):
        queue.add("a")
        await clock.advance(1)
        assert tries == ["a", "a"]
    timer.cancel()


async def test_a_reload_that_fails_after_a_conflict_does_not_lose_the_job() -> None:
    world = World()
    job = world.kube.create()
    world.faults.arm("before status", Conflict("newer"))

    async def broken(namespace: str, name: str) -> None:
        raise RuntimeError("the reply made no sense")

    original, world.kube.get = world.kube.get, broken  # type: ignore[method-assign, assignment]
    timer = asyncio.create_task(world.queue.run_timer())
    async with Workers(world.queue, world.reconciler.work_on, 1, AlwaysLeader()).running(1):
        await settle()
        world.kube.get = original  # type: ignore[method-assign]
        await world.clock.advance(2)
    assert world.kube.current(job).is_submitted
    timer.cancel()


async def test_a_key_in_work_is_finished_at_a_stop_and_no_other_is_begun() -> None:
    queue = WorkQueue(FakeClock())
    begun, may_end = [], asyncio.Event()

    async def work_on(key: str) -> None:
        begun.append(key)
        await may_end.wait()

    async def stop_after_a_moment() -> None:
        async with Workers(queue, work_on, 1, AlwaysLeader()).running(5):
            queue.add("a")
            queue.add("b")
            await settle()

    stopping = asyncio.create_task(stop_after_a_moment())
    await settle()
    may_end.set()
    await stopping
    assert begun == ["a"]
