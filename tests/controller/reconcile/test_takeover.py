"""What a takeover costs: one bulk observation, and writes for those jobs alone that have changed."""

import asyncio
from collections.abc import Sequence

import pytest

from controller.domain.phases import Phase
from controller.ports import JobRef, Observation
from controller.reconcile.workers import Workers
from tests.controller.fakes import FakeProvider, FakeService, settle
from tests.controller.reconcile.harness import Process, World
from tests.controller.reconcile.test_guard import Switch, guard

ACTIVE = 2000


class Counted:
    """The calls of a provider, by name."""

    def __init__(self, provider: FakeProvider) -> None:
        self.calls: dict[str, int] = {}
        for name in ("prepare", "submit", "find", "get", "observe", "cancel", "delete"):
            setattr(provider, name, self._counting(name, getattr(provider, name)))

    def _counting(self, name: str, call: object) -> object:
        async def counting(*arguments: object, **options: object) -> object:
            self.calls[name] = self.calls.get(name, 0) + 1
            return await call(*arguments, **options)  # type: ignore[operator]

        return counting


async def take_over(world: World) -> Process:
    """A standby that has watched all along leads from now on, with its workers and its observer."""
    world.start()
    switch = Switch(False)
    guard(world, switch)
    observing = asyncio.create_task(world.observer.run())
    async with Workers(world.queue, world.reconciler.work_on, 16, switch).running(1):
        await settle()
        world.reconciler.start_leading()
        switch.gain()
        for _ in range(40):
            await settle()
        assert len(world.queue) == 0
    observing.cancel()
    await settle()
    return world.process


async def active_jobs(names_are_ids: bool) -> World:
    """That many jobs, all running and observed."""
    world = World(names_are_ids=names_are_ids)
    jobs = [world.kube.create(f"job-{n}") for n in range(ACTIVE)]
    for job in jobs:
        await world.reconcile(job)
    world.provider.move(Phase.RUNNING)
    await world.observer._round()
    for job in jobs:
        await world.reconcile(job)
    assert all(world.kube.current(job).status.phase is Phase.RUNNING for job in jobs)
    return world


@pytest.mark.parametrize("names_are_ids", [True, False])
async def test_a_takeover_of_jobs_that_have_not_changed_is_one_call(names_are_ids: bool) -> None:
    world = await active_jobs(names_are_ids)
    answer_in_one_call(world.provider)
    counted = Counted(world.provider)
    writes, reads = world.kube.writes, world.kube.reads
    recorded = dict(world.record.audit)
    world.faults.arm("before record", AssertionError("a write of the database"))
    await take_over(world)
    assert counted.calls == {"observe": 1}
    assert (world.kube.writes, world.kube.reads) == (writes, reads)
    assert world.record.audit == recorded
    assert len(world.observer) == ACTIVE, "all are watched"


async def test_a_takeover_writes_only_those_that_have_changed() -> None:
    world = await active_jobs(True)
    changed = list(world.provider.jobs)[:7]
    still = {name: job for name, job in world.provider.jobs.items() if name not in changed}
    world.provider.move(Phase.COMPLETED, exit_code=0)
    world.provider.jobs |= still
    counted = Counted(world.provider)
    writes, reads = world.kube.writes, world.kube.reads
    await take_over(world)
    assert counted.calls == {"observe": 1}
    assert world.kube.writes == writes + len(changed)
    assert world.kube.reads == reads + len(changed), "read once before the database hears of them"


async def test_a_takeover_submits_what_waits_and_nothing_else() -> None:
    world = await active_jobs(True)
    waiting = [world.kube.create(f"new-{n}") for n in range(5)]
    counted = Counted(world.provider)
    await take_over(world)
    assert counted.calls["submit"] == len(waiting)
    assert counted.calls.get("get", 0) == 0
    assert all(world.kube.current(job).is_submitted for job in waiting)


async def test_jobs_that_the_bulk_observation_lacks_are_asked_for_singly_and_only_those() -> None:
    world = await active_jobs(True)
    whole = world.provider.observe
    lacking = set(list(world.provider.jobs)[:3])

    async def observe(refs: Sequence[JobRef]) -> dict[str, Observation]:
        return {name: seen for name, seen in (await whole(refs)).items() if name not in lacking}

    world.provider.observe = observe  # type: ignore[method-assign, assignment]
    counted = Counted(world.provider)
    await take_over(world)
    assert counted.calls == {"observe": 1, "get": 3}


def answer_in_one_call(provider: FakeProvider) -> None:
    """The service's bulk answer as one call, also of the fake that makes it of many."""
    if isinstance(provider, FakeService):

        async def observe(refs: Sequence[JobRef]) -> dict[str, Observation]:
            paths = {ref.resource_path for ref in refs}
            return {job.external_name: job for _, job in provider.made if job.resource_path in paths}

        provider.observe = observe  # type: ignore[method-assign, assignment]
