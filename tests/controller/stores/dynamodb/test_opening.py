"""Opening the store: credentials, the table and its version."""

import time
from typing import Any

import boto3
import pytest

from controller.domain.errors import ConfigError, Unavailable
from controller.stores import dynamodb_schema
from controller.stores.dynamodb import DynamoStore
from tests.contract.databases import dynamodb as stand_in
from tests.controller.stores.dynamodb import proxy as faults
from tests.controller.stores.dynamodb.harness import transition
from tests.controller.stores.dynamodb.proxy import FaultyProxy


async def test_a_refused_connection_is_unavailable_at_once_and_says_nothing_secret(proxy: FaultyProxy) -> None:
    await proxy.stop()
    store = DynamoStore(stand_in.REGION, "jennah", endpoint=proxy.url.replace("//", "//user:hunter2@"))
    began = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        await store.open()
    assert time.monotonic() - began < 2
    assert str(caught.value) == "DynamoDB in eu-west-1 cannot be reached: EndpointConnectionError"
    assert caught.value.__cause__ is None, "the SDK's own text has the endpoint"
    await proxy.start()


async def test_no_credentials_are_unavailable_with_a_line_that_says_so(
    server: str, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(Unavailable, match="no AWS credentials were found"):
        await DynamoStore(stand_in.REGION, table, endpoint=server).open()


async def test_credentials_without_the_right_are_unavailable_and_never_the_jobs_fault(
    store: DynamoStore, proxy: FaultyProxy
) -> None:
    proxy.fail_always("TransactWriteItems", faults.refuse("AccessDeniedException"))
    with pytest.raises(Unavailable, match="AccessDeniedException") as caught:
        await store.record([transition()])
    assert "secret detail" not in str(caught.value)


async def test_a_missing_table_is_a_config_error_that_names_the_command(server: str) -> None:
    with pytest.raises(ConfigError, match="nowhere in eu-west-1 does not exist: run `jennah migrate`"):
        await DynamoStore(stand_in.REGION, "nowhere", endpoint=server).open()


@pytest.mark.parametrize(
    ("version", "says"),
    [
        (None, "schema version 0; this release needs 2: run `jennah migrate`"),
        (99, "schema version 99; this release knows 2: use a newer release"),
    ],
)
async def test_another_schema_version_is_a_config_error(
    server: str, table: str, client: Any, version: int | None, says: str
) -> None:
    key = {"pk": {"S": "SCHEMA"}, "sk": {"S": "VERSION"}}
    if version is None:
        client.delete_item(TableName=table, Key=key)
    else:
        client.put_item(TableName=table, Item={**key, "version": {"N": str(version)}})
    with pytest.raises(ConfigError, match=says):
        await DynamoStore(stand_in.REGION, table, endpoint=server).open()


async def test_a_table_that_is_not_ours_is_a_config_error_and_left_alone(server: str, client: Any) -> None:
    name = stand_in.new_table_name()
    request = dynamodb_schema.table_request(name)
    del request["GlobalSecondaryIndexes"]
    request["AttributeDefinitions"] = [{"AttributeName": "id", "AttributeType": "S"}]
    request["KeySchema"] = [{"AttributeName": "id", "KeyType": "HASH"}]
    client.create_table(**request)
    for attempt in (DynamoStore(stand_in.REGION, name, endpoint=server).open(), stand_in.migrate(name, server)):
        with pytest.raises(ConfigError, match="not a table of ours"):
            await attempt


async def test_a_store_that_is_not_open_is_unavailable() -> None:
    store = DynamoStore(stand_in.REGION, "jennah")
    with pytest.raises(Unavailable, match="not open"):
        await store.get_job("t", "j")
    await store.close()
