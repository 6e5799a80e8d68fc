"""What nobody claims, on AWS: by name from the lists, and described only where the name says that it may be ours."""

from collections.abc import Iterator

import msgspec
import pytest

from controller.domain.job import AwsOptions
from controller.providers.aws.provider import AwsProvider
from dev.emulators.aws.server import Emulator
from tests.controller.providers.aws.harness import Service, ref, wanted


@pytest.fixture
def service() -> Iterator[Service]:
    emulator = Emulator()
    with emulator.in_thread() as url:
        yield Service(url, emulator, lambda seconds: None)


async def test_claimed_jobs_are_not_described_and_the_others_once(service: Service, provider: AwsProvider) -> None:
    requests = [wanted(f"job-{number}") for number in range(5)]
    for request in requests:
        await provider.submit(request)
    everything = {request.uid for request in requests}
    service.counts.clear()
    assert await provider.unclaimed(everything) == []
    assert service.counts["DescribeJobs"] == 0
    for _ in range(3):
        found = await provider.unclaimed(everything - {requests[0].uid, requests[1].uid})
        assert {one.seen.uid for one in found} == {requests[0].uid, requests[1].uid}
    assert service.counts["DescribeJobs"] == 1
    assert service.counts["ListJobs"] == 4 * 5  # the five active states


async def test_a_name_as_ours_does_not_make_a_job_ours(service: Service, provider: AwsProvider) -> None:
    """Another installation's jobs have such names, and it may share the queue: the tags decide, and are asked once."""
    other = service.provider(instance="other")
    theirs, ours = wanted("theirs"), wanted("ours")
    await other.submit(theirs)
    await provider.submit(ours)
    service.counts.clear()
    for _ in range(3):
        assert [one.seen.uid for one in await provider.unclaimed(set())] == [ours.uid]
    assert service.counts["DescribeJobs"] == 1
    await other.close()


async def test_a_job_of_another_name_is_passed_over(service: Service, provider: AwsProvider) -> None:
    await provider.submit(msgspec.structs.replace(wanted(), external_name="nightly-report"))
    service.counts.clear()
    assert await provider.unclaimed(set()) == []
    assert service.counts["DescribeJobs"] == 0


async def test_the_queue_of_a_spec_is_searched_while_a_job_of_it_is_observed(
    service: Service, provider: AwsProvider
) -> None:
    known, lost = (wanted(name, aws=AwsOptions(job_queue="jennah-spot")) for name in ("known", "lost"))
    seen = await provider.submit(known)
    await provider.submit(lost)
    assert await provider.unclaimed({known.uid}) == []
    await provider.observe([ref(known, seen.resource_path)])
    assert [one.seen.uid for one in await provider.unclaimed({known.uid})] == [lost.uid]
