"""A service that is away, hangs, throttles or answers in part."""

import asyncio
import time
from typing import Any

import pytest

from controller.domain.errors import Throttled, Unavailable
from controller.domain.phases import Phase
from controller.stores import dynamodb_calls
from controller.stores.dynamodb import DynamoStore
from tests.controller.stores.dynamodb import proxy as faults
from tests.controller.stores.dynamodb.harness import LIFE, assert_written_once, failures, jobs, transition
from tests.controller.stores.dynamodb.proxy import FaultyProxy


@pytest.mark.usefixtures("short_limits")
async def test_the_store_works_again_after_the_service_was_away(store: DynamoStore, proxy: FaultyProxy) -> None:
    await store.record([transition()])
    await proxy.stop()
    with pytest.raises(Unavailable, match="cannot be reached"):
        await store.record([transition(1, Phase.RUNNING)])
    with pytest.raises(Unavailable, match="cannot be reached"):
        await store.get_job("t", "j")
    await proxy.start()
    await store.record([transition(1, Phase.RUNNING)])
    assert (await store.get_job("t", "j")).status is Phase.RUNNING


@pytest.mark.usefixtures("short_limits")
async def test_a_service_that_hangs_is_unavailable_within_the_time_limit(
    store: DynamoStore, proxy: FaultyProxy
) -> None:
    async def hang(_: faults.Body, __: faults.Forward) -> None:
        await asyncio.sleep(3)

    proxy.fail_always("BatchGetItem", hang)
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await store.record(jobs(300))
    assert time.monotonic() - began < dynamodb_calls.CALL_SECONDS + 0.7


def test_the_time_limit_of_a_call_is_below_8_seconds() -> None:
    assert dynamodb_calls.CALL_SECONDS + dynamodb_calls.OUTER_SECONDS < 8


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ProvisionedThroughputExceededException", 400),
        ("ThrottlingException", 400),
        ("RequestLimitExceeded", 400),
        ("TransactionInProgressException", 400),
        ("InternalServerError", 500),
        ("ServiceUnavailable", 503),
    ],
)
async def test_a_throttled_or_failed_request_is_tried_again(
    store: DynamoStore, proxy: FaultyProxy, code: str, status: int
) -> None:
    for operation in ("BatchGetItem", "TransactWriteItems", "GetItem"):
        proxy.fail(operation, *[faults.refuse(code, status)] * 2)
    for number, phase in enumerate(LIFE):
        await store.record([transition(number, phase)])
    assert (await store.get_job("t", "j")).status is Phase.COMPLETED
    await assert_written_once(store)


@pytest.mark.usefixtures("short_limits")
async def test_a_table_that_stays_throttled_is_throttled(store: DynamoStore, proxy: FaultyProxy) -> None:
    proxy.fail_always("TransactWriteItems", faults.refuse("ProvisionedThroughputExceededException"))
    with pytest.raises(Throttled, match="ProvisionedThroughputExceededException") as caught:
        await store.record([transition(env_vars_json="hidden value")])
    assert "hidden" not in str(caught.value)
    assert "secret detail" not in str(caught.value)
    assert proxy.count("TransactWriteItems") > 2


@pytest.mark.usefixtures("short_limits")
async def test_a_transaction_that_stays_throttled_fails_alone(
    store: DynamoStore, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.stores.dynamodb_plan.PACK_ACTIONS", 4)
    await store.record([transition(job_id="first")])
    proxy.fail_always("TransactWriteItems", faults.refuse_with("JOB#t#job-0001", "ThrottlingException"))
    results = await store.record(jobs(3))
    assert [type(error) for error in failures(results).values()] == [Throttled]
    assert [job.job_id for job in (await store.list_jobs("t")).jobs] == ["job-0002", "job-0000", "first"]


async def test_unprocessed_keys_are_asked_for_again(store: DynamoStore, proxy: FaultyProxy, table: str) -> None:
    async def unprocessed(body: faults.Body, _: faults.Forward) -> Any:
        return await faults.answer({"Responses": {}, "UnprocessedKeys": body["RequestItems"]})({}, _)

    await store.record(jobs(5))
    proxy.fail("BatchGetItem", unprocessed, unprocessed)
    assert len((await store.list_jobs("t")).jobs) == 5


async def test_half_an_answer_is_asked_for_again(store: DynamoStore, proxy: FaultyProxy) -> None:
    async def cut(_: faults.Body, forward: faults.Forward) -> Any:
        answer = await forward()
        answer.body = answer.body[:-20]
        return answer

    await store.record([transition()])
    proxy.fail("GetItem", cut)
    assert await store.get_job("t", "j") is not None
