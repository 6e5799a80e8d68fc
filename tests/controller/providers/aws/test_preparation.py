"""What a submission needs before it: queues that are looked up, and definitions that jobs share."""

import asyncio

import pytest

from controller.domain import reasons
from controller.domain.errors import Forbidden, Permanent, Retryable
from controller.domain.job import AwsOptions
from controller.domain.phases import Phase
from controller.providers.aws.provider import AwsProvider
from tests.controller.providers.aws.harness import Service, ref, refused, wanted


async def test_the_action_that_the_service_names_is_the_one_that_is_missing(
    service: Service, provider: AwsProvider
) -> None:
    words = "User: arn:aws:sts::1:x is not authorized to perform: iam:PassRole on resource: arn:aws:iam::1:role/r"
    service.answer("RegisterJobDefinition", refused(403, "AccessDeniedException", words))
    with pytest.raises(Forbidden, match="iam:PassRole is needed"):
        await provider.prepare(wanted())


async def test_jobs_that_agree_share_one_definition_however_many_prepare_at_once(
    service: Service, provider: AwsProvider
) -> None:
    await asyncio.gather(*(provider.prepare(wanted(f"job-{n}")) for n in range(20)))
    assert service.counts["RegisterJobDefinition"] == 1
    assert service.counts["DescribeJobDefinitions"] == 1
    assert service.counts["DescribeJobQueues"] == 1
    other = service.provider()
    await other.prepare(wanted())
    assert service.counts["RegisterJobDefinition"] == 1
    await other.prepare(wanted(service_account="arn:aws:iam::1:role/r"))
    assert service.counts["RegisterJobDefinition"] == 2
    await other.close()


async def test_two_replicas_that_register_at_once_do_no_harm(service: Service) -> None:
    providers = [service.provider() for _ in range(4)]
    await asyncio.gather(*(provider.prepare(wanted()) for provider in providers))
    [revisions] = service.emulator.service.definitions.values()
    assert {revision["containerProperties"]["image"] for revision in revisions} == {"busybox"}
    newest = service.provider()
    request = wanted()
    await newest.prepare(request)
    assert newest._prepared[request.external_name].definition.endswith(f":{len(revisions)}")
    assert service.counts["RegisterJobDefinition"] == len(revisions)
    for provider in (*providers, newest):
        await provider.close()


async def test_a_definition_that_was_deregistered_is_made_anew(service: Service, provider: AwsProvider) -> None:
    await provider.prepare(wanted())
    [[revision]] = service.emulator.service.definitions.values()
    revision["status"] = "INACTIVE"
    request = wanted()
    await provider.prepare(request)
    with pytest.raises(Retryable, match="no longer active"):
        await provider.submit(request)
    await provider.prepare(request)
    await provider.submit(request)
    assert service.counts["RegisterJobDefinition"] == 2


async def test_a_queue_of_the_spec_that_does_not_exist_is_the_specs_fault(provider: AwsProvider) -> None:
    with pytest.raises(Permanent, match=r"spec\.aws\.jobQueue: there is no queue 'nope'") as error:
        await provider.prepare(wanted(aws=AwsOptions(job_queue="nope")))
    assert error.value.reason == reasons.INVALID_SPEC


async def test_nothing_is_registered_for_a_request_that_cannot_be_sent(service: Service, provider: AwsProvider) -> None:
    with pytest.raises(Permanent):
        await provider.prepare(wanted(backoff_limit=10))
    assert service.counts["RegisterJobDefinition"] == 0


async def test_fargate_is_seen_from_the_queue(service: Service, provider: AwsProvider) -> None:
    request = wanted(aws=AwsOptions(job_queue="jennah-fargate"))
    await provider.prepare(request)
    await provider.submit(request)
    service.advance(10)
    [seen] = await provider.find(ref(request))
    assert seen.phase is Phase.RUNNING
    [[revision]] = service.emulator.service.definitions.values()
    assert revision["platformCapabilities"] == ["FARGATE"]
