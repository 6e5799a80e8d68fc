"""Cosmos DB's failures, on a stand-in that has the service's batches and fails on demand (`cosmosdb_service`)."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from controller.domain import names, reasons
from controller.domain.errors import ConfigError, Permanent, Throttled, Unavailable
from controller.domain.phases import Phase
from controller.domain.records import JobRow, Recorded, Transition
from controller.ports import RecordFailure
from controller.stores import cosmosdb_client, cosmosdb_errors
from controller.stores.cosmosdb import CosmosStore
from tests.controller.stores import cosmosdb_service
from tests.controller.stores.cosmosdb_service import Service, cut, hang, lose_the_reply, operation_status, status

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
KEY = "c2VjcmV0LWtleS1zZWNyZXQ="
PASSING = [cut, *(status(code) for code in (408, 410, 449, 500, 503))]
PASSING_IN_BATCHES = [operation_status(code) for code in (408, 429, 449, 503)]


def transition(
    number: int = 0, phase: Phase = Phase.PENDING, *, job: str = "j", tenant: str = "t", **facts: object
) -> Transition:
    row = JobRow(tenant_id=tenant, job_id=job, status=phase, created_at=NOON, updated_at=NOON, **facts)
    return Transition(uid=f"u-{tenant}-{job}", number=number, from_phase=None, row=row, at=NOON, reason="r")


def jobs(count: int) -> list[Transition]:
    return [transition(job=f"j{n}") for n in range(count)]


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with cosmosdb_service.serve() as service:
        yield service


@pytest.fixture
async def store(service: Service) -> AsyncIterator[CosmosStore]:
    store = CosmosStore(service.endpoint, "jennah", key=KEY)
    await store.open()
    yield store
    await store.close()


async def test_a_group_of_one_tenant_is_one_query_and_batches_of_a_hundred_operations(
    service: Service, store: CosmosStore
) -> None:
    await store.record([transition(job="first")])
    service.requests.clear()
    service.batches.clear()
    assert await store.record(jobs(200)) == [Recorded(number=0, phase=Phase.PENDING)] * 200
    assert service.requests.count("query") == 1
    assert [len(batch) for batch in service.batches] == [100] * 4  # two operations a job


async def test_a_reply_that_was_lost_is_done_again_and_leaves_one_row(service: Service, store: CosmosStore) -> None:
    service.faults["batch"].append(lose_the_reply)
    end = transition(1, Phase.COMPLETED)
    results = await store.record([transition(), end])
    assert results[-1] == Recorded(number=1, phase=Phase.COMPLETED)
    assert len(service.batches) == 1
    assert [document["transition"] for document in service.of_type("job")] == [1]
    assert len(service.of_type("transition")) == 2
    assert len(service.of_type("notification")) == 1


async def test_a_write_that_lands_after_it_was_done_again_changes_nothing(service: Service, store: CosmosStore) -> None:
    await store.record([transition(0, Phase.RUNNING)])
    service.faults["batch"].append(cosmosdb_service.do_it_late)
    assert await store.record([transition(1, Phase.PENDING)]) == [Recorded(number=1, phase=Phase.PENDING)]
    before = dict(service.documents)
    await asyncio.gather(*service.late)
    assert len(service.batches) == 3
    assert service.documents == before


async def test_a_lost_reply_does_not_count_a_retry_twice(service: Service, store: CosmosStore) -> None:
    await store.record([transition(0, Phase.RUNNING)])
    service.faults["batch"].append(lose_the_reply)
    await store.record([transition(1, Phase.PENDING)])
    assert service.of_type("job")[0]["retryCount"] == 1


@pytest.mark.parametrize(
    ("kind", "fault"),
    [*(("query", fault) for fault in PASSING), *(("batch", fault) for fault in PASSING + PASSING_IN_BATCHES)],
)
async def test_a_failure_that_passes_is_tried_again(
    service: Service, store: CosmosStore, kind: str, fault: cosmosdb_service.Fault
) -> None:
    service.faults[kind].append(fault)
    assert await store.record([transition()]) == [Recorded(number=0, phase=Phase.PENDING)]
    assert len(service.of_type("transition")) == 1


@pytest.mark.parametrize("fault", [cut, status(503)])
async def test_reads_are_tried_again_as_well(
    service: Service, store: CosmosStore, fault: cosmosdb_service.Fault
) -> None:
    await store.record([transition()])
    service.faults["read"].append(fault)
    assert (await store.get_job("t", "j")).status is Phase.PENDING


@pytest.mark.parametrize("kind", ["query", "batch"])
async def test_throttling_waits_as_long_as_the_service_says(service: Service, store: CosmosStore, kind: str) -> None:
    # More often than a failure would be tried.
    service.faults[kind].extend([status(429, x_ms_retry_after_ms="60")] * (cosmosdb_errors.TRIES + 1))
    begun = time.monotonic()
    assert await store.record([transition()]) == [Recorded(number=0, phase=Phase.PENDING)]
    assert time.monotonic() - begun >= 0.06 * (cosmosdb_errors.TRIES + 1)


async def test_throttling_that_outlasts_the_call_fails_its_rows_as_throttled_with_the_delay(
    service: Service, store: CosmosStore
) -> None:
    service.always["batch"] = status(429, x_ms_retry_after_ms="30000")
    begun = time.monotonic()
    [result] = await store.record([transition()])
    assert time.monotonic() - begun < 1  # it does not wait for what cannot be in time
    assert service.requests.count("batch") == 1  # and neither does the SDK
    assert isinstance(result, RecordFailure)
    assert isinstance(result.error, Throttled)
    assert result.error.delay == 30


async def test_a_service_that_does_not_answer_is_unavailable_in_time(
    service: Service, store: CosmosStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cosmosdb_errors, "CALL_SECONDS", 0.3)
    service.always["batch"] = hang
    begun = time.monotonic()
    with pytest.raises(Unavailable, match=r"within 0\.3 s"):
        await store.record([transition()])
    assert time.monotonic() - begun < 1
    service.always.clear()
    monkeypatch.undo()
    # It had been done: nobody knew.
    assert await store.record([transition()]) == [Recorded(number=0, phase=Phase.PENDING)]
    assert len(service.of_type("transition")) == 1


def test_every_call_is_shorter_than_the_lease() -> None:
    assert cosmosdb_errors.CALL_SECONDS < 8
    assert cosmosdb_client.CONNECT_SECONDS + cosmosdb_client.READ_SECONDS < cosmosdb_errors.CALL_SECONDS


async def test_a_service_that_stays_away_is_unavailable_after_a_few_tries(service: Service, store: CosmosStore) -> None:
    service.always["query"] = status(503)
    begun = time.monotonic()
    with pytest.raises(Unavailable, match="answered 503") as caught:
        await store.record([transition(env_vars_json="secret")])
    assert time.monotonic() - begun < 3
    assert "secret" not in str(caught.value)


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
    assert await store.delete_job("t", "j") is True
    assert service.of_type("job") == service.of_type("transition") == []


async def test_a_deletion_that_another_was_faster_with_is_false(service: Service, store: CosmosStore) -> None:
    await store.record([transition()])
    service.faults["query"].extend([answer_all] * 2)
    service.faults["batch"].append(cosmosdb_service.first(lambda service: service.documents.clear()))
    assert await store.delete_job("t", "j") is False


async def test_nobody_there_at_the_start_is_unavailable_with_a_clear_line(unused_tcp_port: int) -> None:
    store = CosmosStore(f"http://127.0.0.1:{unused_tcp_port}", "jennah", key=KEY)
    with pytest.raises(Unavailable) as caught:
        await store.open()
    assert str(caught.value) == "Cosmos DB cannot be reached at 127.0.0.1"
    await store.close()


async def test_a_store_that_could_not_be_opened_can_be_opened_later(service: Service) -> None:
    store = CosmosStore(service.endpoint, "jennah", key=KEY)
    service.faults["account"].extend([status(503)] * 5)
    with pytest.raises(Unavailable):
        await store.open()
    service.faults["account"].clear()
    await store.open()
    await store.record([transition()])
    await store.close()


@pytest.mark.parametrize("code", [401, 403])
async def test_credentials_that_are_refused_are_unavailable_at_once(service: Service, code: int) -> None:
    service.always["account"] = status(code)
    store = CosmosStore(service.endpoint, "jennah", key=KEY)
    begun = time.monotonic()
    with pytest.raises(Unavailable, match=f"credentials.*{code}"):
        await store.open()
    assert time.monotonic() - begun < 3


async def test_a_key_that_is_none_is_a_config_error(service: Service) -> None:
    with pytest.raises(ConfigError, match="DB_KEY") as caught:
        await CosmosStore(service.endpoint, "jennah", key="not base64!").open()
    assert "not base64!" not in str(caught.value)


async def test_a_container_that_is_not_there_is_a_config_error_that_names_the_command(service: Service) -> None:
    service.has_container = False
    with pytest.raises(ConfigError, match="jennah migrate"):
        await CosmosStore(service.endpoint, "jennah", key=KEY).open()


@pytest.mark.parametrize("kind", ["query", "batch"])
async def test_a_container_that_went_away_does_not_reject_the_rows(
    service: Service, store: CosmosStore, kind: str
) -> None:
    service.always[kind] = status(404)
    with pytest.raises(Unavailable, match="jennah migrate"):
        await store.record([transition()])


async def test_without_a_key_the_azure_credentials_are_asked_for(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    from azure.core.exceptions import ClientAuthenticationError
    from azure.identity import aio

    class Nobody:
        is_closed = False

        async def __aenter__(self) -> "Nobody":
            return self

        async def __aexit__(self, *args: object) -> None:
            Nobody.is_closed = True

        async def get_token(self, *scopes: str, **more: object) -> None:
            raise ClientAuthenticationError("nobody is logged in")

        async def close(self) -> None: ...

    monkeypatch.setattr(aio, "DefaultAzureCredential", Nobody)
    with pytest.raises(Unavailable, match="no Azure credentials"):
        await CosmosStore("https://127.0.0.1:1/", "jennah").open()
    assert Nobody.is_closed


async def test_nothing_of_a_request_is_logged_at_any_level(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store = CosmosStore(service.endpoint, "jennah", key=KEY)
    await store.open()
    service.faults["batch"].extend([status(503), lose_the_reply])
    await store.record([transition(env_vars_json="secret value")])
    await store.close()
    lines = "\n".join(record.getMessage() for record in caplog.records)
    assert [record.name for record in caplog.records if record.name.startswith("azure")] == []
    assert "secret" not in lines
    assert KEY not in lines


async def test_a_store_that_is_not_open_is_unavailable(service: Service) -> None:
    store = CosmosStore(service.endpoint, "jennah", key=KEY)
    with pytest.raises(Unavailable, match="not open"):
        await store.get_job("t", "j")
    await store.close()


async def test_times_are_kept_to_the_microsecond_in_utc(service: Service, store: CosmosStore) -> None:
    await store.record([transition(started_at=NOON + timedelta(microseconds=7))])
    assert service.of_type("job")[0]["startedAt"] == "2026-05-01T12:00:00.000007Z"
