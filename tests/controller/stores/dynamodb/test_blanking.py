"""`jennah migrate --redact`: pages, throttling, lost replies. Laws: tests/contract/test_blanking.py."""

import json

import pytest

from controller.domain.errors import Unavailable
from controller.stores.dynamodb import DynamoStore
from controller.stores.dynamodb_schema import DynamoMigrations
from tests.contract.databases import dynamodb as stand_in
from tests.controller.stores.dynamodb import proxy as faults
from tests.controller.stores.dynamodb.harness import transition
from tests.controller.stores.dynamodb.proxy import FaultyProxy


async def redact(proxy: FaultyProxy, table: str) -> int:
    migrations = DynamoMigrations(stand_in.REGION, table, endpoint=proxy.url)
    try:
        return sum([count async for count in migrations.redact(dry_run=False)])
    finally:
        await migrations.close()


async def record(store: DynamoStore, count: int, value: str = "x") -> None:
    variables = json.dumps({"A": value})
    for n in range(count):
        await store.record([transition(job_id=f"job-{n}", env_vars_json=variables)])


async def variables(store: DynamoStore) -> set[str | None]:
    return {job.env_vars_json for job in (await store.list_jobs("t")).jobs}


async def test_the_scan_goes_on_where_a_page_was_full(proxy: FaultyProxy, table: str, other: DynamoStore) -> None:
    await record(other, 7, "x" * 300_000)
    assert await redact(proxy, table) == 7
    assert proxy.count("Scan") > 1
    assert await variables(other) == {'{"A":""}'}


@pytest.mark.parametrize(
    "fault",
    [faults.lose_the_reply, faults.lose_the_request, faults.refuse("ProvisionedThroughputExceededException")],
    ids=["reply lost", "request lost", "throttled"],
)
async def test_a_row_is_counted_once_whatever_becomes_of_requests(
    proxy: FaultyProxy, table: str, other: DynamoStore, fault: faults.Fault
) -> None:
    await record(other, 3)
    proxy.fail("Scan", fault)
    proxy.fail("UpdateItem", fault)
    assert await redact(proxy, table) == 3
    assert await variables(other) == {'{"A":""}'}


@pytest.mark.usefixtures("short_limits")
async def test_a_table_that_stays_away_is_told_without_a_value(
    proxy: FaultyProxy, table: str, other: DynamoStore
) -> None:
    await record(other, 1, "s3cr3t")
    proxy.fail_always("UpdateItem", faults.lose_the_request)
    with pytest.raises(Unavailable) as raised:
        await redact(proxy, table)
    assert "s3cr3t" not in str(raised.value)
