"""Services that leave out, or take no notice of, what an honest stand-in need not have."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from aiohttp import web

from controller.domain.errors import Retryable
from controller.domain.phases import Phase
from controller.providers.azure.provider import AzureProvider
from tests.controller.providers.azure.harness import START, Service, each_task, ref, wanted

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def bare(status: int, text: str = "no") -> Answer:
    """An error without the body that the service gives to each."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text)

    return answer


async def test_a_conflict_without_a_code_is_looked_into(service: Service, provider: AzureProvider) -> None:
    request = wanted()
    first = await provider.submit(request)
    service.answer("create_task", bare(409))
    assert (await service.provider().submit(request)).resource_path == first.resource_path
    service.answer("create_task", bare(409))
    with pytest.raises(Retryable):
        await provider.submit(wanted())


async def test_tasks_of_a_set_that_are_refused_without_a_code_are_looked_for(
    service: Service, provider: AzureProvider
) -> None:
    request = wanted(completions=3)
    await provider.submit(request)
    [job] = service.emulator.service.jobs.values()
    removed = job.tasks.popitem()
    service.answer("create_tasks", each_task("clienterror", "", "no"))
    with pytest.raises(Retryable):  # the third is not there
        await service.provider().submit(request)
    job.tasks.update([removed])
    again = service.provider()
    service.answer("get_task", bare(404))  # of the last one, so that the making is gone on with
    service.answer("create_tasks", each_task("clienterror", "", "no"))
    assert (await again.submit(request)).uid == request.uid


async def test_a_shared_job_that_is_there_already_is_used_though_the_conflict_has_no_code(
    service: Service, provider: AzureProvider
) -> None:
    await service.provider().submit(wanted())
    service.answer("get_job", bare(404))  # not visible yet
    service.answer("get_job", bare(404))
    service.answer("create_job", bare(409))
    await provider.submit(wanted())
    [job] = service.emulator.service.jobs.values()
    assert len(job.tasks) == 2


async def test_ending_what_has_ended_is_no_error_though_the_conflict_has_no_code(
    service: Service, provider: AzureProvider
) -> None:
    request = wanted(("exit", "0"))
    path = (await provider.submit(request)).resource_path
    service.clock.advance(100)
    service.answer("terminate_task", bare(409))
    assert await provider.cancel(ref(request, path), reason="too late")


async def test_an_endpoint_without_pools_takes_jobs(service: Service, provider: AzureProvider) -> None:
    service.answer("get_pool", *[bare(404, "404: Not Found")] * 5)
    await provider.open()
    await provider.submit(wanted())


async def test_a_pool_that_does_not_tell_its_machines_takes_jobs(service: Service, provider: AzureProvider) -> None:
    async def pool(_: web.Request) -> web.StreamResponse:
        return web.json_response({"id": "jennah", "state": "active"})

    service.answer("get_pool", *[pool] * 5)
    await provider.open()
    await provider.submit(wanted())


async def test_lists_that_pay_no_regard_to_filters_mislead_nobody() -> None:
    async with Service(ignores_filters=True).serving() as service:
        provider = service.provider()
        over, lasts = wanted(("exit", "0")), wanted(("sleep", "100000"))
        refs = [ref(one, (await provider.submit(one)).resource_path) for one in (over, lasts)]
        service.clock.advance(100)
        assert {one.phase for one in (await provider.observe(refs)).values()} == {Phase.COMPLETED, Phase.RUNNING}

        async def unclaimed(ended_since: float | None) -> dict[str, bool]:
            since = START + timedelta(seconds=ended_since) if ended_since is not None else None
            return {one.seen.uid: one.has_ended for one in await provider.unclaimed(set(), ended_since=since)}

        assert await unclaimed(None) == {lasts.uid: False}
        assert await unclaimed(0) == {lasts.uid: False, over.uid: True}
        assert await unclaimed(99) == {lasts.uid: False}


async def test_an_old_shared_job_ends_once_where_filters_are_ignored() -> None:
    async with Service(ignores_filters=True).serving() as service:
        provider = service.provider()
        request = wanted(("exit", "0"))
        known = ref(request, (await provider.submit(request)).resource_path)
        for _ in range(6):
            service.clock.advance(24 * 3600)
            await provider.observe([known])
        [job] = service.emulator.service.jobs.values()
        assert job.state == "completed"
        assert service.counts["terminate_job"] == 1
