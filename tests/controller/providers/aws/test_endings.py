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
from tests.controller.providers.aws.harness import Service, Wire, ref, refused, rewritten, submit_many, wanted


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


@pytest.mark.parametrize("form", ["{}", "Terminated by user: {}", "Array Job terminated. Reason: {}"])
@pytest.mark.parametrize("spec", [{}, {"completions": 3}])
async def test_our_words_are_found_wherever_the_service_puts_them(
    service: Service, provider: AwsProvider, form: str, spec: Wire
) -> None:
    [one] = await submit_many(provider, 1, **spec)
    service.advance(5)
    assert await provider.cancel(one, reason="CancelRequested") is True
    service.advance(5)
    for job in service.emulator.service.jobs.values():
        job.life.end_reason = form.format(job.life.end_reason)
    seen = (await provider.observe([one]))[one.external_name]
    assert (seen.phase, seen.reason, seen.message) == (Phase.CANCELLED, reasons.CANCELLED, "CancelRequested")


async def test_an_array_that_only_says_that_its_tasks_failed_is_cancelled_if_we_ended_one(
    service: Service, provider: AwsProvider
) -> None:
    [one] = await submit_many(provider, 1, completions=3)
    service.advance(5)
    await provider.cancel(one, reason="CancelRequested")
    service.advance(5)
    real = service.emulator.service.describe_jobs

    def describe_jobs(wanted: Wire) -> Wire:
        found = real(wanted)
        return {"jobs": [{**job, "statusReason": "Array Child Job failed"} for job in found["jobs"]]}

    service.emulator.service.describe_jobs = describe_jobs

    def other_reason(job: Wire) -> None:
        if job.get("arrayProperties", {}).get("index") == 0:  # it failed before
            job["statusReason"] = "Essential container in task exited"

    rewritten(service, other_reason)
    seen = (await provider.observe([one]))[one.external_name]
    assert (seen.phase, seen.message) == (Phase.CANCELLED, "CancelRequested")
    assert await provider.get(one) == seen


async def test_cancel_says_whether_the_service_knew_the_job(service: Service, provider: AwsProvider) -> None:
    request = wanted(command=("true",))
    assert await provider.cancel(ref(request), reason="x") is False
    path = (await provider.submit(request)).resource_path
    other = service.provider()
    assert await other.cancel(ref(request), reason="x") is True
    service.advance(30)
    assert await other.cancel(ref(request), reason="x") is True  # ended, and found by name
    assert await other.cancel(ref(request, path), reason="x") is True
    assert await other.cancel(ref(wanted(), "arn:aws:batch:eu-west-1:1:job/none"), reason="x") is True
    await other.close()
