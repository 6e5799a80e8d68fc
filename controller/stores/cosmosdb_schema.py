"""The schema of Cosmos DB: a database, one container with its partition key and indexes, and a document that
carries the version. Brought up to date by ``jennah migrate``; checked by `cosmosdb` at the start.

Creating a database or a container is management: Azure allows it with the account's key, never with Azure
credentials (403/5300). With those an administrator creates both (docs/databases/cosmosdb.md), and this finds
them there and writes the version only.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from azure.core import MatchConditions
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy

from controller.domain.errors import AlreadyExists, ConfigError, Conflict, NotFound, Unavailable
from controller.stores import cosmosdb_blanking
from controller.stores.cosmosdb_client import CONTAINER, PARTITION_KEY, CosmosConnection
from controller.stores.cosmosdb_errors import AccessRefused, ContainerMissing
from controller.stores.cosmosdb_queries import INDEXING_POLICY
from controller.stores.cosmosdb_rows import Document

SCHEMA_VERSION = 2
"""Version 2: tombstones, which expire by their own time to live: the container's must be on for that."""
SCHEMA_PARTITION = "$schema"
"""No tenant: their ids begin with a letter or a digit."""
SCHEMA_DOCUMENT = "schema"
MIGRATION_SECONDS = 60.0
"""The limit of one request: a real account takes seconds to create a container. No lease waits for it."""
ROUNDS = 10

_KEY = PartitionKey(PARTITION_KEY)
_TTL_ON = -1
"""Documents expire where they say so themselves."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A request that is missing, as the REST API knows it."""

    method: str
    path: str
    body: Document
    send: Callable[[], Awaitable[object]]

    def __str__(self) -> str:
        return json.dumps({"method": self.method, "path": self.path, "body": self.body})


async def check_version(db: CosmosConnection) -> None:
    """Raises ConfigError for a schema that is missing, older, or newer than this release's; Unavailable."""
    document = await _read_version(db)
    if document is None or document["version"] < SCHEMA_VERSION:
        found = "is missing" if document is None else f"has version {document['version']}"
        raise ConfigError(
            [f"the Cosmos DB schema {found}; this release needs version {SCHEMA_VERSION}: run `jennah migrate`"]
        )
    _refuse_newer(document)


