"""Documents and requests that the service refuses fail alone."""

import pytest

from controller.domain import names, reasons
from controller.domain.errors import Permanent, Unavailable
from controller.domain.phases import Phase
from controller.domain.records import Recorded
from controller.ports import RecordFailure
from controller.stores.cosmosdb import CosmosStore
from tests.controller.stores.cosmosdb import service as cosmosdb_service
from tests.controller.stores.cosmosdb.harness import jobs, transition
from tests.controller.stores.cosmosdb.service import Service, status


@pytest.mark.parametrize("code", [400, 413])
async def test_a_document_that_the_service_refuses_fails_alone(service: Service, store: CosmosStore, code: int) -> None:
    service.refused["job:j3"] = code
    results = await store.record(jobs(10))
    failures = [result for result in results if isinstance(result, RecordFailure)]
    assert failures == [results[3]]
    assert isinstance(failures[0].error, Permanent)
    assert failures[0].error.reason == reasons.RECORD_REJECTED
    assert len(service.of_type("job")) == 9


@pytest.mark.parametrize("code", [400, 413])
async def test_a_request_that_is_refused_as_a_whole_is_taken_apart(
    service: Service, store: CosmosStore, code: int
) -> None:
    await store.record([transition(job="first")])
    service.faults["batch"].append(status(code))
    assert await store.record(jobs(5)) == [Recorded(number=0, phase=Phase.PENDING)] * 5
    service.faults["batch"].extend([status(code)] * 2)
    [result] = await store.record([transition(1, Phase.RUNNING, job="first")])
    assert isinstance(result, RecordFailure)
    assert result.error.reason == reasons.RECORD_REJECTED
    assert "secret" not in str(result.error)


async def test_a_transition_that_is_refused_does_not_take_the_others_of_its_job_with_it(
    service: Service, store: CosmosStore
) -> None:
    service.refused[f"transition:{names.transition_id('u-t-j', 1)}"] = 400
    steps = [transition(0), transition(1, Phase.SCHEDULED), transition(2, Phase.RUNNING)]
    first, second, third = await store.record(steps)
    assert isinstance(second, RecordFailure)
    assert (first, third) == (Recorded(number=0, phase=Phase.PENDING), Recorded(number=2, phase=Phase.RUNNING))
    assert sorted(document["number"] for document in service.of_type("transition")) == [0, 2]


async def test_what_fails_for_one_tenant_fails_for_no_other(service: Service, store: CosmosStore) -> None:
    async def only_bad(
        service: Service, request: cosmosdb_service.web.Request, handler: cosmosdb_service.Handler
    ) -> cosmosdb_service.web.StreamResponse:
        is_bad = "bad" in request.headers["x-ms-documentdb-partitionkey"]
        return await (status(503)(service, request, handler) if is_bad else handler(request))

    service.always["batch"] = only_bad
    good, bad = await store.record([transition(), transition(tenant="bad")])
    assert good == Recorded(number=0, phase=Phase.PENDING)
    assert isinstance(bad, RecordFailure)
    assert isinstance(bad.error, Unavailable)
