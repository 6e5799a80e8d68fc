"""What is wrong with the SDK. A test that fails here says that it was mended: take the way around it out of
`sdk_faults`."""

from collections.abc import AsyncIterator

import pytest
from azure.batch.aio import BatchClient
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

from controller.providers.azure import calls, clients, sdk_faults
from tests.contract.azure_service import azure_settings
from tests.controller.providers.azure.harness import Service, wanted


@pytest.fixture
async def client(service: Service) -> AsyncIterator[BatchClient]:
    made = clients.make(azure_settings(service.emulator.url))
    yield made.batch
    await made.close()


async def test_terminating_a_job_without_options_raises_before_it_sends_anything(
    service: Service, client: BatchClient
) -> None:
    await service.provider().submit(wanted())
    [job] = service.emulator.service.jobs.values()
    with pytest.raises(ValueError, match="No value for given attribute"):
        await client.begin_terminate_job(job.id)
    assert service.counts["terminate_job"] == 0
    await sdk_faults.terminate_job(client, job.id, "because")
    assert (job.state, job.reason) == ("completed", "because")


async def test_asking_whether_a_missing_pool_exists_raises(client: BatchClient) -> None:
    with pytest.raises(ResourceNotFoundError):
        await client.pool_exists("nowhere")
    assert await client.pool_exists("jennah") is True


async def test_a_quota_and_a_duplicate_are_the_same_class_and_differ_by_code_only(
    service: Service, client: BatchClient
) -> None:
    from azure.batch import models

    def job(name: str) -> models.BatchJobCreateOptions:
        return models.BatchJobCreateOptions(id=name, pool_info=models.BatchPoolInfo(pool_id="jennah"))

    service.emulator.service.active_jobs = 1
    await client.create_job(job("a"))
    codes = []
    for name in ("A", "b"):
        with pytest.raises(ResourceExistsError) as error:
            await client.create_job(job(name))
        codes.append(calls.code_of(error.value))
    assert codes == ["JobExists", "ActiveJobAndScheduleQuotaReached"]