class CosmosMigrations:
    """`ports.Migrations` on Cosmos DB."""

    def __init__(self, endpoint: str, database: str, *, key: str | None = None) -> None:
        """As for `CosmosStore`."""
        self._name = database
        self._db = CosmosConnection(endpoint, database, key, seconds=MIGRATION_SECONDS)

    async def pending(self) -> Sequence[str]:
        return [str(step) for step in await self._missing()]

    async def apply(self) -> Sequence[str]:
        done: list[str] = []
        for _ in range(ROUNDS):
            missing = await self._missing()
            if not missing:
                return done
            # One at a time, then what is missing is looked up again: another replica may be at the same.
            if await self._take(missing[0]):
                done.append(str(missing[0]))
        raise Unavailable("the Cosmos DB schema is being changed by others")

    async def redact(self, *, dry_run: bool) -> AsyncIterator[int]:
        if not self._db.is_open:
            await self._db.open()
        await check_version(self._db)
        async for count in cosmosdb_blanking.redact(self._db, dry_run=dry_run):
            yield count

    async def close(self) -> None:
        await self._db.close()

    async def _take(self, step: Step) -> bool:
        """Whether it was this call that did it, not another replica's."""
        try:
            await self._db.run(lambda _: step.send())
        except (AlreadyExists, Conflict):
            return False
        except AccessRefused as error:
            raise ConfigError(
                [
                    f"{error}: `jennah migrate` needs the account's key in DB_KEY, "
                    f"or an administrator makes this request: {step}"
                ]
            ) from error
        return True

    async def _missing(self) -> list[Step]:
        if not self._db.is_open:
            await self._db.open()
        properties = await _read(self._db, lambda container: container.read())
        if properties is None:
            steps = [self._create_container(), self._create_version()]
            has_database = await _read(self._db, lambda _: self._db.database.read()) is not None
            return steps if has_database else [self._create_database(), *steps]
        if properties["partitionKey"]["paths"] != [PARTITION_KEY]:
            raise ConfigError([f"the container {CONTAINER} of {self._name} is not ours: it has another partition key"])
        version = await _read_version(self._db)
        _refuse_newer(version)
        is_current = _has_indexes(properties) and "defaultTtl" in properties
        missing = [] if is_current else [self._replace_container(properties)]
        if version is None:
            missing.append(self._create_version())
        elif version["version"] < SCHEMA_VERSION:
            missing.append(self._replace_version(version))
        return missing

    def _create_database(self) -> Step:
        client = self._db.client
        return Step(
            method="POST", path="/dbs", body={"id": self._name}, send=lambda: client.create_database(self._name)
        )

    def _create_container(self) -> Step:
        return Step(
            method="POST",
            path=f"/dbs/{self._name}/colls",
            body=_container_body(),
            send=lambda: self._db.database.create_container(
                CONTAINER, partition_key=_KEY, indexing_policy=INDEXING_POLICY, default_ttl=_TTL_ON
            ),
        )

    def _replace_container(self, properties: Document) -> Step:
        ttl = properties.get("defaultTtl", _TTL_ON)
        return Step(
            method="PUT",
            path=f"/dbs/{self._name}/colls/{CONTAINER}",
            body={**_container_body(), "defaultTtl": ttl},
            send=lambda: self._db.database.replace_container(
                CONTAINER, partition_key=_KEY, indexing_policy=INDEXING_POLICY, default_ttl=ttl
            ),
        )

    def _create_version(self) -> Step:
        path = f"/dbs/{self._name}/colls/{CONTAINER}/docs"
        return Step(method="POST", path=path, body=_VERSION, send=lambda: self._db.container.create_item({**_VERSION}))

    def _replace_version(self, old: Document) -> Step:
        path = f"/dbs/{self._name}/colls/{CONTAINER}/docs/{SCHEMA_DOCUMENT}"
        return Step(
            method="PUT",
            path=path,
            body=_VERSION,
            send=lambda: self._db.container.replace_item(
                SCHEMA_DOCUMENT, {**_VERSION}, etag=old["_etag"], match_condition=MatchConditions.IfNotModified
            ),
        )


_VERSION: Document = {
    "id": SCHEMA_DOCUMENT,
    "tenantId": SCHEMA_PARTITION,
    "type": "schema",
    "version": SCHEMA_VERSION,
}


def _container_body() -> Document:
    return {"id": CONTAINER, "partitionKey": dict(_KEY), "indexingPolicy": INDEXING_POLICY, "defaultTtl": _TTL_ON}


def _has_indexes(properties: Document) -> bool:
    """Whether the queries have their composite indexes: without them they would be refused."""
    found = properties.get("indexingPolicy", {}).get("compositeIndexes", [])
    return all(any(_paths(index) == _paths(other) for other in found) for index in INDEXING_POLICY["compositeIndexes"])


def _paths(index: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(part["path"], part.get("order", "ascending")) for part in index]


def _refuse_newer(document: Document | None) -> None:
    if document is not None and document["version"] > SCHEMA_VERSION:
        raise ConfigError(
            [f"the Cosmos DB schema has version {document['version']}; this release knows {SCHEMA_VERSION}"]
        )


async def _read_version(db: CosmosConnection) -> Document | None:
    return await _read(db, lambda container: container.read_item(SCHEMA_DOCUMENT, partition_key=SCHEMA_PARTITION))


async def _read(db: CosmosConnection, work: Callable[[ContainerProxy], Awaitable[Any]]) -> Document | None:
    """What `work` reads; None where it is not there."""
    try:
        found: Document = await db.run(work)
    except (NotFound, ContainerMissing):
        return None
    return found
