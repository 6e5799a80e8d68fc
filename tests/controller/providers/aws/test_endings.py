"""Cancelling: few calls for many jobs, and who ended a job."""

import asyncio

import pytest
from aiohttp import web

from controller.domain import reasons
from controller.domain.errors import Throttled
from controller.domain.phases import Phase
from controller.providers.aws import connection as connections
from controller.providers.aws.provider import AwsProvider
from dev.emulators.aws.server import reply
from tests.controller.providers.aws.harness import Service, ref, refused, submit_many, wanted


async def test_many_cancels_are_few_calls(service: Service, provider: AwsProvider) -> None:
    requests = [wanted(f"job-{n}") for n in range(60)]
    paths = [(await provider.submit(request)).resource_path for request in requests]
    service.advance(10)
    refs = [ref(request, path) for request, path in zip(requests, paths, strict=True)]
    await asyncio.gather(*(provider.cancel(one, reason="because") for one in refs))
    assert (service.counts["TerminateJobs"], service.counts["TerminateJob"]) == (2, 0)
    service.advance(10)
    seen = await provider.observe(refs)
    assert {(one.phase, one.message) for one in seen.values()} == {(Phase.CANCELLED, "because")}


async def test_where_there_is_no_bulk_call_each_is_ended_by_itself(service: Service, provider: AwsProvider) -> None:
    requests = [wanted(f"job-{n}") for n in range(3)]
    refs = [ref(request, (await provider.submit(request)).resource_path) for request in requests]
    service.answer("TerminateJobs", refused(404, "UnknownOperationException"))
    await asyncio.gather(*(provider.cancel(one, reason="because") for one in refs))
    assert service.counts["TerminateJob"] == 3
    await asyncio.gather(*(provider.cancel(one, reason="again") for one in refs))
    assert service.counts["TerminateJobs"] == 1


async def test_where_the_bulk_call_is_refused_each_is_ended_by_itself(service: Service, provider: AwsProvider) -> None:
    requests = [wanted(f"job-{n}") for n in range(3)]
    refs = [ref(request, (await provider.submit(request)).resource_path) for request in requests]
    service.answer("TerminateJobs", refused(400, "ClientException"))
    assert await asyncio.gather(*(provider.cancel(one, reason="because") for one in refs)) == [True, True, True]
    assert service.counts["TerminateJob"] == 3


async def test_each_job_of_a_bulk_call_has_its_own_outcome(service: Service, provider: AwsProvider) -> None:
    refs = [ref(wanted(name), f"arn:aws:batch:eu-west-1:1:job/{name}") for name in ("a", "b", "c")]

    async def mixed(_: web.Request) -> web.StreamResponse:
        errors = [
            {"job": "b", "code": "ThrottlingException", "message": ""},
            {"job": "c", "code": "ClientException", "message": ""},
        ]
        return reply({"successful": ["a"], "errors": errors})

    service.answer("TerminateJobs", mixed)
    outcomes = await asyncio.gather(*(provider.cancel(one, reason="because") for one in refs), return_exceptions=True)
    assert outcomes[0] is outcomes[2] is True
    assert isinstance(outcomes[1], Throttled)


async def test_a_job_ended_by_somebody_else_is_failed_and_says_so(service: Service, provider: AwsProvider) -> None:
    request = wanted()
    path = (await provider.submit(request)).resource_path
    service.emulator.service.terminate_job({"jobId": path, "reason": "by hand"})
    seen = await provider.get(ref(request, path))
    assert (seen.phase, seen.failed_unless_asked, seen.message) == (
        Phase.CANCELLED,
        reasons.DELETED_EXTERNALLY,
        "by hand",
    )


async def test_a_boto3_without_the_bulk_call_ends_each_by_itself(
    service: Service, provider: AwsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections._METHODS, "TerminateJobs", "not_there_yet")
    refs = await submit_many(provider, 2)
    await asyncio.gather(*(provider.cancel(one, reason="because") for one in refs))
    assert service.counts["TerminateJob"] == 2
