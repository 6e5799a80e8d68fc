"""The tables by the contract, and `jennah migrate`."""

import asyncio

import pytest

from controller.domain.errors import ConfigError
from controller.stores import spanner_schema
from controller.stores.spanner import SpannerStore
from controller.stores.spanner_schema import SpannerMigrations
from tests.contract.databases.spanner import INSTANCE, PROJECT
from tests.controller.stores.spanner.harness import Gateway, migrate

TIMES = {"CreatedAt", "UpdatedAt", "TransitionedAt"}
CONTRACT = {
    "Tenants": (
        "TenantId STRING(36)!, UserEmail STRING(255)!, OAuthProvider STRING(50)!, OAuthUserId STRING(255)!, "
        "CreatedAt TIMESTAMP!, UpdatedAt TIMESTAMP!"
    ),
    "Jobs": (
        "TenantId STRING(36)!, JobId STRING(36)!, Status STRING(50)!, ImageUri STRING(1024), "
        "Commands ARRAY<STRING(MAX)>, CreatedAt TIMESTAMP!, UpdatedAt TIMESTAMP!, ScheduledAt TIMESTAMP, "
        "StartedAt TIMESTAMP, CompletedAt TIMESTAMP, RetryCount INT64!=0, MaxRetries INT64!=3, "
        "ErrorMessage STRING(MAX), GcpBatchJobPath STRING(1024), GcpBatchTaskGroup STRING(1024), "
        "EnvVarsJson STRING(MAX), OwnerWorkerId STRING(128), PreferredWorkerId STRING(128), LeaseExpiresAt TIMESTAMP, "
        "LastHeartbeatAt TIMESTAMP, Name STRING(255), ResourceProfile STRING(50), MachineType STRING(255), "
        "BootDiskSizeGb INT64, UseSpotVms BOOL, ServiceAccount STRING(1024), ServiceTier STRING(20), "
        "AssignedService STRING(50), MemoryMib INT64, CpuMillis INT64, MaxRunDurationSeconds INT64"
    ),
    "JobStateTransitions": (
        "TenantId STRING(36)!, JobId STRING(36)!, TransitionId STRING(36)!, FromStatus STRING(50), "
        "ToStatus STRING(50)!, TransitionedAt TIMESTAMP!, Reason STRING(MAX)"
    ),
    "Notifications": (
        "TenantId STRING(36)!, NotificationId STRING(36)!, JobId STRING(36)!, JobName STRING(255), "
        "FinalStatus STRING(50)!, ServiceTier STRING(50), AssignedService STRING(50), OccurredAt TIMESTAMP!, "
        "ErrorMessage STRING(MAX), IsRead BOOL!=FALSE, CreatedAt TIMESTAMP!"
    ),
}
INDEXES = [
    ["IdxJobsByName", "Jobs", "TenantId ASC, Name ASC"],
    ["JobsByStatus", "Jobs", "TenantId ASC, Status ASC, CreatedAt DESC"],
    ["NotificationsByTenant", "Notifications", "TenantId ASC, IsRead ASC, OccurredAt DESC"],
    ["PRIMARY_KEY", "JobStateTransitions", "TenantId ASC, JobId ASC, TransitionId ASC"],
    ["PRIMARY_KEY", "Jobs", "TenantId ASC, JobId ASC"],
    ["PRIMARY_KEY", "Notifications", "TenantId ASC, NotificationId ASC"],
    ["PRIMARY_KEY", "Tenants", "TenantId ASC"],
    ["TenantsByOAuth", "Tenants", "OAuthProvider ASC, OAuthUserId ASC"],
    ["TransitionsByJob", "JobStateTransitions", "TenantId ASC, JobId ASC, TransitionedAt DESC"],
]


def test_the_tables_are_those_of_the_contract_to_the_last_column(gateway: Gateway) -> None:
    columns = gateway.select(
        "SELECT TABLE_NAME, COLUMN_NAME, SPANNER_TYPE, IS_NULLABLE, COLUMN_DEFAULT FROM INFORMATION_SCHEMA.COLUMNS "
        "WHERE TABLE_SCHEMA = '' AND TABLE_NAME NOT LIKE 'Jennah%' ORDER BY TABLE_NAME, ORDINAL_POSITION"
    )
    found: dict[object, list[str]] = {}
    for table, column, kind, is_nullable, default in columns:
        text = f"{column} {kind}" + ("!" if is_nullable == "NO" else "") + (f"={default}" if default else "")
        found.setdefault(table, []).append(text)
    assert {table: ", ".join(texts) for table, texts in found.items()} == CONTRACT


