"""Deleted objects are remembered: against another transaction in between, and not for ever."""

import asyncio
from typing import Any

import psycopg
import pytest

from controller.domain import reasons
from controller.domain.phases import Phase
from controller.domain.records import Recorded, Transition
from controller.ports import RecordFailure
from controller.stores import migration_files, tombstones
from controller.stores.postgres import PostgresStore
from controller.stores.postgres_schema import PostgresMigrations
from tests.controller.stores.postgres.harness import counts, query, transition

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


async def is_waiting(url: str, task: "asyncio.Task[Any]") -> None:
    """Until the store's transaction waits for the other one."""
    while query(url, WAITING) == [(0,)]:
        assert not task.done(), "it did not wait"
        await asyncio.sleep(0.01)


def is_deleted(result: Recorded | RecordFailure) -> bool:
    return isinstance(result, RecordFailure) and result.error.reason == reasons.JOB_DELETED


@pytest.mark.parametrize("others", [[], [transition(job_id="a"), transition(job_id="z")]])
async def test_a_first_row_waits_for_a_deletion_under_way_and_is_refused(
    url: str, store: PostgresStore, others: list[Transition]
) -> None:
    async with await psycopg.AsyncConnection.connect(url) as deleting:
        await deleting.execute("INSERT INTO job_tombstones VALUES ('uid of j', now() + interval '1 day')")
        recording = asyncio.create_task(store.record([*others, transition()]))
        await is_waiting(url, recording)
        await deleting.commit()
    *written, refused = await recording
    assert is_deleted(refused)
    assert written == [Recorded(number=0, phase=Phase.PENDING)] * len(others)
    assert counts(url) == [(len(others), len(others), 0)]
    assert query(url, "SELECT uid FROM job_tombstones") == [("uid of j",)]


async def test_a_deletion_waits_for_a_first_row_under_way_and_removes_it(url: str, store: PostgresStore) -> None:
    await store.record([transition(job_id="other")])
    async with await psycopg.AsyncConnection.connect(url) as recording:
        await recording.execute("INSERT INTO job_tombstones VALUES ('uid of j', 'infinity')")
        await recording.execute(
            "INSERT INTO jobs (tenant_id, job_id, status, created_at, updated_at, uid, transition) "
            "VALUES ('t', 'j', 'PENDING', now(), now(), 'uid of j', 0)"
        )
        deleting = asyncio.create_task(store.delete_job("t", "j", uid="uid of j"))
        await is_waiting(url, deleting)
        await recording.execute("DELETE FROM job_tombstones WHERE uid = 'uid of j'")
        await recording.commit()
    assert await deleting is True
    assert counts(url) == [(1, 1, 0)]
    assert is_deleted((await store.record([transition()]))[0])


async def test_a_row_that_goes_while_its_lock_is_waited_for_does_not_come_back(url: str, store: PostgresStore) -> None:
    await store.record([transition()])
    async with await psycopg.AsyncConnection.connect(url) as deleting:
        await deleting.execute("INSERT INTO job_tombstones VALUES ('uid of j', now() + interval '1 day')")
        await deleting.execute("DELETE FROM jobs WHERE job_id = 'j'")
        recording = asyncio.create_task(store.record([transition(1, Phase.RUNNING)]))
        await is_waiting(url, recording)
        await deleting.commit()
    assert is_deleted((await recording)[0])
    assert counts(url) == [(0, 0, 0)]


async def test_recording_leaves_nothing_among_the_tombstones(url: str, store: PostgresStore) -> None:
    await store.record([transition(job_id=f"job-{n}") for n in range(50)])
    assert query(url, "SELECT count(*) FROM job_tombstones") == [(0,)]


async def test_each_deletion_clears_some_tombstones_that_have_expired(url: str, store: PostgresStore) -> None:
    query(
        url, "INSERT INTO job_tombstones SELECT 'old-' || n, now() - n * interval '1 s' FROM generate_series(1, 150) n"
    )
    await store.delete_job("t", "j", uid="uid of j")
    left = [uid for (uid,) in query(url, "SELECT uid FROM job_tombstones ORDER BY expires_at")]
    assert left == [*(f"old-{n}" for n in range(150 - tombstones.EXPIRED_AT_ONCE, 0, -1)), "uid of j"]
    await store.delete_job("t", "k", uid="uid of k")
    assert query(url, "SELECT uid FROM job_tombstones ORDER BY uid") == [("uid of j",), ("uid of k",)]


async def test_a_database_of_the_first_version_is_migrated_with_its_rows(empty_url: str) -> None:
    [first, *_] = migration_files.load("postgres")
    for statement in (*first.statements, "INSERT INTO schema_version (version) VALUES (1)"):
        query(empty_url, statement)
    query(empty_url, "INSERT INTO tenants VALUES ('t', '', '', '', now(), now())")
    query(
        empty_url,
        "INSERT INTO jobs (tenant_id, job_id, status, created_at, updated_at, uid, transition) "
        "VALUES ('t', 'j', 'PENDING', '2026-05-01', '2026-05-01', 'uid of j', 0)",
    )
    await PostgresMigrations(empty_url).apply()
    store = PostgresStore(empty_url)
    await store.open()
    assert await store.owner("t", "j") == "uid of j"
    sent = transition(1, Phase.RUNNING, destination="here")
    assert (await store.record([sent]))[0] == Recorded(number=1, phase=Phase.RUNNING, destination="here")
    await store.close()
