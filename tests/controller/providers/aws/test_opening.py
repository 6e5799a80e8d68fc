"""The start: queues, credentials, and a service that is not there."""

import socket

import pytest

from controller.domain.errors import ConfigError, Unavailable
from controller.providers.aws.provider import AwsProvider
from tests.controller.providers.aws.harness import Service, refused


async def test_opening_finds_every_configured_queue_by_name_or_arn(service: Service, provider: AwsProvider) -> None:
    await provider.open()
    arn = "arn:aws:batch:eu-west-1:123456789012:job-queue/jennah"
    await service.provider(job_queue=arn, job_queues={"spot": "jennah-spot"}).open()


async def test_a_missing_queue_is_named_with_its_variable(service: Service) -> None:
    provider = service.provider(job_queue="nope", job_queues={"spot": "nowhere"})
    with pytest.raises(ConfigError) as error:
        await provider.open()
    assert error.value.faults == [
        "AWS_JOB_QUEUE: in eu-west-1 there is no queue 'nope'",
        "AWS_JOB_QUEUES: in eu-west-1 there is no queue 'nowhere'",
    ]


@pytest.mark.parametrize("code", ["AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException"])
async def test_refused_credentials_name_the_iam_action(service: Service, provider: AwsProvider, code: str) -> None:
    service.answer("DescribeJobQueues", refused(403, code))
    with pytest.raises(ConfigError, match="batch:DescribeJobQueues is needed"):
        await provider.open()


async def test_an_unreachable_service_is_unavailable_at_the_start(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Unavailable):
        await service.provider(endpoint=f"http://127.0.0.1:{port}").open()
