"""`jennah migrate` on DynamoDB."""

import asyncio
import json
from typing import Any

import pytest

from controller import migrate
from controller.domain.errors import ConfigError
from controller.settings import DatabaseSettings
from controller.stores import dynamodb_schema
from controller.stores.dynamodb import DynamoStore
from controller.stores.dynamodb_schema import DynamoMigrations
from tests.contract.databases import dynamodb as stand_in
from tests.controller.stores.dynamodb import proxy as faults
from tests.controller.stores.dynamodb.proxy import FaultyProxy

_AFTER_THE_TABLE = ["update-time-to-live", "put-item"]


async def test_migrating_twice_changes_nothing_the_second_time(server: str) -> None:
    name = stand_in.new_table_name()
    assert len(await stand_in.migrate(name, server)) == 3
    assert await stand_in.migrate(name, server) == []


async def test_replicas_that_migrate_at_the_same_time_do_each_step_once(server: str) -> None:
    name = stand_in.new_table_name()
    ran = await asyncio.gather(*(stand_in.migrate(name, server) for _ in range(4)))
    assert sorted(statement.split()[2] for statements in ran for statement in statements) == [
        "create-table",
        "put-item",
        "update-time-to-live",
    ]
    store = DynamoStore(stand_in.REGION, name, endpoint=server)
    await store.open()
    await store.close()


async def test_a_migration_that_died_between_its_steps_is_finished(server: str, client: Any) -> None:
    name = stand_in.new_table_name()
    client.create_table(**dynamodb_schema.table_request(name))
    assert [statement.split()[2] for statement in await stand_in.migrate(name, server)] == _AFTER_THE_TABLE


async def test_the_table_of_an_older_release_is_refused_until_it_is_migrated(
    server: str, table: str, client: Any
) -> None:
    """Version 1 had no time to live."""
    ttl = {"Enabled": False, "AttributeName": "expires_at"}
    client.update_time_to_live(TableName=table, TimeToLiveSpecification=ttl)
    client.put_item(TableName=table, Item={"pk": {"S": "SCHEMA"}, "sk": {"S": "VERSION"}, "version": {"N": "1"}})
    store = DynamoStore(stand_in.REGION, table, endpoint=server)
    with pytest.raises(ConfigError, match=r"schema version 1.*run `jennah migrate`"):
        await store.open()
    assert [statement.split()[2] for statement in await stand_in.migrate(table, server)] == _AFTER_THE_TABLE
    assert await stand_in.migrate(table, server) == []
    await store.open()
    await store.close()


async def test_a_time_to_live_that_is_on_already_is_taken(server: str, table: str, client: Any) -> None:
    client.put_item(TableName=table, Item={"pk": {"S": "SCHEMA"}, "sk": {"S": "VERSION"}, "version": {"N": "1"}})
    [statement] = await stand_in.migrate(table, server)
    assert statement.split()[2] == "put-item"


async def test_a_new_table_is_waited_for(proxy: FaultyProxy, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamodb_schema, "POLL_SECONDS", 0.01)
    name = stand_in.new_table_name()
    request = dynamodb_schema.table_request(name)
    index = {"IndexName": "active", "KeySchema": request["GlobalSecondaryIndexes"][0]["KeySchema"]}
    creating = {
        "TableStatus": "CREATING",
        "KeySchema": request["KeySchema"],
        "GlobalSecondaryIndexes": [{**index, "IndexStatus": "CREATING"}],
    }
    proxy.fail("DescribeTable", faults.refuse("ResourceNotFoundException"), faults.answer({"Table": creating}))
    assert len(await stand_in.migrate(name, proxy.url)) == 3
    assert proxy.count("DescribeTable") == 3


async def test_a_dry_run_prints_the_requests_as_json_and_does_nothing(
    server: str, client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    name = stand_in.new_table_name()
    settings = DatabaseSettings(kind="dynamodb", region=stand_in.REGION, database=name, endpoint=server)
    assert await migrate.run(settings, dry_run=True) == 0
    create, ttl, put = capsys.readouterr().out.splitlines()
    assert create.startswith("aws dynamodb create-table --region eu-west-1 --cli-input-json '")
    assert json.loads(create.split("'")[1]) == dynamodb_schema.table_request(name)
    assert json.loads(ttl.split("'")[1])["TimeToLiveSpecification"]["AttributeName"] == "expires_at"
    assert json.loads(put.split("'")[1])["Item"]["version"] == {"N": "2"}
    assert name not in client.list_tables()["TableNames"]
    await migrate.run(settings, dry_run=False)
    capsys.readouterr()
    await migrate.run(settings, dry_run=True)
    assert capsys.readouterr().out == f"-- DynamoDB: table {name} in eu-west-1: the schema is current\n"


async def test_migrations_of_a_newer_schema_are_a_config_error(server: str, table: str, client: Any) -> None:
    item = {"pk": {"S": "SCHEMA"}, "sk": {"S": "VERSION"}, "version": {"N": "3"}}
    client.put_item(TableName=table, Item=item)
    migrations = DynamoMigrations(stand_in.REGION, table, endpoint=server)
    with pytest.raises(ConfigError, match="newer release"):
        await migrations.pending()
    await migrations.close()
