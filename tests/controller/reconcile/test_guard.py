"""Losing and gaining leadership: nothing begins without it, and what was seen before counts no more."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from controller.domain.errors import NotLeading
from controller.domain.phases import Phase
from controller.ports import JobRef
from controller.providers.limits import TokenBucket
from controller.reconcile.decide import Unseen
from controller.reconcile.guard import GuardedProvider, GuardedRecord, GuardedResources
from controller.reconcile.workers import Workers
from controller.stores.writer import GroupWriter
from tests.controller.fakes import FakeClock, FakeProvider, FakeResources, settle
from tests.controller.reconcile.harness import World


class Switch:
    """`ports.Leadership` that a test turns on and off."""

    def __init__(self, leads: bool = True) -> None:
        self.leads = leads
        self._gained = asyncio.Event()

    def is_leader(self) -> bool:
        return self.leads

    async def wait_until_leader(self) -> None:
        while not self.leads:
            self._gained.clear()
            await self._gained.wait()

    def gain(self) -> None:
        self.leads = True
        self._gained.set()


class Store:
    def __init__(self) -> None:
        self.calls = 0

    async def record(self, transitions: object) -> list[object]:
        self.calls += 1
        return []

    async def delete_job(self, tenant_id: str, job_id: str, *, uid: str) -> bool:
        self.calls += 1
        return True


REF = JobRef(external_name="x", uid="u")
PROVIDER_CALLS: dict[str, Callable[[GuardedProvider], Awaitable[object]]] = {
    "prepare": lambda p: p.prepare(None),  # type: ignore[arg-type]
    "submit": lambda p: p.submit(None),  # type: ignore[arg-type]
    "find": lambda p: p.find(REF),
    "get": lambda p: p.get(REF),
    "observe": lambda p: p.observe([REF]),
    "unclaimed": lambda p: p.unclaimed(set()),
    "cancel": lambda p: p.cancel(REF, reason="r"),
    "delete": lambda p: p.delete(REF),
}


@pytest.mark.parametrize("name", PROVIDER_CALLS)
async def test_no_call_of_the_service_begins_without_leadership(name: str) -> None:
    provider = FakeProvider()
    with pytest.raises(NotLeading):
        await PROVIDER_CALLS[name](GuardedProvider(provider, Switch(False)))
    assert (provider.submissions, provider.cancelled, provider.deleted, provider.observed) == ([], [], [], 0)


@pytest.mark.parametrize("name", PROVIDER_CALLS)
async def test_no_call_begins_after_a_wait_for_its_place_in_which_leadership_was_lost(name: str) -> None:
    clock, switch = FakeClock(), Switch()
    bucket, begun = TokenBucket(1, clock, burst=1), []

    class Limited(FakeProvider):
        """An adapter: each call is made of others, in tasks of their own, and each of those waits for its place."""

        def __getattribute__(self, name: str) -> Any:
            if name not in PROVIDER_CALLS:
                return super().__getattribute__(name)

            async def one() -> None:
                await bucket.take()
                begun.append(clock.monotonic())

            async def call(*_: object, **__: object) -> None:
                await asyncio.gather(one(), one(), one())

            return call

    calling = asyncio.create_task(PROVIDER_CALLS[name](GuardedProvider(Limited(), switch)))
    await clock.advance(1)
    switch.leads = False
    await clock.advance(10)
    with pytest.raises(NotLeading):
        await calling
    assert begun == [0, 1]


async def test_who_asked_for_no_permission_is_asked_for_none() -> None:
    await TokenBucket(1, FakeClock()).take()


async def test_no_write_of_the_database_begins_without_leadership_also_not_by_a_group() -> None:
    store = Store()
    record = GuardedRecord(store, Switch(False))  # type: ignore[arg-type]
    writer = GroupWriter(record)
    with pytest.raises(NotLeading):
        await writer.write([None])  # type: ignore[list-item]
    with pytest.raises(NotLeading):
        await record.delete_job("t", "j", uid="u")
    assert store.calls == 0


async def test_no_write_of_kubernetes_begins_without_leadership_and_reads_do() -> None:
    kube = FakeResources()
    job = kube.create()
    guarded = GuardedResources(kube, Switch(False))
    for call in (guarded.hold(job, {}), guarded.release(job), guarded.write_status(job, {}), guarded.delete(job)):
        with pytest.raises(NotLeading):
            await call
    assert kube.writes == 0
    assert await guarded.get("default", "job") == job


def guard(world: World, switch: Switch) -> None:
    """Put the guards where `controller.main` puts them."""
    guarded = GuardedProvider(world.provider, switch)
    world.process.sites.home.provider = guarded
    world.reconciler._leadership = switch
    world.observer._provider = guarded
    world.observer._leadership = switch
    resources = GuardedResources(world.kube, switch)
    world.reconciler._resources = world.reconciler._recorder._resources = resources
    world.reconciler._intents._resources = resources


async def test_leadership_lost_between_the_intent_and_the_call_sends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    world, switch = World(names_are_ids=False), Switch()
    guard(world, switch)
    job = world.kube.create()

    def lose_it(stored: object) -> None:
        if world.kube.current(job).status.submission is not None:
            switch.leads = False

    world.kube.changed = lambda stored: (world.process.upsert(stored), lose_it(stored))[0]
    await world.reconciler.work_on(job.key)
    assert world.provider.submissions == []
    assert world.kube.current(job).status.submission is not None, "declared, and not withdrawn by a stale leader"
    assert not caplog.records, "losing leadership is no complaint of every job"


async def test_keys_that_come_without_leadership_are_kept_for_later() -> None:
    world, switch = World(), Switch()
    guard(world, switch)
    async with Workers(world.queue, world.reconciler.work_on, 4, switch).running(1):
        await settle()  # the workers wait for keys
        switch.leads = False
        jobs = [world.kube.create(f"job-{n}") for n in range(8)]
        await settle()
        assert world.kube.writes == 0
        assert len(world.queue) == 8
        switch.gain()
        await settle()
    assert all(world.kube.current(job).is_submitted for job in jobs)


async def test_a_standby_stops_at_once() -> None:
    world, switch = World(), Switch(False)
    workers = Workers(world.queue, world.reconciler.work_on, 4, switch)

    async def standing_by() -> None:
        async with workers.running(3600):
            world.kube.create()
            await settle()

    await asyncio.wait_for(standing_by(), 10)


async def test_a_new_leader_observes_all_jobs_at_once_before_it_asks_for_any_singly() -> None:
    world = World()
    jobs = [world.kube.create(f"job-{n}") for n in range(50)]
    for job in jobs:
        await world.reconcile(job)
    world.provider.move(Phase.RUNNING)
    world.start()
    switch = Switch(False)
    guard(world, switch)
    asked: list[str] = []

    async def get(ref: JobRef) -> None:
        asked.append(ref.external_name)

    world.provider.get = get  # type: ignore[method-assign]
    observing = asyncio.create_task(world.observer.run())
    async with Workers(world.queue, world.reconciler.work_on, 4, switch).running(1):
        await world.clock.advance(60)
        assert (world.provider.observed, len(world.observer)) == (0, 0)
        world.reconciler.start_leading()
        switch.gain()
        for _ in range(10):
            await settle()
        assert (world.provider.observed, asked) == (1, [])
        assert {world.kube.current(job).status.phase for job in jobs} == {Phase.RUNNING}
    observing.cancel()
    await settle()


async def test_a_round_that_was_asked_for_in_another_term_tells_nothing() -> None:
    world = World()
    job = world.kube.create()
    await world.reconcile(job)
    observe, may_answer = world.provider.observe, asyncio.Event()

    async def slow(refs: list[JobRef]) -> object:
        found = await observe(refs)
        await may_answer.wait()
        return found

    world.provider.observe = slow  # type: ignore[method-assign, assignment]
    rounding = asyncio.create_task(world.observer._round())
    await settle()
    world.reconciler.stop_leading()
    may_answer.set()
    await rounding
    assert world.observer.seen(world.kube.current(job)) is Unseen.NOT_ASKED
    assert len(world.observer) == 1, "it is still watched"
