"""`jennah migrate --redact`: locks, and a commit whose answer is lost. Laws: tests/contract/test_blanking.py."""

import asyncio

import psycopg

from controller.stores.postgres import PostgresStore
from controller.stores.postgres_schema import PostgresMigrations
from tests.controller.stores.postgres.harness import query, transition
from tests.controller.stores.postgres.relay import Relay, once

VARIABLES = "SELECT env_vars_json FROM jobs"
WAITING = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


async def redact(url: str) -> int:
    migrations = PostgresMigrations(url)
    try:
        return sum([count async for count in migrations.redact(dry_run=False)])
    finally:
        await migrations.close()


async def test_it_waits_for_who_writes_a_row_and_blanks_what_that_one_wrote(url: str, store: PostgresStore) -> None:
    await store.record([transition(env_vars_json='{"OLD":"x"}')])
    with psycopg.connect(url) as writer:
        writer.execute('UPDATE jobs SET env_vars_json = \'{"NEW":"x"}\'')
        redacting = asyncio.create_task(redact(url))
        async with asyncio.timeout(10):
            while not await asyncio.to_thread(query, url, WAITING):
                assert not redacting.done()
        writer.commit()
        assert await redacting == 1
    assert query(url, VARIABLES) == [('{"NEW":""}',)]


async def test_a_commit_whose_answer_is_lost_is_counted(url: str, relay: Relay, store: PostgresStore) -> None:
    await store.record([transition(env_vars_json='{"A":"x"}')])
    relay.loses_answer = once(b"COMMIT\0")
    assert await redact(relay.url) == 1
    assert relay.lost == 1
    assert query(url, VARIABLES) == [('{"A":""}',)]


async def test_rows_without_values_are_neither_locked_nor_written(url: str, store: PostgresStore) -> None:
    await store.record([transition(env_vars_json='{"A":""}')])
    before = query(url, "SELECT xmin, xmax FROM jobs")
    assert await redact(url) == 0
    assert query(url, "SELECT xmin, xmax FROM jobs") == before
