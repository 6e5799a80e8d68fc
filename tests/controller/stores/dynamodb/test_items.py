"""What is in the table: attributes, keys, and answers as the SDK would read them."""

import asyncio
import time
from typing import Any

import msgspec
import pytest

from controller.domain.phases import Phase
from controller.domain.records import Recorded
from controller.stores import dynamodb_keys, tombstones
from controller.stores.dynamodb import DynamoStore
from tests.controller.stores.dynamodb import proxy as faults
from tests.controller.stores.dynamodb.harness import transition
from tests.controller.stores.dynamodb.proxy import FaultyProxy


async def test_ids_cannot_be_mistaken_for_other_keys(store: DynamoStore) -> None:
    await store.record([transition(tenant_id="a#b", job_id="c")])
    assert await store.get_job("a#b", "c") is not None
    assert await store.get_job("a", "b#c") is None
    assert [job.job_id for job in (await store.list_jobs("a#b")).jobs] == ["c"]
    assert await store.get_job("\udc80", "") is None


async def test_attributes_have_the_names_of_the_other_databases_and_null_is_absent(
    store: DynamoStore, client: Any, table: str
) -> None:
    await store.record([transition(phase=Phase.COMPLETED, resource_path="p", use_spot_vms=False, commands=("a", "b"))])
    item = client.get_item(TableName=table, Key=dynamodb_keys.row("t", "j").attributes)["Item"]
    assert len(item.pop("write_id")["S"]) == 32
    assert item == {
        "pk": {"S": "JOB#t#j"},
        "sk": {"S": "ROW"},
        "tenant_id": {"S": "t"},
        "job_id": {"S": "j"},
        "status": {"S": "COMPLETED"},
        "created_at": {"S": "2026-05-01T12:00:00.000000Z"},
        "updated_at": {"S": "2026-05-01T12:00:00.000000Z"},
        "commands": {"L": [{"S": "a"}, {"S": "b"}]},
        "retry_count": {"N": "0"},
        "max_retries": {"N": "3"},
        "gcp_batch_job_path": {"S": "p"},
        "use_spot_vms": {"BOOL": False},
        "uid": {"S": "uid-j"},
        "transition": {"N": "0"},
    }


async def test_a_notification_that_is_deleted_while_it_is_acknowledged_leaves_nothing_behind(
    store: DynamoStore, proxy: FaultyProxy, other: DynamoStore, client: Any, table: str
) -> None:
    await store.record([transition(phase=Phase.COMPLETED)])
    [note] = await store.list_notifications("t", limit=5)
    proxy.fail("TransactWriteItems", faults.first(lambda: other.delete_job("t", "j", uid="uid-j")))
    assert await store.ack_notification("t", note.notification_id) is False
    left = {item["pk"]["S"]: item for item in client.scan(TableName=table)["Items"]}
    assert left.keys() == {"SCHEMA", "TENANT#t", "JOB#t#j"}
    tombstone = left["JOB#t#j"]
    assert tombstone["deleted"] == {"M": {"uid-j": tombstone["expires_at"]}}
    assert tombstone.keys() == {"pk", "sk", "write_id", "deleted", "expires_at"}


async def test_tombstones_are_removed_by_the_tables_own_time_to_live(
    store: DynamoStore, client: Any, table: str
) -> None:
    ttl = client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "expires_at")
    before = int(time.time())
    await store.delete_job("t", "j", uid="uid-j")
    key = dynamodb_keys.row("t", "j").attributes
    item = client.get_item(TableName=table, Key=key)["Item"]
    assert before + tombstones.TTL_SECONDS <= int(item["expires_at"]["N"]) <= int(time.time()) + tombstones.TTL_SECONDS
    successor = msgspec.structs.replace(transition(), uid="its successor")
    await store.record([successor])
    item = client.get_item(TableName=table, Key=key)["Item"]
    assert "expires_at" not in item, "a row does not expire"
    assert item["deleted"]["M"].keys() == {"uid-j"}


async def test_tombstones_that_have_expired_are_left_out_of_the_next_write(
    store: DynamoStore, client: Any, table: str
) -> None:
    key = dynamodb_keys.row("t", "j").attributes
    old = {"deleted": {"M": {"uid-j": {"N": "1"}}}, "expires_at": {"N": "1"}, "write_id": {"S": "w"}}
    client.put_item(TableName=table, Item={**key, **old})  # DynamoDB takes up to some days to remove it
    assert await store.record([transition(destination="here")]) == [
        Recorded(number=0, phase=Phase.PENDING, destination="here")
    ]
    item = client.get_item(TableName=table, Key=key)["Item"]
    assert "deleted" not in item
    assert item["destination"] == {"S": "here"}


async def test_an_answer_taken_as_json_is_what_the_sdk_would_make_of_it(
    store: DynamoStore, client: Any, table: str
) -> None:
    await store.record(
        [transition(use_spot_vms=True, commands=("a", "\u00fc"), memory_mib=7, env_vars_json='{"A":""}')]
    )
    ours = store._connection._client
    key = dynamodb_keys.row("t", "j").attributes
    span = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": key["pk"]}}
    for operation, parameters in (
        ("get_item", {"TableName": table, "Key": key}),
        ("query", {"TableName": table, **span}),
        ("batch_get_item", {"RequestItems": {table: {"Keys": [key]}}}),
    ):
        answers = [await asyncio.to_thread(getattr(each, operation), **parameters) for each in (ours, client)]
        assert all(answer.pop("ResponseMetadata") for answer in answers)
        assert answers[0] == answers[1]


async def test_the_sdk_logs_no_values(store: DynamoStore, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        await store.record([transition(env_vars_json="hidden value")])
        await store.get_job("t", "j")
    assert "hidden" not in caplog.text
