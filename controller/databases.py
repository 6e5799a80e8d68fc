"""From the settings to the adapter of a database: the only place that knows all five.

Each SDK is an extra, imported with its adapter when that database is chosen.
"""

from pathlib import Path

from controller.domain.errors import ConfigError
from controller.ports import JobStore, Migrations
from controller.settings import DatabaseSettings


def make_store(database: DatabaseSettings) -> JobStore:
    """The record, not opened yet. Raises ConfigError where the database's extra is not installed."""
    try:
        return _store(database)
    except ModuleNotFoundError as error:
        raise _extra_is_missing(database.kind, error) from error


def make_migrations(database: DatabaseSettings) -> Migrations:
    """The schema's migrations. Raises ConfigError where the database's extra is not installed."""
    try:
        return _migrations(database)
    except ModuleNotFoundError as error:
        raise _extra_is_missing(database.kind, error) from error


def name_of(database: DatabaseSettings) -> str:
    """The database as people are told of it: without credentials."""
    match database.kind:
        case "sqlite":
            return f"SQLite: {database.endpoint}"
        case "postgres":
            return f"PostgreSQL: {database.endpoint.rpartition('@')[2].partition('?')[0]}"
        case "spanner":
            return f"Spanner: projects/{database.project}/instances/{database.instance}/databases/{database.database}"
        case "dynamodb":
            return f"DynamoDB: table {database.database} in {database.region}"
        case _:
            return f"Cosmos DB: {database.database} at {database.endpoint}"


def _store(database: DatabaseSettings) -> JobStore:
    ttl = database.tombstone_ttl_seconds
    match database.kind:
        case "postgres":
            from controller.stores.postgres import PostgresStore

            return PostgresStore(database.endpoint, tombstone_ttl_seconds=ttl)
        case "spanner":
            from controller.stores.spanner import SpannerStore

            place = (database.project, database.instance, database.database)
            return SpannerStore(*place, tombstone_ttl_seconds=ttl)
        case "dynamodb":
            from controller.stores.dynamodb import DynamoStore

            return DynamoStore(
                database.region,
                database.database,
                endpoint=database.endpoint or None,
                tombstone_ttl_seconds=ttl,
            )
        case "cosmosdb":
            from controller.stores.cosmosdb import CosmosStore

            return CosmosStore(
                database.endpoint, database.database, key=database.key or None, tombstone_ttl_seconds=ttl
            )
        case _:
            from controller.stores.sqlite import SqliteStore

            return SqliteStore(Path(database.endpoint), tombstone_ttl_seconds=ttl)


def _migrations(database: DatabaseSettings) -> Migrations:
    match database.kind:
        case "postgres":
            from controller.stores.postgres_schema import PostgresMigrations

            return PostgresMigrations(database.endpoint)
        case "spanner":
            from controller.stores.spanner_schema import SpannerMigrations

            return SpannerMigrations(database.project, database.instance, database.database)
        case "dynamodb":
            from controller.stores.dynamodb_schema import DynamoMigrations

            return DynamoMigrations(database.region, database.database, endpoint=database.endpoint or None)
        case "cosmosdb":
            from controller.stores.cosmosdb_schema import CosmosMigrations

            return CosmosMigrations(database.endpoint, database.database, key=database.key or None)
        case _:
            from controller.stores.sqlite_schema import SqliteMigrations

            return SqliteMigrations(Path(database.endpoint))


def _extra_is_missing(kind: str, error: ModuleNotFoundError) -> ConfigError:
    return ConfigError([f"DB_PROVIDER={kind} needs its extra ({error.name}): pip install 'jennah-controller[{kind}]'"])
