"""Jobs that are found again by their name or path."""

import msgspec
import pytest
from aiohttp import web

from controller.domain import conditions
from controller.domain.errors import Unavailable
from controller.providers.aws.provider import AwsProvider
from dev.emulators.aws.server import reply
from tests.controller.providers.aws.harness import Service, Wire, ref, wanted


async def test_every_job_of_the_name_is_found_over_all_pages_the_oldest_first(
    service: Service, provider: AwsProvider
) -> None:
    request = wanted()
    for _ in range(120):
        await provider.submit(request)
        service.advance(0.001)
    found = await provider.find(ref(request))
    ledger = sorted(service.emulator.service.ledger(), key=lambda one: one.created_at)
    assert [seen.resource_path.rpartition("/")[2] for seen in found] == [one.id for one in ledger]
    assert service.counts["ListJobs"] == 2


async def test_other_capitals_and_other_uids_are_not_ours(service: Service, provider: AwsProvider) -> None:
    request = wanted()
    shouting = msgspec.structs.replace(request, external_name=request.external_name.upper())
    other = msgspec.structs.replace(request, uid="00000000-0000-0000-0000-000000000000")
    for one in (shouting, other):
        await provider.submit(one)
    assert await service.provider().find(ref(request)) == []


async def test_the_tasks_of_an_array_are_not_found_beside_it(service: Service, provider: AwsProvider) -> None:
    request = wanted(completions=3)
    await provider.submit(request)
    service.advance(10)
    [seen] = await provider.find(ref(request))
    assert seen.tasks.running == 3


async def test_a_job_in_another_configured_queue_is_found(service: Service) -> None:
    before = service.provider(job_queues={"spot": "jennah-spot"})
    request = wanted(spot=True)
    await before.submit(request)
    after = service.provider(job_queue="jennah-spot")
    [seen] = await after.find(ref(request))
    assert seen.uid == request.uid
    await before.close()
    await after.close()


async def test_a_job_that_is_listed_and_not_described_is_looked_at_again(
    service: Service, provider: AwsProvider
) -> None:
    request = wanted()
    await provider.submit(request)

    async def nothing(_: web.Request) -> web.StreamResponse:
        return reply({"jobs": []})

    service.answer("DescribeJobs", nothing)
    with pytest.raises(Unavailable, match="does not describe yet"):
        await provider.find(ref(request))
    assert len(await provider.find(ref(request))) == 1


async def test_a_job_whose_path_is_known_and_that_is_not_described_is_unknown(
    service: Service, provider: AwsProvider
) -> None:
    path = "arn:aws:batch:eu-west-1:123456789012:job/none"
    assert await provider.get(ref(wanted(), path)) is None
    assert service.counts["ListJobs"] == 0


async def test_an_adopted_job_tells_the_same_remarks(service: Service, provider: AwsProvider) -> None:
    request = wanted(completions=4, parallelism=2)
    submitted = await provider.submit(request)
    [found] = await service.provider().find(ref(request))
    assert [remark.condition for remark in found.remarks] == [conditions.PARALLELISM_HONOURED]
    assert found.remarks == submitted.remarks


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
