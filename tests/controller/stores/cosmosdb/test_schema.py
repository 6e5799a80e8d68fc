"""``jennah migrate`` on Cosmos DB: on the emulator, and the errors on the stand-in."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy

from controller.domain.errors import ConfigError, Unavailable
from controller.stores.cosmosdb import CosmosStore
from controller.stores.cosmosdb_client import CosmosConnection
from controller.stores.cosmosdb_queries import INDEXING_POLICY
from controller.stores.cosmosdb_schema import SCHEMA_DOCUMENT, SCHEMA_PARTITION, CosmosMigrations
from tests.contract.databases.cosmosdb import KEY, emulator
from tests.controller.stores.cosmosdb import service as cosmosdb_service


@pytest.fixture
def name() -> str:
    return f"test-{uuid.uuid4()}"


@pytest.fixture
async def migrations(name: str) -> AsyncIterator[CosmosMigrations]:
    migrations = CosmosMigrations(emulator().endpoint, name, key=KEY)
    yield migrations
    await migrations.close()


@pytest.fixture
async def connection(name: str) -> AsyncIterator[CosmosConnection]:
    """For what an administrator, or another release, would do."""
    connection = CosmosConnection(emulator().endpoint, name, KEY)
    await connection.open()
    yield connection
    await connection.close()


async def set_version(connection: CosmosConnection, version: int) -> None:
    async def write(container: ContainerProxy) -> None:
        body = {"id": SCHEMA_DOCUMENT, "tenantId": SCHEMA_PARTITION, "type": "schema", "version": version}
        await container.upsert_item(body)

    await connection.run(write)


async def open_store(name: str) -> None:
    store = CosmosStore(emulator().endpoint, name, key=KEY)
    try:
        await store.open()
    finally:
        await store.close()


async def test_what_is_pending_are_the_requests_as_json_and_nothing_is_sent(
    migrations: CosmosMigrations, name: str
) -> None:
    pending = await migrations.pending()
    requests = [json.loads(line) for line in pending]
    assert [(request["method"], request["path"]) for request in requests] == [
        ("POST", "/dbs"),
        ("POST", f"/dbs/{name}/colls"),
        ("POST", f"/dbs/{name}/colls/records/docs"),
    ]
    container = requests[1]["body"]
    assert (container["id"], container["partitionKey"]["paths"]) == ("records", ["/tenantId"])
    assert len(container["indexingPolicy"]["compositeIndexes"]) == 3
    assert await migrations.pending() == pending


async def test_applying_does_what_was_pending_and_the_second_time_nothing(migrations: CosmosMigrations) -> None:
    pending = await migrations.pending()
    assert await migrations.apply() == pending
    assert await migrations.pending() == []
    assert await migrations.apply() == []


async def test_replicas_that_migrate_at_the_same_time_share_the_work(name: str) -> None:
    replicas = [CosmosMigrations(emulator().endpoint, name, key=KEY) for _ in range(5)]
    done = await asyncio.gather(*(replica.apply() for replica in replicas))
    assert len({statement for part in done for statement in part}) == sum(len(part) for part in done) == 3
    await open_store(name)
    for replica in replicas:
        await replica.close()


async def test_a_store_without_a_schema_refuses_to_open_and_names_the_command(name: str) -> None:
    with pytest.raises(ConfigError, match=r"is missing.*jennah migrate"):
        await open_store(name)


async def test_an_older_schema_refuses_to_open_until_it_is_migrated(
    migrations: CosmosMigrations, connection: CosmosConnection, name: str
) -> None:
    await migrations.apply()
    await set_version(connection, 1)
    with pytest.raises(ConfigError, match=r"version 1.*jennah migrate"):
        await open_store(name)
    [statement] = await migrations.apply()
    assert json.loads(statement)["method"] == "PUT"
    await open_store(name)


async def test_the_container_of_an_older_release_gets_its_time_to_live(
    migrations: CosmosMigrations, connection: CosmosConnection, name: str
) -> None:
    """Version 1 had none: documents' own would be ignored."""
    database = await connection.client.create_database(name)
    await database.create_container("records", partition_key=PartitionKey("/tenantId"), indexing_policy=INDEXING_POLICY)
    await set_version(connection, 1)
    container, version = [json.loads(statement) for statement in await migrations.apply()]
    assert (container["method"], container["body"]["defaultTtl"]) == ("PUT", -1)
    assert version["body"]["version"] == 2
    assert (await connection.container.read())["defaultTtl"] == -1


async def test_a_newer_schema_is_refused_by_both(
    migrations: CosmosMigrations, connection: CosmosConnection, name: str
) -> None:
    await migrations.apply()
    await set_version(connection, 99)
    with pytest.raises(ConfigError, match="version 99"):
        await open_store(name)
    with pytest.raises(ConfigError, match="version 99"):
        await migrations.apply()


async def test_a_container_that_an_administrator_made_is_taken_and_gets_its_indexes(
    migrations: CosmosMigrations, connection: CosmosConnection, name: str
) -> None:
    database = await connection.client.create_database(name)
    await database.create_container("records", partition_key=PartitionKey("/tenantId"), default_ttl=-1)
    methods = [json.loads(statement)["method"] for statement in await migrations.apply()]
    assert methods == ["PUT", "POST"]
    properties = await connection.container.read()
    assert properties["defaultTtl"] == -1
    assert len(properties["indexingPolicy"]["compositeIndexes"]) == 3


async def test_a_container_with_another_partition_key_is_not_ours(
    migrations: CosmosMigrations, connection: CosmosConnection, name: str
) -> None:
    database = await connection.client.create_database(name)
    await database.create_container("records", partition_key=PartitionKey("/other"))
    with pytest.raises(ConfigError, match="partition key"):
        await migrations.apply()


async def test_management_that_azure_credentials_may_not_do_is_told_with_the_request_to_make() -> None:
    async with cosmosdb_service.serve() as service:
        service.has_container = False
        migrations = CosmosMigrations(service.endpoint, "jennah", key=KEY)
        service.always["database"] = cosmosdb_service.status(404)
        service.always["databases"] = cosmosdb_service.status(403, x_ms_substatus="5300")
        with pytest.raises(ConfigError, match=r'403/5300.*DB_KEY.*"POST", "path": "/dbs"'):
            await migrations.apply()
        await migrations.close()


async def test_nobody_there_is_unavailable(unused_tcp_port: int) -> None:
    migrations = CosmosMigrations(f"http://127.0.0.1:{unused_tcp_port}", "jennah", key=KEY)
    with pytest.raises(Unavailable, match="cannot be reached"):
        await migrations.pending()
    await migrations.close()
