"""The rate limits of the Azure adapter: a round of observation waits for no call of another kind."""

import asyncio

import pytest

from controller.domain.errors import Throttled
from controller.domain.phases import Phase
from controller.ports import JobRef
from controller.providers.azure import connection, shared_jobs
from controller.providers.azure.provider import AzureProvider
from tests.controller.providers.azure.harness import HandClock, Service, answer, many, ref, wanted

PATIENCE_SECONDS = 60.0  # for what comes at once, or never


class StandingClock(HandClock):
    """Whoever waits for a place waits for ever."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()


async def ended_set(service: Service, provider: AzureProvider) -> JobRef:
    request = wanted(("exit", "0"), completions=90)
    path = (await provider.submit(request)).resource_path
    service.clock.advance(100)
    return ref(request, path)


async def test_a_round_and_its_ending_of_old_jobs_wait_for_no_delete_that_waits_for_its_place(
    service: Service, provider: AzureProvider
) -> None:
    refs = await many(provider, 5)
    large = await ended_set(service, provider)
    clock = StandingClock()
    slow = service.provider(clock, mutations_per_second=1)
    for one in (clock, service.clock):
        one.advance(3 * 86400)
    deleting = asyncio.create_task(slow.delete(large))
    try:
        while not service.counts["delete_task"]:
            await asyncio.sleep(0)
        for _ in range(3):
            assert len(await asyncio.wait_for(slow.observe(refs), PATIENCE_SECONDS)) == 5
            service.clock.advance(shared_jobs.LOOK_AGAIN_SECONDS)
            clock.advance(shared_jobs.LOOK_AGAIN_SECONDS)
        assert not deleting.done() and service.counts["delete_task"] == service.counts["terminate_job"] == 1
    finally:
        deleting.cancel()
        await asyncio.gather(deleting, return_exceptions=True)


async def test_a_round_waits_for_no_reads_of_single_jobs(service: Service, provider: AzureProvider) -> None:
    refs = await many(provider, 5)
    slow = service.provider(StandingClock(), reads_per_second=10)
    asking = [asyncio.create_task(slow.get(refs[n % 5])) for n in range(30)]
    try:
        while service.counts["get_task"] < 10:
            await asyncio.sleep(0)
        assert len(await asyncio.wait_for(slow.observe(refs), PATIENCE_SECONDS)) == 5
        assert not all(one.done() for one in asking)
    finally:
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def test_mutations_that_are_throttled_hold_back_neither_rounds_nor_single_reads(
    service: Service, provider: AzureProvider
) -> None:
    refs = await many(provider, 5)
    service.answer("create_task", answer(503, "ServerBusy"))
    with pytest.raises(Throttled):
        await provider.submit(wanted())
    before = service.clock.monotonic()
    assert len(await provider.observe(refs)) == 5
    assert await provider.get(refs[0]) is not None
    assert service.clock.monotonic() == before
    await provider.submit(wanted())
    assert service.clock.monotonic() > before


async def test_a_page_that_is_throttled_is_asked_for_again_and_the_others_are_not(
    service: Service, provider: AzureProvider
) -> None:
    refs = await many(provider, 2100)
    service.answer("list_tasks", *[answer(503, "ServerBusy")] * (connection.ROUND_TRIES - 1))
    assert len(await provider.observe(refs)) == 2100
    assert service.counts["list_tasks"] == 3 + connection.ROUND_TRIES - 1


async def test_rounds_see_everything_though_a_twentieth_of_all_calls_is_throttled_and_much_is_removed(
    service: Service, provider: AzureProvider
) -> None:
    large = [await ended_set(service, provider) for _ in range(3)]
    refs = await many(provider, 1200)
    service.clock.advance(10)
    service.emulator.dice.faults.throttled = 0.05

    async def removing() -> None:
        for one in large:
            while await provider.get(one) is not None:
                try:
                    await provider.delete(one)
                except Throttled:
                    await asyncio.sleep(0)

    async def remove() -> None:
        try:
            await removing()
        except Throttled:
            await remove()

    work = asyncio.create_task(remove())
    rounds = 0
    while not work.done() or rounds < 5:
        seen = await provider.observe(refs)
        assert len(seen) == 1200 and {one.phase for one in seen.values()} <= {Phase.RUNNING, Phase.COMPLETED}
        rounds += 1
    await work
