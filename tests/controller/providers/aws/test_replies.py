"""Replies that are incomplete, come page by page, or trickle."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from controller.domain.errors import Retryable, Unavailable
from controller.providers.aws import connection as connections
from controller.providers.aws.provider import AwsProvider
from dev.emulators.aws.server import reply
from tests.controller.providers.aws.harness import Service, Wire, submit_many, wanted


def answered(body: Wire) -> Callable[[web.Request], Any]:
    async def answer(_: web.Request) -> web.StreamResponse:
        return reply(body)

    return answer


async def test_configured_queues_are_looked_up_over_all_pages(service: Service) -> None:
    real = service.emulator.service.describe_job_queues

    def paged(wanted: Wire) -> Wire:
        found, at = real(wanted)["jobQueues"], int(wanted.get("nextToken") or 0)
        more = {"nextToken": str(at + 1)} if at + 1 < len(found) else {}
        return {"jobQueues": found[at : at + 1], **more}

    service.emulator.service.describe_job_queues = paged
    provider = service.provider(job_queues={"spot": "jennah-spot"})
    await provider.open()
    await provider.close()


@pytest.mark.parametrize("body", [{}, {"jobQueues": [{}]}, {"computeEnvironments": 1}, {"revision": "x"}])
@pytest.mark.parametrize(
    "operation",
    ["DescribeJobQueues", "DescribeComputeEnvironments", "DescribeJobDefinitions", "RegisterJobDefinition"],
)
async def test_an_incomplete_reply_is_as_one_that_was_lost(
    service: Service, provider: AwsProvider, operation: str, body: Wire
) -> None:
    service.answer(operation, *[answered(body)] * 2)
    with pytest.raises(Retryable) as error:
        await provider.prepare(wanted())
    assert type(error.value) is Unavailable


@pytest.mark.parametrize("body", [{}, {"jobs": [{"jobId": "x"}]}])
async def test_an_incomplete_description_does_not_say_that_a_job_is_gone(
    service: Service, provider: AwsProvider, body: Wire
) -> None:
    refs = await submit_many(provider, 2)
    for ask in (lambda: provider.get(refs[0]), lambda: provider.observe(refs)):
        service.answer("DescribeJobs", *[answered(body)] * 2)
        with pytest.raises(Unavailable):
            await ask()
    service.answer("TerminateJobs", answered({}))
    ended = await asyncio.gather(*(provider.cancel(one, reason="x") for one in refs), return_exceptions=True)
    assert [type(error) for error in ended] == [Unavailable, Unavailable]


async def test_closing_leaves_a_reply_that_trickles(
    service: Service, provider: AwsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CLOSE_SECONDS", 0.3)

    async def trickles(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "30"})
        await response.prepare(request)
        for _ in range(30):
            await response.write(b" ")
            await asyncio.sleep(0.1)
        return response

    request = wanted()
    await provider.prepare(request)
    service.answer("SubmitJob", trickles)
    submitting = asyncio.create_task(provider.submit(request))
    while not service.counts["SubmitJob"]:
        await asyncio.sleep(0.01)
    begin = time.monotonic()
    await provider.close()
    assert time.monotonic() - begin < 1.5
    with pytest.raises(Unavailable):
        await submitting
