"""The observer: all jobs in one call, only changes wake, and what it does when the service fails."""

import asyncio

import pytest

from controller.domain.errors import Unavailable
from controller.domain.phases import Phase
from controller.metrics import REGISTRY
from controller.reconcile.decide import Unseen
from controller.reconcile.observer import Observer
from tests.controller.fakes import START, AlwaysLeader, FakeClock, FakeProvider, FakeResources, FaultPoints, settle
from tests.controller.reconcile.harness import World


class Setting:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.faults = FaultPoints()
        self.provider = FakeProvider(self.faults)
        self.woken: list[str] = []
        self.observer = Observer(
            self.provider,
            clock=self.clock,
            leadership=AlwaysLeader(),
            wake=self.woken.append,
            min_seconds=1,
            max_seconds=8,
        )


@pytest.fixture
def setting() -> Setting:
    return Setting()


async def submitted(count: int) -> tuple[World, list[str]]:
    world = World()
    jobs = [world.kube.create(f"job-{n}") for n in range(count)]
    for job in jobs:
        await world.reconcile(job)
    return world, [job.key for job in jobs]


async def test_a_thousand_active_jobs_cost_one_call_a_round() -> None:
    world, _ = await submitted(1000)
    await world.observer._round()
    assert world.provider.observed == 1
    assert len(world.observer) == 1000


async def test_only_jobs_that_changed_are_woken(setting: Setting) -> None:
    kube = FakeResources()
    world, keys = await submitted(3)
    await world.observer._round()
    woken: list[str] = []
    world.observer._wake_key = woken.append
    name = next(n for n, seen in world.provider.jobs.items() if seen.uid == keys[1])
    world.provider.jobs[name] = type(world.provider.jobs[name])(
        external_name=name, uid=keys[1], resource_path="p", phase=Phase.RUNNING, submitted_at=START
    )
    await world.observer._round()
    assert woken == [keys[1]]
    assert kube.writes == 0


async def test_a_job_that_is_missing_from_a_round_is_in_doubt_and_not_gone() -> None:
    world, _ = await submitted(1)
    job = next(iter(world.kube.objects.values()))
    world.provider.jobs.clear()
    await world.observer._round()
    assert world.observer.seen(job) is Unseen.IN_DOUBT


async def test_a_round_that_fails_puts_no_job_in_doubt() -> None:
    world, _ = await submitted(1)
    job = next(iter(world.kube.objects.values()))
    before = world.observer.seen(job)
    world.faults.arm("observe", Unavailable("no answer"))
    await world.observer._round()
    assert world.observer.seen(job) is before


async def test_metrics_say_whether_rounds_fail() -> None:
    world, _ = await submitted(1)

    def failing() -> float | None:
        return REGISTRY.get_sample_value("jennah_observation_failing", {"provider": world.provider.name})

    world.faults.arm("observe", Unavailable("no answer"))
    await world.observer._round()
    assert failing() == 1
    await world.observer._round()
    assert failing() == 0
    world.faults.arm("observe", Unavailable("no answer"))
    await world.observer._round()
    world.observer.forget()
    assert failing() == 0, "a standby asks nothing, so nothing fails"


async def test_no_jobs_cost_no_calls(setting: Setting) -> None:
    task = asyncio.create_task(setting.observer.run())
    await setting.clock.advance(100)
    assert setting.provider.observed == 0
    task.cancel()
    await settle()


async def test_the_interval_grows_while_nothing_moves_and_is_short_again_when_something_does() -> None:
    world, _ = await submitted(1)
    task = asyncio.create_task(world.observer.run())
    await world.clock.advance(200)
    calm = world.provider.observed
    await world.clock.advance(100)
    assert world.provider.observed - calm in range(9, 12), "every 10 s at most"
    world.provider.move(Phase.RUNNING)
    await world.clock.advance(10)
    calm = world.provider.observed
    await world.clock.advance(3)
    assert world.provider.observed - calm >= 1
    task.cancel()
    await settle()


async def test_a_service_that_tells_of_changes_is_looked_at_without_waiting_for_the_next_round() -> None:
    world, (key,) = await submitted(1)
    task = asyncio.create_task(world.observer.run())
    await world.clock.advance(200)
    woken: list[str] = []
    world.observer._wake_key = woken.append
    world.provider.move(Phase.RUNNING)
    world.observer.look()
    await world.clock.advance(1)
    assert woken == [key], "after the shortest interval; quiet as it was, it would have been ten seconds"
    task.cancel()
    await settle()
