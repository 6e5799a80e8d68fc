"""The table and its version: `jennah migrate` for DynamoDB, and the check at the start of the others.

A version is an item of the table. Statements are printed as commands of the AWS CLI, with their requests as JSON.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from controller.domain.errors import ConfigError, Unavailable
from controller.stores import dynamodb_blanking
from controller.stores.dynamodb_calls import Calls, begin
from controller.stores.dynamodb_connection import DynamoConnection, Refused
from controller.stores.dynamodb_keys import Item, Key

VERSION = 2
"""What this release needs. Version 1: the table with its index. Version 2: tombstones, and the table's TTL."""
CREATE_SECONDS = 120.0
"""How long a new table may take to be ready."""
POLL_SECONDS = 1.0

_VERSION_KEY = Key("SCHEMA", "VERSION")
_TTL = {"TimeToLiveSpecification": {"Enabled": True, "AttributeName": "expires_at"}}
_KEYS = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
_ACTIVE = {
    "IndexName": "active",
    "KeySchema": [
        {"AttributeName": "active_shard", "KeyType": "HASH"},
        {"AttributeName": "created_at", "KeyType": "RANGE"},
    ],
    "Projection": {"ProjectionType": "KEYS_ONLY"},
}


def table_request(table: str) -> Item:
    """CreateTable's request."""
    names = ("pk", "sk", "active_shard", "created_at")
    return {
        "TableName": table,
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in names],
        "KeySchema": _KEYS,
        "GlobalSecondaryIndexes": [_ACTIVE],
        "BillingMode": "PAY_PER_REQUEST",
    }


async def check(calls: Calls, connection: DynamoConnection) -> None:
    """That the table is there, of this release's version. Raises ConfigError, Retryable."""
    version = await _version(calls, connection)
    if version is None:
        raise ConfigError([f"{_name(connection)} does not exist: run `jennah migrate`"])
    if version < VERSION:
        fault = f"{_name(connection)} has schema version {version}; this release needs {VERSION}: run `jennah migrate`"
        raise ConfigError([fault])
    _refuse_newer(version, connection)


class DynamoMigrations:
    """`ports.Migrations` for a DynamoDB table."""

    def __init__(self, region: str, table: str, *, endpoint: str | None = None) -> None:
        self._connection = DynamoConnection(region, table, endpoint)
        self._is_open = False

    async def pending(self) -> Sequence[str]:
        await self._open()
        version = await self._version()
        if version is None:
            return [self._create_statement, self._ttl_statement, self._version_statement]
        return [] if version == VERSION else [self._ttl_statement, self._version_statement]

    async def apply(self) -> Sequence[str]:
        await self._open()
        done: list[str] = []
        if await self._version() is None and await self._create():
            done.append(self._create_statement)
        await self._wait_until_ready()
        if await self._version() == VERSION:
            return done
        if await self._switch_ttl_on():
            done.append(self._ttl_statement)
        if await self._put_version():
            done.append(self._version_statement)
        return done

    async def redact(self, *, dry_run: bool) -> AsyncIterator[int]:
        await self._open()
        async with begin(self._connection) as calls:
            await check(calls, self._connection)
        async for count in dynamodb_blanking.redact(self._connection, dry_run=dry_run):
            yield count

    async def close(self) -> None:
        await self._connection.close()

    async def _open(self) -> None:
        if not self._is_open:
            await self._connection.open()
            self._is_open = True

    async def _version(self) -> int | None:
        async with begin(self._connection) as calls:
            version = await _version(calls, self._connection)
        _refuse_newer(version or 0, self._connection)
        return version

    async def _create(self) -> bool:
        """Whether it was this process that did it."""
        async with begin(self._connection) as calls:
            try:
                await calls.do("create_table", **table_request(self._connection.table))
            except Refused as refused:
                if refused.code != "ResourceInUseException":  # another replica was first, or it is being created
                    raise
                return False
        return True

    async def _wait_until_ready(self) -> None:
        """Until the table and its index can be used. Raises ConfigError for a table that is none of ours."""
        give_up = time.monotonic() + CREATE_SECONDS
        while not await self._is_ready():
            if time.monotonic() > give_up:
                raise Unavailable(f"{_name(self._connection)} is still being created: run `jennah migrate` again")
            await asyncio.sleep(POLL_SECONDS)

    async def _is_ready(self) -> bool:
        async with begin(self._connection) as calls:
            try:
                table = (await calls.do("describe_table"))["Table"]
            except Refused as refused:
                if refused.code != "ResourceNotFoundException":  # for a moment a new table is not known everywhere
                    raise
                return False
        indexes = {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes", ())}
        index = indexes.get("active", {})
        if table["KeySchema"] != _KEYS or index.get("KeySchema") != _ACTIVE["KeySchema"]:
            raise ConfigError([f"{_name(self._connection)} is not a table of ours: its keys or its index differ"])
        return bool(table["TableStatus"] in ("ACTIVE", "UPDATING") and index["IndexStatus"] == "ACTIVE")

    async def _switch_ttl_on(self) -> bool:
        """Whether it was this process that did it."""
        async with begin(self._connection) as calls:
            try:
                await calls.do("update_time_to_live", **_TTL)
            except Refused as refused:
                if refused.code != "ValidationException":  # it is on, or being switched on
                    raise
                return False
        return True

    async def _put_version(self) -> bool:
        """Whether it was this process that did it."""
        async with begin(self._connection) as calls:
            try:
                await calls.do("put_item", **self._version_request)
            except Refused as refused:
                if refused.code != "ConditionalCheckFailedException":
                    raise
                return False
        return True

    @property
    def _version_request(self) -> Item:
        return {
            "TableName": self._connection.table,
            "Item": {**_VERSION_KEY.attributes, "version": {"N": str(VERSION)}},
            "ConditionExpression": "attribute_not_exists(pk) OR version < :version",
            "ExpressionAttributeValues": {":version": {"N": str(VERSION)}},
        }

    @property
    def _create_statement(self) -> str:
        return self._statement("create-table", table_request(self._connection.table))

    @property
    def _ttl_statement(self) -> str:
        return self._statement("update-time-to-live", {"TableName": self._connection.table, **_TTL})

    @property
    def _version_statement(self) -> str:
        return self._statement("put-item", self._version_request)

    def _statement(self, command: str, request: Mapping[str, Any]) -> str:
        return f"aws dynamodb {command} --region {self._connection.region} --cli-input-json '{json.dumps(request)}'"


async def _version(calls: Calls, connection: DynamoConnection) -> int | None:
    """The table's version; 0 where it has none, None where there is no table. Raises ConfigError, Retryable."""
    try:
        item = await calls.get(_VERSION_KEY)
    except Refused as refused:
        if refused.code == "ResourceNotFoundException":
            return None
        if refused.code == "ValidationException":
            raise ConfigError([f"{_name(connection)} is not a table of ours: its keys differ"]) from None
        raise
    return int(item["version"]["N"]) if item else 0


def _refuse_newer(version: int, connection: DynamoConnection) -> None:
    if version > VERSION:
        fault = f"{_name(connection)} has schema version {version}; this release knows {VERSION}: use a newer release"
        raise ConfigError([fault])


def _name(connection: DynamoConnection) -> str:
    return f"DynamoDB table {connection.table} in {connection.region}"
