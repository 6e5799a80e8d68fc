"""`jennah migrate`, schema versions, and the rights that are needed."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from controller.domain.errors import ConfigError
from controller.domain.phases import Phase
from controller.stores.postgres import PostgresStore
from controller.stores.postgres_schema import PostgresMigrations
from tests.controller.stores.postgres.harness import SECRET, query, transition


async def test_migrating_twice_does_nothing_the_second_time(empty_url: str) -> None:
    migrations = PostgresMigrations(empty_url)
    pending = await migrations.pending()
    assert list(await migrations.apply()) == list(pending) != []
    assert list(await migrations.apply()) == list(await migrations.pending()) == []
    await migrations.close()


async def test_replicas_that_migrate_at_the_same_time_do_it_once(empty_url: str) -> None:
    runs = await asyncio.gather(*(PostgresMigrations(empty_url).apply() for _ in range(5)))
    assert sum(1 for statements in runs if statements) == 1
    assert query(empty_url, "SELECT version FROM schema_version") == [(1,), (2,)]


async def test_a_migration_that_fails_leaves_nothing_behind(empty_url: str) -> None:
    query(empty_url, "CREATE TABLE notifications (x int)")
    with pytest.raises(ConfigError, match="another application"):
        await PostgresMigrations(empty_url).apply()
    tables = query(
        empty_url, "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    assert tables == [("notifications",)]


async def test_a_missing_schema_is_a_config_error_that_names_the_command(empty_url: str) -> None:
    with pytest.raises(ConfigError, match=r"no schema yet.*jennah migrate"):
        await PostgresStore(empty_url).open()


async def test_an_older_schema_is_refused_and_so_is_a_newer_one(url: str) -> None:
    query(url, "DELETE FROM schema_version WHERE version > 1")
    with pytest.raises(ConfigError, match="jennah migrate"):
        await PostgresStore(url).open()
    query(url, "UPDATE schema_version SET version = 99")
    with pytest.raises(ConfigError, match="version 99"):
        await PostgresStore(url).open()
    with pytest.raises(ConfigError, match="version 99"):
        await PostgresMigrations(url).apply()


async def test_a_role_with_no_more_than_the_documented_rights_can_do_everything(url: str) -> None:
    role, name = f"jennah_{urlsplit(url).path[1:]}", urlsplit(url).path[1:]
    page = (Path(__file__).parents[4] / "docs" / "databases" / "postgres.md").read_text()
    grants = [line for line in page.splitlines() if line.startswith("GRANT ")]
    assert grants
    query(url, f"CREATE ROLE \"{role}\" LOGIN PASSWORD '{SECRET}'")
    try:
        for grant in grants:
            query(url, grant.replace("jennah_runtime", f'"{role}"').replace("DATABASE jennah", f'DATABASE "{name}"'))
        parts = urlsplit(url)
        place = parts.netloc.rpartition("@")[2]
        store = PostgresStore(urlunsplit(parts._replace(netloc=f"{role}:{SECRET}@{place}")))
        await store.open()
        await store.record([transition(), transition(1, Phase.FAILED)])
        assert len(await store.transitions("t", "j")) == 2
        [note] = await store.list_notifications("t", limit=5)
        assert await store.ack_notification("t", note.notification_id) is True
        assert await store.delete_job("t", "j", uid="uid of j") is True
        await store.close()
    finally:
        query(url, f'DROP OWNED BY "{role}"')
        query(url, f'DROP ROLE "{role}"')
