"""Lists over their pages, and the index of active jobs."""

from datetime import timedelta
from typing import Any

import pytest

from controller.domain.phases import Phase
from controller.stores import dynamodb_calls, dynamodb_keys, dynamodb_rows
from controller.stores.dynamodb import DynamoStore
from tests.controller.stores.dynamodb import proxy as faults
from tests.controller.stores.dynamodb.harness import NOON, jobs, transition
from tests.controller.stores.dynamodb.proxy import FaultyProxy


async def test_many_jobs_are_listed_in_pages_without_a_gap_or_a_repeat_while_rows_are_added(
    store: DynamoStore, client: Any, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The stand-in takes a millisecond for each item, of one request at a time: it would exceed a request's time limit.
    monkeypatch.setattr(dynamodb_calls, "GETS_AT_ONCE", 2)
    expected = fill(client, table, 1000)
    seen: list[str] = []
    token, pages = "", 0
    while True:
        page = await store.list_jobs("t", page_size=150, page_token=token)
        seen += [job.job_id for job in page.jobs]
        token, pages = page.next_token, pages + 1
        if not token:
            break
        await store.record([transition(job_id=f"new-{pages}", created_at=NOON + timedelta(days=pages))])
    assert seen == expected
    assert pages == 7
    everything = [job.job_id for job in (await store.list_jobs("t")).jobs]
    assert everything[-1000:] == expected


async def test_a_list_of_more_than_a_megabyte_of_entries_is_whole(
    store: DynamoStore, proxy: FaultyProxy, client: Any, table: str
) -> None:
    """DynamoDB ends a page of a query at 1 MB; here the stand-in's pages are made short."""
    expected = fill(client, table, 30)

    async def short_page(body: faults.Body, _: faults.Forward) -> Any:
        more = {"Limit": 7} if body.get("Limit", 99) > 7 else {}
        return await faults.answer(client.query(**{**body, **more}))({}, _)

    proxy.fail_always("Query", short_page)
    assert [job.job_id for job in (await store.list_jobs("t")).jobs] == expected
    page = await store.list_jobs("t", page_size=20)
    assert [job.job_id for job in page.jobs] == expected[:20]


async def test_the_index_of_active_jobs_holds_them_and_nothing_else(
    store: DynamoStore, client: Any, table: str
) -> None:
    await store.record(jobs(40))
    await store.record([step for step in jobs(40, 1, Phase.RUNNING) if step.row.job_id > "job-0009"])
    await store.record([step for step in jobs(40, 2, Phase.FAILED) if step.row.job_id > "job-0019"])
    shards = [active(client, table, f"ACTIVE#{shard:02}") for shard in range(dynamodb_keys.ACTIVE_SHARDS)]
    assert sorted(job for shard in shards for job in shard) == [f"JOB#t#job-{n:04}" for n in range(20)]
    assert sum(bool(shard) for shard in shards) > 5, "spread over the shards"
    assert client.scan(TableName=table, IndexName="active")["Count"] == 20
    key = dynamodb_keys.row("t", "job-0030").attributes
    assert "active_shard" not in client.get_item(TableName=table, Key=key)["Item"]


def fill(client: Any, table: str, count: int) -> list[str]:
    """So many jobs, two at each moment, written past the store; their ids, newest first."""
    requests = []
    for n in range(count):
        row = transition(job_id=f"job-{n:05}", created_at=NOON + timedelta(seconds=n // 2)).row
        stored = dynamodb_rows.Stored(uid=f"uid-{n}", number=0, row=row)
        for item in (dynamodb_rows.row_item(stored, {}, "w"), dynamodb_rows.entry_item(row)):
            requests.append({"PutRequest": {"Item": item}})
    for start in range(0, len(requests), 25):
        client.batch_write_item(RequestItems={table: requests[start : start + 25]})
    return [f"job-{n:05}" for n in reversed(range(count))]


def active(client: Any, table: str, shard: str) -> list[str]:
    answer = client.query(
        TableName=table,
        IndexName="active",
        KeyConditionExpression="active_shard = :shard",
        ExpressionAttributeValues={":shard": {"S": shard}},
    )
    return [item["pk"]["S"] for item in answer["Items"]]