def test_commit_timestamps_interleaving_and_indexes_are_those_of_the_contract(gateway: Gateway) -> None:
    options = gateway.select(
        "SELECT TABLE_NAME, COLUMN_NAME FROM INFORMATION_SCHEMA.COLUMN_OPTIONS "
        "WHERE OPTION_NAME = 'allow_commit_timestamp' AND OPTION_VALUE = 'TRUE' AND TABLE_NAME NOT LIKE 'Jennah%'"
    )
    wanted = {(table, name) for table, text in CONTRACT.items() for name in TIMES if f"{name} TIMESTAMP!" in text}
    assert {(table, column) for table, column in options} == wanted
    parents = gateway.select(
        "SELECT TABLE_NAME, PARENT_TABLE_NAME, ON_DELETE_ACTION FROM INFORMATION_SCHEMA.TABLES "
        "WHERE PARENT_TABLE_NAME != '' ORDER BY TABLE_NAME"
    )
    assert parents == [
        ["JobStateTransitions", "Jobs", "CASCADE"],
        ["Jobs", "Tenants", "CASCADE"],
        ["Notifications", "Tenants", "CASCADE"],
    ]
    found: dict[tuple[object, object], list[str]] = {}
    for index, table, column, ordering in gateway.select(
        "SELECT INDEX_NAME, TABLE_NAME, COLUMN_NAME, COLUMN_ORDERING FROM INFORMATION_SCHEMA.INDEX_COLUMNS "
        "WHERE TABLE_SCHEMA = '' AND ORDINAL_POSITION IS NOT NULL AND TABLE_NAME NOT LIKE 'Jennah%' "
        "ORDER BY INDEX_NAME, TABLE_NAME, ORDINAL_POSITION"
    ):
        found.setdefault((index, table), []).append(f"{column} {ordering}")
    indexes = [[index, table, ", ".join(columns)] for (index, table), columns in found.items()]
    assert indexes == INDEXES


async def test_migrating_prints_what_it_does_and_the_second_time_does_nothing(database: str) -> None:
    migrations = SpannerMigrations(PROJECT, INSTANCE, database)
    pending = await migrations.pending()
    assert pending[0] == f"CREATE DATABASE `{database}`"
    assert pending[-1].startswith("INSERT OR UPDATE INTO JennahSchema")
    assert await migrations.pending() == pending, "a dry run changes nothing"
    assert await migrations.apply() == pending
    assert list(await migrations.pending()) == []
    assert list(await migrations.apply()) == []
    await migrations.close()


async def test_replicas_that_migrate_at_once_all_end_with_the_schema(database: str) -> None:
    await asyncio.gather(*(migrate(database) for _ in range(4)))
    assert list(await migrate(database)) == []
    store = SpannerStore(PROJECT, INSTANCE, database)
    await store.open()
    await store.close()


async def test_the_originals_tables_are_taken_over_with_their_rows(schema: str, gateway: Gateway) -> None:
    gateway.write(
        "INSERT INTO Tenants (TenantId, UserEmail, OAuthProvider, OAuthUserId, CreatedAt, UpdatedAt) "
        "VALUES ('old', 'a@b', 'google', '7', PENDING_COMMIT_TIMESTAMP(), PENDING_COMMIT_TIMESTAMP())"
    )
    gateway.write("DELETE FROM JennahSchema WHERE TRUE")  # as if nothing of ours had been there
    store = SpannerStore(PROJECT, INSTANCE, schema)
    with pytest.raises(ConfigError, match="jennah migrate"):
        await store.open()
    assert (await migrate(schema))[0].startswith("CREATE TABLE IF NOT EXISTS")
    await store.open()
    assert await store.get_tenant("old") is not None
    await store.close()


async def test_the_schema_of_an_older_release_is_refused_until_it_is_migrated(schema: str, gateway: Gateway) -> None:
    gateway.write("DELETE FROM JennahSchema WHERE Version > 1")
    store = SpannerStore(PROJECT, INSTANCE, schema)
    with pytest.raises(ConfigError, match=r"schema version 1.*jennah migrate"):
        await store.open()
    table, version = await migrate(schema)
    assert table.startswith("CREATE TABLE IF NOT EXISTS JennahEvidence")
    assert "ROW DELETION POLICY (OLDER_THAN(ExpiresAt, INTERVAL 0 DAY))" in table
    assert version.startswith("INSERT OR UPDATE INTO JennahSchema (Version, AppliedAt) VALUES (2,")
    await store.open()
    await store.close()


async def test_a_database_that_does_not_exist_is_a_config_error_that_names_the_command(database: str) -> None:
    with pytest.raises(ConfigError, match="run `jennah migrate`"):
        await SpannerStore(PROJECT, INSTANCE, database).open()
    migrations = SpannerMigrations(PROJECT, "no-instance", database)
    with pytest.raises(ConfigError, match="instance does not exist"):
        await migrations.apply()
    await migrations.close()


async def test_a_newer_schema_is_a_config_error_for_both(schema: str, gateway: Gateway) -> None:
    newer = spanner_schema.SCHEMA_VERSION + 1
    gateway.write(f"INSERT INTO JennahSchema (Version, AppliedAt) VALUES ({newer}, PENDING_COMMIT_TIMESTAMP())")
    with pytest.raises(ConfigError, match="this release needs"):
        await SpannerStore(PROJECT, INSTANCE, schema).open()
    migrations = SpannerMigrations(PROJECT, INSTANCE, schema)
    with pytest.raises(ConfigError, match="this release needs"):
        await migrations.pending()
    await migrations.close()
