"""Rounds of observation of the AWS adapter where the service takes few calls, or tells less in its lists."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import msgspec
import pytest
from aiohttp import web

from controller.domain import reasons
from controller.domain.errors import Retryable, Throttled, Unavailable
from controller.domain.job import AwsOptions
from controller.domain.phases import Phase
from controller.ports import JobRef
from controller.providers.aws import connection as connections
from controller.providers.aws import describing, listing
from controller.providers.aws.provider import AwsProvider
from dev.emulators.aws.server import Emulator, failed, reply
from dev.emulators.aws.service import ClientFault
from tests.controller.fakes import FakeClock
from tests.controller.providers.aws.harness import Service, ref, wanted

Wire = dict[str, Any]


@pytest.fixture
def service() -> Iterator[Service]:
    """A stand-in whose clock only moves by `advance`."""
    now = [time.time()]

    def advance(seconds: float) -> None:
        now[0] += seconds

    emulator = Emulator(clock=lambda: now[0], step_seconds=1.0)
    with emulator.in_thread() as url:
        yield Service(url, emulator, advance)


@pytest.fixture
async def provider(service: Service) -> AsyncIterator[AwsProvider]:
    provider = service.provider()
    yield provider
    await provider.close()


async def submit_many(provider: AwsProvider, count: int, **spec: object) -> list[JobRef]:
    requests = [wanted(f"job-{n}", **spec) for n in range(count)]
    return [ref(request, (await provider.submit(request)).resource_path) for request in requests]


async def throttled(_: web.Request) -> web.StreamResponse:
    return failed(429, "TooManyRequestsException", "words")


def answered(body: Wire) -> Callable[[web.Request], Any]:
    async def answer(_: web.Request) -> web.StreamResponse:
        return reply(body)

    return answer


def rewritten(service: Service, change: Callable[[Wire], None]) -> None:
    """Have every summary of the lists changed so."""
    played = service.emulator.service
    real = played.list_jobs

    def list_jobs(wanted: Wire) -> Wire:
        page: Wire = msgspec.json.decode(msgspec.json.encode(real(wanted)))
        for job in page["jobSummaryList"]:
            change(job)
        return page

    played.list_jobs = list_jobs


# --- few calls -----------------------------------------------------------------------------------------


async def test_each_round_describes_a_part_and_tells_the_others_as_they_were(
    service: Service, provider: AwsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(describing, "CALLS_A_ROUND", 2)
    monkeypatch.setattr(describing, "DESCRIBE_PAGE", 10)
    refs = await submit_many(provider, 50)
    service.advance(10)
    told = []
    for _ in range(3):
        seen = await provider.observe(refs)
        assert seen.keys() == {one.external_name for one in refs}
        assert {seen[one.external_name].resource_path for one in refs} == {one.resource_path for one in refs}
        told.append(sum(one.phase is Phase.RUNNING for one in seen.values()))
    assert told == [20, 40, 50]
    assert service.counts["DescribeJobs"] == 5


async def test_what_left_the_lists_and_has_no_turn_yet_is_told_as_before(
    service: Service, provider: AwsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = await submit_many(provider, 30, command=("sleep", "20"))
    service.advance(10)
    await provider.observe(refs)
    monkeypatch.setattr(describing, "CALLS_A_ROUND", 1)
    monkeypatch.setattr(describing, "DESCRIBE_PAGE", 10)
    service.advance(30)
    for ended in (10, 20, 30):
        phases = [one.phase for one in (await provider.observe(refs)).values()]
        assert (phases.count(Phase.COMPLETED), phases.count(Phase.RUNNING)) == (ended, 30 - ended)


async def test_a_throttled_call_costs_a_round_only_what_it_asked_for(
    service: Service, provider: AwsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(describing, "DESCRIBE_PAGE", 10)
    monkeypatch.setattr(describing, "AT_ONCE", 1)
    monkeypatch.setattr(connections, "READ_ATTEMPTS", 1)
    monkeypatch.setattr(provider._connection.calls, "throttled", lambda delay=0.0: 0.0)
    refs = await submit_many(provider, 30)
    service.advance(10)
    real = service.emulator.service.describe_jobs
    seen_calls = []

    def describe_jobs(wanted: Wire) -> Wire:
        seen_calls.append(wanted)
        if len(seen_calls) == 1:
            service.answer("DescribeJobs", throttled)  # the second
        return real(wanted)

    service.emulator.service.describe_jobs = describe_jobs
    seen = await provider.observe(refs)
    assert sum(one.phase is Phase.RUNNING for one in seen.values()) == 10
    assert len(seen) == 30
    assert {one.phase for one in (await provider.observe(refs)).values()} == {Phase.RUNNING}


async def test_a_round_that_was_told_nothing_for_throttling_says_so(
    service: Service, provider: AwsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "READ_ATTEMPTS", 1)
    [one] = await submit_many(provider, 1)
    service.answer("DescribeJobs", throttled)
    with pytest.raises(Throttled):
        await provider.observe([one])


async def test_a_page_that_always_fails_does_not_keep_the_others_back(
    service: Service, provider: AwsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(describing, "DESCRIBE_PAGE", 10)
    monkeypatch.setattr(describing, "AT_ONCE", 1)
    refs = await submit_many(provider, 20)
    bad = refs[0].resource_path.rpartition("/")[2]
    real = service.emulator.service.describe_jobs

    def describe_jobs(wanted: Wire) -> Wire:
        if bad in wanted["jobs"]:
            raise ClientFault("no")
        return real(wanted)

    service.emulator.service.describe_jobs = describe_jobs
    for _ in range(2):
        with pytest.raises(Unavailable):
            await provider.observe(refs)
    known = [provider._listing._describing.known(one.resource_path.rpartition("/")[2]) for one in refs]
    assert sum(one is not None for one in known) == 10


async def test_a_round_waits_longer_for_its_places_than_other_calls(
    provider: AwsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    [one] = await submit_many(provider, 1)
    bucket = provider._connection.calls
    real, waits = bucket.take, []

    async def take() -> None:
        waits.append(1)
        if len(waits) <= 9:
            raise Throttled("others wait already")
        await real()

    monkeypatch.setattr(bucket, "take", take)
    assert list(await provider.observe([one])) == [one.external_name]
    waits.clear()
    with pytest.raises(Throttled):
        await provider.get(one)
    waits.clear()
    monkeypatch.setattr(listing, "ROUND_SECONDS", -1.0)
    with pytest.raises(Throttled):
        await provider.observe([one])


# --- silent lists --------------------------------------------------------------------------------------


@pytest.mark.parametrize("leaves", [{"size": 3}, None])
async def test_an_array_whose_tasks_the_list_does_not_count_is_described_while_it_is_active(
    service: Service, provider: AwsProvider, leaves: Wire | None
) -> None:
    def change(job: Wire) -> None:
        if "arrayProperties" in job and "index" not in job["arrayProperties"]:
            job["arrayProperties"] = leaves

    rewritten(service, change)
    [one] = await submit_many(provider, 1, completions=3, command=("sleep", "3"))
    phases = []
    for _ in range(16):
        seen = (await provider.observe([one]))[one.external_name]
        assert await provider.get(one) == seen
        phases.append(seen.phase)
        service.advance(0.5)
    assert list(dict.fromkeys(phases)) == [Phase.PENDING, Phase.SCHEDULED, Phase.RUNNING, Phase.COMPLETED]


async def test_why_a_job_waits_is_asked_now_and_then_where_the_list_does_not_say(service: Service) -> None:
    clock = FakeClock()
    provider = service.provider(clock)
    rewritten(service, lambda job: job.pop("statusReason", None))
    [one] = await submit_many(provider, 1, aws=AwsOptions(job_queue="jennah-full"))
    await provider.observe([one])
    service.advance(10)
    assert (await provider.observe([one]))[one.external_name].waits_because is None
    clock._seconds += describing.WAITING_SECONDS
    service.counts.clear()
    for _ in range(3):
        seen = (await provider.observe([one]))[one.external_name]
        assert seen.waits_because.startswith("CAPACITY:")
        assert service.counts["DescribeJobs"] == 1
    assert await provider.get(one) == seen
    await provider.close()


# --- queues that go away -------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["JobQueue x not found", "Job queue x does not exist", "Unable to find JobQueue"])
async def test_a_specs_queue_that_cannot_be_listed_does_not_stop_the_others(
    service: Service, provider: AwsProvider, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    [one] = await submit_many(provider, 1)
    [other] = await submit_many(provider, 1, aws=AwsOptions(job_queue="jennah-fair"))
    real = service.emulator.service.list_jobs

    def list_jobs(wanted: Wire) -> Wire:
        if wanted.get("jobQueue") == "jennah-fair":
            raise ClientFault(words)
        return real(wanted)

    service.emulator.service.list_jobs = list_jobs
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert (await provider.observe([one, other])).keys() == {one.external_name, other.external_name}
    assert sum("cannot be listed" in record.getMessage() for record in caplog.records) == 1
    # The queue is still there: that its jobs cannot be listed does not prove that there is none.
    with pytest.raises(Unavailable):
        await provider.find(msgspec.structs.replace(other, resource_path=None))
    del service.emulator.service.queues["jennah-fair"]
    assert len(await provider.find(other)) == 1


# --- ends ----------------------------------------------------------------------------------------------


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


async def test_a_known_job_is_found_while_a_list_lacks_it(service: Service, provider: AwsProvider) -> None:
    request = wanted()
    older = (await provider.submit(request)).resource_path
    service.advance(1)
    younger = (await provider.submit(request)).resource_path
    real = service.emulator.service.list_jobs

    def list_jobs(wanted: Wire) -> Wire:
        page = real(wanted)
        return {**page, "jobSummaryList": [job for job in page["jobSummaryList"] if job["jobArn"] != older]}

    service.emulator.service.list_jobs = list_jobs
    other = service.provider()
    assert [seen.resource_path for seen in await other.find(ref(request, older))] == [older, younger]
    assert await other.find(ref(wanted(), older)) == []  # another's
    await other.close()


# --- replies -------------------------------------------------------------------------------------------


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
