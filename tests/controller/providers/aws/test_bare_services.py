"""Services that have not, or do not tell, what an honest stand-in need not have."""

from aiohttp import web

from controller.providers.aws.provider import AwsProvider
from dev.emulators.aws.server import reply
from tests.controller.providers.aws.harness import Service, ref, wanted


async def not_there(_: web.Request) -> web.StreamResponse:
    return web.Response(status=404, text="404: Not Found")


async def test_what_an_endpoint_does_not_have_is_done_without(service: Service, provider: AwsProvider) -> None:
    """A stand-in has what runs jobs: that queues exist, and on what they run, it may not tell."""
    for operation in ("DescribeJobQueues", "DescribeComputeEnvironments", "DescribeJobDefinitions"):
        service.answer(operation, *[not_there] * 4)
    await provider.open()
    request = wanted()
    await provider.prepare(request)
    submitted = await provider.submit(request)
    assert (await provider.get(ref(request, submitted.resource_path))).uid == request.uid
    assert service.counts["RegisterJobDefinition"] == 1


async def test_the_kind_of_a_queue_that_is_not_told_is_ec2(service: Service, provider: AwsProvider) -> None:
    async def bare(_: web.Request) -> web.StreamResponse:
        queue = {"jobQueueName": "jennah", "jobQueueArn": "arn:aws:batch:r:1:job-queue/jennah", "state": "ENABLED"}
        return reply({"jobQueues": [{**queue, "computeEnvironmentOrder": []}]})

    service.answer("DescribeJobQueues", bare)
    await provider.prepare(wanted())
    assert service.counts["DescribeComputeEnvironments"] == 0


async def test_a_definition_that_is_not_active_is_not_used_though_it_is_listed(
    service: Service, provider: AwsProvider
) -> None:
    async def inactive(request: web.Request) -> web.StreamResponse:
        name = (await request.json())["jobDefinitionName"]
        return reply({"jobDefinitions": [{"jobDefinitionName": name, "revision": 7, "status": "INACTIVE"}]})

    service.answer("DescribeJobDefinitions", inactive)
    await provider.prepare(wanted())
    assert service.counts["RegisterJobDefinition"] == 1


async def test_a_job_is_found_though_its_tags_are_not_told(service: Service, provider: AwsProvider) -> None:
    """A search that finds nothing is what a job is submitted again on."""
    request = wanted()
    await provider.submit(request)
    (stored,) = service.emulator.service.jobs.values()
    stored.request["tags"].clear()
    assert [one.uid for one in await provider.find(ref(request))] == [request.uid]
