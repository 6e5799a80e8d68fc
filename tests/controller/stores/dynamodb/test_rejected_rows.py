"""Values that DynamoDB does not take, and of many rows only the one to blame."""

import json
from datetime import datetime
from typing import Any

import msgspec
import pytest

from controller.domain import reasons
from controller.domain.errors import Permanent
from controller.domain.phases import Phase
from controller.stores.dynamodb import DynamoStore
from tests.controller.stores.dynamodb import proxy as faults
from tests.controller.stores.dynamodb.harness import failures, jobs, transition
from tests.controller.stores.dynamodb.proxy import FaultyProxy


async def test_a_row_over_400_kb_is_rejected_alone(store: DynamoStore) -> None:
    rows = jobs(5)
    rows[2] = transition(job_id="job-0002", env_vars_json="hidden" * 70_000)
    [(index, error)] = failures(await store.record(rows)).items()
    assert index == 2
    assert isinstance(error, Permanent)
    assert error.reason == reasons.RECORD_REJECTED
    assert str(error) == "the database refused the row: the row is larger than DynamoDB's 400 KB"
    assert len((await store.list_jobs("t")).jobs) == 4


async def test_a_row_that_only_dynamodb_finds_too_large_is_rejected_alone(store: DynamoStore) -> None:
    """The stand-in's limit is 405,000 bytes, for the real 409,600."""
    rows = jobs(3)
    rows[1] = transition(job_id="job-0001", env_vars_json="x" * 407_000)
    [(index, error)] = failures(await store.record(rows)).items()
    assert (index, error.reason) == (1, reasons.RECORD_REJECTED)


async def test_a_row_of_almost_400_kb_is_taken(store: DynamoStore) -> None:
    big = transition(phase=Phase.FAILED, error_message="\u00fc" * 200_000)
    assert failures(await store.record([big])) == {}
    assert (await store.get_job("t", "j")).error_message == "\u00fc" * 200_000
    assert len(await store.list_notifications("t", limit=1)) == 1


@pytest.mark.parametrize(
    "facts",
    [
        {"env_vars_json": "hidden \udc80"},
        {"commands": ("hidden", "\udc80")},
        {"tenant_id": "hidden\udc80"},
        {"tenant_id": "hidden" * 500},
        {"memory_mib": 2**63},
        {
            "created_at": datetime.min.replace(
                tzinfo=msgspec.json.decode('"2026-01-01T00:00:00+14:00"', type=datetime).tzinfo
            )
        },
    ],
    ids=["text", "command", "id", "long id", "number", "time"],
)
async def test_values_that_no_item_can_have_are_rejected_alone(store: DynamoStore, facts: dict[str, Any]) -> None:
    results = await store.record([transition(job_id="bad", **facts), transition()])
    [(index, error)] = failures(results).items()
    assert (index, error.reason) == (0, reasons.RECORD_REJECTED)
    assert "hidden" not in str(error)
    assert [job.job_id for job in (await store.list_jobs("t")).jobs] == ["j"]


async def test_a_negative_number_is_rejected(store: DynamoStore) -> None:
    [error] = failures(await store.record([transition(-1)])).values()
    assert error.reason == reasons.RECORD_REJECTED


@pytest.mark.parametrize("code", ["ValidationException", "TransactionCanceledException"])
async def test_of_a_transaction_that_dynamodb_refuses_only_the_row_to_blame_fails(
    store: DynamoStore, proxy: FaultyProxy, code: str
) -> None:
    """It may say which one it was, or not."""

    async def refuse(body: faults.Body, forward: faults.Forward) -> Any:
        guilty = [n for n, action in enumerate(body["TransactItems"]) if "poison" in json.dumps(action)]
        if not guilty:
            return await forward()
        if code == "ValidationException":
            return await faults.refuse(code)(body, forward)
        return await faults.cancel("ValidationError", at=guilty)(body, forward)

    proxy.fail_always("TransactWriteItems", refuse)
    rows = jobs(20)
    rows[7] = transition(job_id="job-0007", image_uri="poison")
    rows.insert(15, transition(1, Phase.RUNNING, job_id="job-0007"))
    [(index, error)] = failures(await store.record(rows)).items()
    assert index == 7
    assert error.reason == reasons.RECORD_REJECTED
    assert "poison" not in str(error)
    assert len((await store.list_jobs("t")).jobs) == 20
    assert (await store.get_job("t", "job-0007")).status is Phase.RUNNING
