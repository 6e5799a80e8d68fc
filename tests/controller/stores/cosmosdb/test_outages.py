"""Failures that pass: done again, waited for, or told in time; each transition is written once."""

import asyncio
import time
from datetime import timedelta

import pytest

from controller.domain.errors import Throttled, Unavailable
from controller.domain.phases import Phase
from controller.domain.records import Recorded
from controller.ports import RecordFailure
from controller.stores import cosmosdb_client, cosmosdb_errors
from controller.stores.cosmosdb import CosmosStore
from tests.controller.stores.cosmosdb import service as cosmosdb_service
from tests.controller.stores.cosmosdb.harness import NOON, jobs, transition
from tests.controller.stores.cosmosdb.service import Service, cut, hang, lose_the_reply, operation_status, status

PASSING = [cut, *(status(code) for code in (408, 410, 449, 500, 503))]
PASSING_IN_BATCHES = [operation_status(code) for code in (408, 429, 449, 503)]


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
    await store.record([transition(1, Phase.PENDING, retry_count=1)])
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


async def test_times_are_kept_to_the_microsecond_in_utc(service: Service, store: CosmosStore) -> None:
    await store.record([transition(started_at=NOON + timedelta(microseconds=7))])
    assert service.of_type("job")[0]["startedAt"] == "2026-05-01T12:00:00.000007Z"
