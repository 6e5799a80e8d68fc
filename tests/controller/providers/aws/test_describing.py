"""What a round describes: a part where the service takes few calls, and more where its lists tell less."""

import pytest
from aiohttp import web

from controller.domain.errors import Throttled, Unavailable
from controller.domain.job import AwsOptions
from controller.domain.phases import Phase
from controller.providers.aws import connection as connections
from controller.providers.aws import describing, listing
from controller.providers.aws.provider import AwsProvider
from dev.emulators.aws.checks import ClientFault
from dev.emulators.aws.server import failed
from tests.controller.fakes import FakeClock
from tests.controller.providers.aws.harness import Service, Wire, rewritten, submit_many


async def throttled(_: web.Request) -> web.StreamResponse:
    return failed(429, "TooManyRequestsException", "words")


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
