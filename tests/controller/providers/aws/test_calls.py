"""Calls: repeated behind the rate limit, counted, and none after closing."""

import asyncio

import pytest

from controller import metrics
from controller.domain.errors import Throttled, Unavailable
from controller.providers.aws.provider import AwsProvider
from tests.controller.fakes import FakeClock
from tests.controller.providers.aws.harness import Service, dropped, ref, refused, wanted


async def test_throttling_slows_the_submissions_that_follow(service: Service, provider: AwsProvider) -> None:
    request = wanted()
    await provider.prepare(request)
    service.answer("SubmitJob", refused(429, "TooManyRequestsException"))
    with pytest.raises(Throttled):
        await provider.submit(request)
    assert provider._connection.submits.rate == 5_000


async def test_a_throttle_that_proves_nothing_slows_the_submissions_as_well(
    service: Service, provider: AwsProvider
) -> None:
    request = wanted()
    await provider.prepare(request)
    service.answer("SubmitJob", refused(503, "SlowDown"))
    with pytest.raises(Unavailable):
        await provider.submit(request)
    assert provider._connection.submits.rate == 5_000


async def test_a_read_that_is_throttled_by_a_5xx_is_one_of_those_that_are_repeated(service: Service) -> None:
    provider = service.provider()
    service.answer("DescribeJobs", refused(503, "SlowDown"))
    with pytest.raises(Throttled):
        await provider._connection.call("DescribeJobs", {"jobs": ["x"]})
    assert provider._connection.calls.rate == 5_000
    await provider.close()


async def test_a_throttled_read_is_repeated_behind_the_rate_limit(service: Service) -> None:
    clock = FakeClock()
    provider = service.provider(clock)
    service.answer("DescribeJobQueues", refused(429, "TooManyRequestsException"))
    opening = asyncio.create_task(provider.open())
    while not service.counts["DescribeJobQueues"] or not clock._sleepers:
        await asyncio.sleep(0.01)
    await clock.advance(2)
    await opening
    assert service.counts["DescribeJobQueues"] == 2
    await provider.close()


async def test_calls_are_counted_by_method_and_result(service: Service, provider: AwsProvider) -> None:
    def count(result: str) -> float:
        return metrics.PROVIDER_CALLS.labels("aws", "SubmitJob", result)._value.get()

    before = count("ok"), count("Unavailable")
    await provider.submit(wanted())
    service.answer("SubmitJob", dropped)
    with pytest.raises(Unavailable):
        await provider.submit(wanted())
    assert (count("ok") - before[0], count("Unavailable") - before[1]) == (1, 1)


async def test_a_closed_adapter_says_so(provider: AwsProvider) -> None:
    await provider.open()
    await provider.close()
    await provider.close()
    with pytest.raises(Unavailable):
        await provider.observe([ref(wanted())])
