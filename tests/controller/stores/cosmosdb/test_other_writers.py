"""Other writers in between, and deletions."""

import asyncio
import time

import pytest

from controller.domain import reasons
from controller.domain.errors import Permanent, Unavailable
from controller.domain.phases import Phase
from controller.domain.records import Recorded
from controller.ports import RecordFailure
from controller.stores import cosmosdb_errors
from controller.stores import cosmosdb_rows as rows
from controller.stores.cosmosdb import CosmosStore
from tests.controller.stores.cosmosdb import service as cosmosdb_service
from tests.controller.stores.cosmosdb.harness import jobs, transition
from tests.controller.stores.cosmosdb.service import Service, lose_the_reply, status


async def test_another_writer_in_between_is_read_and_merged_again(service: Service, store: CosmosStore) -> None:
    await store.record([transition(), transition(job="k")])

    def other(service: Service) -> None:
        document = service.documents["t", "job:j"]
        service.documents["t", "job:j"] = {**document, "name": "theirs", "transition": 1, "_etag": "theirs"}

    service.batches.clear()
    service.faults["batch"].append(cosmosdb_service.first(other))
    results = await store.record([transition(2, Phase.RUNNING), transition(1, Phase.RUNNING, job="k")])
    assert results == [Recorded(number=2, phase=Phase.RUNNING), Recorded(number=1, phase=Phase.RUNNING)]
    assert service.documents["t", "job:j"]["name"] == "theirs"
    # The one that failed goes alone from then on.
    assert [len(batch) for batch in service.batches] == [4, 2, 2]


async def test_two_that_create_the_same_tenant_and_job_write_them_once(service: Service, store: CosmosStore) -> None:
    def other(service: Service) -> None:
        service.documents["t", "tenant"] = {"id": "tenant", "tenantId": "t", "type": "tenant", "_etag": "theirs"}

    service.faults["batch"].append(cosmosdb_service.first(other))
    results = await store.record(jobs(80))
    assert results == [Recorded(number=0, phase=Phase.PENDING)] * 80
    assert service.documents["t", "tenant"]["_etag"] == "theirs"


async def test_a_row_that_was_deleted_in_between_comes_back(service: Service, store: CosmosStore) -> None:
    await store.record([transition()])
    service.faults["batch"].append(cosmosdb_service.first(lambda service: service.documents.pop(("t", "job:j"))))
    assert await store.record([transition(1, Phase.RUNNING)]) == [Recorded(number=1, phase=Phase.RUNNING)]


async def test_an_object_that_is_deleted_between_reading_and_its_first_row_gets_none(
    service: Service, store: CosmosStore
) -> None:
    def delete(service: Service) -> None:
        left = rows.tombstones_document("t", "j", {"u-t-j": int(time.time()) + 60}, time.time())
        service.documents["t", "job:j"] = {**left, "_etag": "theirs"}

    service.faults["batch"].append(cosmosdb_service.first(delete))
    refused, other = await store.record([transition(), transition(job="k")])
    assert isinstance(refused, RecordFailure)
    assert isinstance(refused.error, Permanent)
    assert refused.error.reason == reasons.JOB_DELETED
    assert other == Recorded(number=0, phase=Phase.PENDING)


async def test_no_job_is_written_before_its_tenant(service: Service, store: CosmosStore) -> None:
    async def without_tenant(
        service: Service, request: cosmosdb_service.web.Request, handler: cosmosdb_service.Handler
    ) -> cosmosdb_service.web.StreamResponse:
        creates_it = b'"id":"tenant"' in await request.read()
        return await (status(503)(service, request, handler) if creates_it else handler(request))

    service.always["batch"] = without_tenant
    with pytest.raises(Unavailable):
        await store.record(jobs(120))
    assert service.requests.count("batch") == cosmosdb_errors.TRIES
    assert service.of_type("job") == []


async def test_many_tenants_are_written_at_the_same_time(service: Service, store: CosmosStore) -> None:
    all_there = asyncio.Barrier(20)

    async def together(
        service: Service, request: cosmosdb_service.web.Request, handler: cosmosdb_service.Handler
    ) -> cosmosdb_service.web.StreamResponse:
        await all_there.wait()
        return await handler(request)

    service.always["batch"] = together
    results = await store.record([transition(tenant=f"t{n}") for n in range(20)])
    assert results == [Recorded(number=0, phase=Phase.PENDING)] * 20


async def answer_all(
    service: Service, request: cosmosdb_service.web.Request, handler: cosmosdb_service.Handler
) -> cosmosdb_service.web.StreamResponse:
    found = [document for document in service.documents.values() if document.get("jobId") == "j"]
    return cosmosdb_service.web.json_response({"Documents": found, "_count": len(found)})


async def test_a_deletion_whose_reply_was_lost_is_true(service: Service, store: CosmosStore) -> None:
    await store.record([transition()])
    service.faults["query"].extend([answer_all] * 2)
    service.faults["batch"].append(lose_the_reply)
    assert await store.delete_job("t", "j", uid="u-t-j") is True
    assert service.of_type("job") == service.of_type("transition") == []
    [tombstones] = service.of_type("tombstones")
    assert tombstones["deleted"].keys() == {"u-t-j"}


async def test_a_deletion_that_another_was_faster_with_is_false(service: Service, store: CosmosStore) -> None:
    await store.record([transition()])
    service.faults["query"].extend([answer_all] * 2)
    service.faults["batch"].append(cosmosdb_service.first(lambda service: service.documents.clear()))
    assert await store.delete_job("t", "j", uid="u-t-j") is False
