"""Transactions that are cancelled, and rows that others write at the same time."""

import asyncio
import time
from typing import Any

import pytest

from controller.domain import reasons
from controller.domain.phases import Phase
from controller.domain.records import Recorded
from controller.stores import dynamodb_calls, dynamodb_keys
from controller.stores.dynamodb import DynamoStore
from tests.controller.stores.dynamodb import proxy as faults
from tests.controller.stores.dynamodb.harness import LIFE, assert_written_once, failures, jobs, transition
from tests.controller.stores.dynamodb.proxy import FaultyProxy


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
async def test_a_cancelled_transaction_is_tried_again(store: DynamoStore, proxy: FaultyProxy, code: str) -> None:
    for number, phase in enumerate(LIFE):
        proxy.fail("TransactWriteItems", faults.cancel(code, at=(3,)), faults.cancel(code))
        assert await store.record(jobs(5, number, phase)) == [Recorded(number=number, phase=phase)] * 5
    await assert_written_once(store, 5)


async def test_a_transaction_that_is_cancelled_for_no_given_reason_is_tried_again_after_a_pause(
    store: DynamoStore, proxy: FaultyProxy
) -> None:
    proxy.fail("TransactWriteItems", *[faults.cancel("None")] * 2)
    began = time.monotonic()
    assert failures(await store.record(jobs(3))) == {}
    assert time.monotonic() - began > dynamodb_calls.BACKOFF_SECONDS


async def test_a_job_is_not_failed_for_what_it_shared_a_transaction_with(
    store: DynamoStore, proxy: FaultyProxy
) -> None:
    the_tenant, the_second_job = 9, 2
    proxy.fail("TransactWriteItems", faults.cancel("ValidationError", at=(the_tenant,)))
    assert failures(await store.record(jobs(3))) == {}
    proxy.fail("TransactWriteItems", faults.cancel("ValidationError", at=(the_second_job,)))
    assert failures(await store.record(jobs(3, 1, Phase.RUNNING))) == {}


async def test_a_conflict_over_the_tenant_alone_is_tried_again(store: DynamoStore, proxy: FaultyProxy) -> None:
    proxy.fail("TransactWriteItems", faults.cancel("TransactionConflict", at=(9,)))
    assert failures(await store.record(jobs(3))) == {}
    assert len(proxy.requests[-1][1]["TransactItems"]) == 10


async def test_a_row_that_changes_between_reading_and_writing_is_merged_again_and_the_others_not_held_up(
    store: DynamoStore, proxy: FaultyProxy, other: DynamoStore
) -> None:
    await store.record(jobs(10))

    async def cancel_one() -> None:
        await other.record([transition(5, Phase.CANCELLED, job_id="job-0003")])

    proxy.requests.clear()
    proxy.fail("TransactWriteItems", faults.first(cancel_one))
    results = await store.record(jobs(10, 1, Phase.RUNNING))
    truth = Recorded(number=5, phase=Phase.CANCELLED)
    assert results == [truth if n == 3 else Recorded(number=1, phase=Phase.RUNNING) for n in range(10)]
    assert proxy.count("TransactWriteItems") == 2, "the other nine went together"
    assert len(await store.transitions("t", "job-0003")) == 2


async def test_a_row_that_is_deleted_between_reading_and_writing_stays_deleted(
    store: DynamoStore, proxy: FaultyProxy, other: DynamoStore
) -> None:
    await store.record([transition()])
    proxy.fail("TransactWriteItems", faults.first(lambda: other.delete_job("t", "j", uid="uid-j")))
    results = await store.record([transition(1, Phase.RUNNING), transition(job_id="k")])
    assert failures(results)[0].reason == reasons.JOB_DELETED
    assert results[1] == Recorded(number=0, phase=Phase.PENDING)
    assert [job.job_id for job in (await store.list_jobs("t")).jobs] == ["k"]


async def test_an_object_that_is_deleted_between_reading_and_its_first_row_gets_none(
    store: DynamoStore, proxy: FaultyProxy, other: DynamoStore
) -> None:
    proxy.fail("TransactWriteItems", faults.first(lambda: other.delete_job("t", "j", uid="uid-j")))
    assert failures(await store.record([transition()]))[0].reason == reasons.JOB_DELETED
    assert await store.get_job("t", "j") is None


async def test_a_tombstone_that_expires_between_reading_and_writing_does_not_hinder(
    store: DynamoStore, proxy: FaultyProxy, client: Any, table: str
) -> None:
    await store.delete_job("t", "j", uid="an earlier one")

    async def expire() -> None:
        client.delete_item(TableName=table, Key=dynamodb_keys.row("t", "j").attributes)

    proxy.fail("TransactWriteItems", faults.first(expire))
    assert await store.record([transition()]) == [Recorded(number=0, phase=Phase.PENDING)]


async def test_many_processes_that_write_the_same_rows_write_them_once(store: DynamoStore, other: DynamoStore) -> None:
    steps = [step for number, phase in enumerate(LIFE) for step in jobs(8, number, phase)]
    await asyncio.gather(*(each.record(steps) for each in (store, other) for _ in range(3)))
    await assert_written_once(store, 8)
