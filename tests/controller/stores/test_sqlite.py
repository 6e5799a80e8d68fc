"""What is SQLite's own: the file, two processes on it, its errors. The laws are in tests/contract/test_stores.py."""

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from controller.domain.errors import ConfigError, Unavailable
from controller.domain.phases import Phase
from controller.domain.records import JobRow, NotificationRow, Recorded, TenantRow, Transition
from controller.stores import sqlite, sqlite_connection, sqlite_schema, tombstones
from controller.stores.sqlite import SqliteStore
from controller.stores.sqlite_schema import SqliteMigrations

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def transition(number: int = 0, phase: Phase = Phase.PENDING, **facts: object) -> Transition:
    row = JobRow(tenant_id="t", job_id="j", status=phase, created_at=NOON, updated_at=NOON, **facts)
    return Transition(uid="u", number=number, from_phase=None, row=row, at=NOON, reason="r")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new folder" / "jennah.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path)
    await store.open()
    yield store
    await store.close()


def query(path: Path, statement: str) -> list[tuple[object, ...]]:
    db = sqlite3.connect(path)
    try:
        return db.execute(statement).fetchall()
    finally:
        db.close()


async def test_the_file_uses_wal_and_only_its_owner_reads_it(store: SqliteStore, path: Path) -> None:
    await store.record([transition()])
    assert query(path, "PRAGMA journal_mode") == [("wal",)]
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


async def test_times_are_stored_as_text_that_sorts_and_commands_as_json(store: SqliteStore, path: Path) -> None:
    await store.record([transition(commands=("a", "b"))])
    [(created_at, commands)] = query(path, "SELECT created_at, commands FROM jobs")
    assert created_at == "2026-05-01T12:00:00.000000Z"
    assert json.loads(str(commands)) == ["a", "b"]


async def test_the_lease_columns_of_the_original_exist_and_stay_null(store: SqliteStore, path: Path) -> None:
    await store.record([transition()])
    lease = "owner_worker_id, preferred_worker_id, lease_expires_at, last_heartbeat_at"
    assert query(path, f"SELECT {lease} FROM jobs") == [(None, None, None, None)]


async def test_the_columns_that_statements_do_not_name_stand_in_the_order_of_the_records(
    store: SqliteStore, path: Path
) -> None:
    def columns(table: str) -> tuple[object, ...]:
        return tuple(name for (name,) in query(path, f"SELECT name FROM pragma_table_info('{table}')"))

    assert columns("tenants") == TenantRow.__struct_fields__
    assert columns("job_state_transitions")[:2] == ("tenant_id", "job_id")
    assert set(NotificationRow.__struct_fields__) < set(columns("notifications"))


async def test_opening_twice_keeps_what_is_there(store: SqliteStore, path: Path) -> None:
    await store.record([transition()])
    again = SqliteStore(path)
    await again.open()
    assert await again.get_job("t", "j") is not None
    await again.close()


OPEN_AND_WRITE = """
import asyncio, sys
from pathlib import Path
from tests.controller.stores.test_sqlite import Phase, SqliteStore, transition
async def main():
    store = SqliteStore(Path(sys.argv[1]))
    await store.open()
    for number in range(20):
        await store.record([transition(number, Phase.RUNNING if number % 2 else Phase.PENDING)])
    await store.close()
asyncio.run(main())
"""


def test_several_processes_create_and_write_one_file_at_the_same_time(path: Path) -> None:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", OPEN_AND_WRITE, str(path)]
    processes = [subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE) for _ in range(4)]
    errors = [process.communicate(timeout=60)[1].decode() for process in processes]
    assert errors == [""] * 4
    assert query(path, "SELECT count(*) FROM job_state_transitions") == [(20,)]


WRITE_AND_DIE = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.controller.stores.test_sqlite import SqliteStore, transition
async def main():
    store = SqliteStore(Path(sys.argv[1]))
    await store.open()
    await store.record([transition()])
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


def test_a_process_that_is_killed_loses_nothing_that_it_recorded(path: Path) -> None:
    command = [sys.executable, "-c", WRITE_AND_DIE, str(path)]
    assert subprocess.run(command, cwd=Path(__file__).parents[3], check=False, timeout=60).returncode == -9
    assert query(path, "SELECT job_id, status FROM jobs") == [("j", "PENDING")]


async def test_a_schema_of_another_version_is_a_config_error(store: SqliteStore, path: Path) -> None:
    await store.close()
    query(path, "PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match="schema version 99"):
        await SqliteStore(path).open()


async def test_a_database_of_the_first_version_is_refused_until_it_is_migrated_with_its_rows(path: Path) -> None:
    path.parent.mkdir()
    [first, *_] = sqlite_schema.MIGRATIONS
    row = "'t', 'j', 'PENDING', '2026-05-01T12:00:00.000000Z', '2026-05-01T12:00:00.000000Z', 'u', 0"
    db = sqlite3.connect(path)
    for statement in (
        *first.statements,
        "PRAGMA user_version = 1",
        "INSERT INTO tenants VALUES ('t', '', '', '', '2026', '2026')",
        f"INSERT INTO jobs (tenant_id, job_id, status, created_at, updated_at, uid, transition) VALUES ({row})",
    ):
        db.execute(statement)
    db.commit()
    db.close()
    store = SqliteStore(path)
    with pytest.raises(ConfigError, match=r"has version 1.*jennah migrate"):
        await store.open()
    migrations = SqliteMigrations(path)
    assert await migrations.apply() == list(sqlite_schema._statements(sqlite_schema.MIGRATIONS[1:]))
    assert list(await migrations.pending()) == []
    await store.open()
    assert await store.owner("t", "j") == "u"
    sent = msgspec.structs.replace(transition(1, Phase.RUNNING), destination="here")
    assert await store.record([sent]) == [Recorded(number=1, phase=Phase.RUNNING, destination="here")]
    await store.close()


async def test_each_deletion_clears_some_tombstones_that_have_expired(store: SqliteStore, path: Path) -> None:
    db = sqlite3.connect(path)
    with db:
        old = [(f"old-{n}", f"2026-05-01T12:{n // 60:02}:{n % 60:02}.000000Z") for n in range(150)]
        db.executemany("INSERT INTO job_tombstones VALUES (?, ?)", old)
    db.close()
    await store.delete_job("t", "j", uid="u")
    left = [uid for (uid,) in query(path, "SELECT uid FROM job_tombstones ORDER BY expires_at")]
    assert left == [*(f"old-{n}" for n in range(tombstones.EXPIRED_AT_ONCE, 150)), "u"]
    await store.delete_job("t", "k", uid="v")
    assert query(path, "SELECT uid FROM job_tombstones ORDER BY uid") == [("u",), ("v",)]


@pytest.mark.parametrize("content", ["text", "tables"])
async def test_a_file_that_is_not_ours_is_a_config_error(path: Path, content: str) -> None:
    path.parent.mkdir()
    if content == "text":
        path.write_text("this is no database, and longer than a header" * 10)
    else:
        query(path, "CREATE TABLE jobs (a)")
    with pytest.raises(ConfigError, match="not a database of ours"):
        await SqliteStore(path).open()


async def test_a_file_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable):
        await SqliteStore(tmp_path / "file" / "jennah.db").open()
    with pytest.raises(Unavailable):
        await SqliteStore(tmp_path).open()


async def test_a_locked_file_is_unavailable_for_writers_while_readers_go_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_connection, "BUSY_SECONDS", 0.05)
    store = SqliteStore(path)
    await store.open()
    await store.record([transition()])
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="SQLITE_BUSY"):
        await store.record([transition(1, env_vars_json="secret")])
    assert (await store.get_job("t", "j")).env_vars_json is None
    blocker.execute("ROLLBACK")
    blocker.close()
    await store.record([transition(1, Phase.RUNNING)])
    assert (await store.get_job("t", "j")).status is Phase.RUNNING
    await store.close()


async def test_a_disk_that_is_full_is_unavailable_and_leaves_the_record_as_it_was(store: SqliteStore) -> None:
    await store.record([transition()])
    await store._writer.run(lambda db: db.execute("PRAGMA max_page_count = 1"))
    with pytest.raises(Unavailable, match="SQLITE_FULL"):
        await store.record([transition(1, Phase.RUNNING, env_vars_json="x" * 100_000)])
    assert (await store.get_job("t", "j")).status is Phase.PENDING
    await store._writer.run(lambda db: db.execute("PRAGMA max_page_count = 1000000"))
    await store.record([transition(1, Phase.RUNNING)])
    assert (await store.get_job("t", "j")).status is Phase.RUNNING


async def test_text_that_is_no_unicode_fails_alone(store: SqliteStore) -> None:
    [failure] = await store.record([transition(error_message="broken \udc80 text")])
    assert "broken" not in str(failure.error)
    assert await store.get_job("t", "j") is None


async def test_a_store_that_is_not_open_is_unavailable(path: Path) -> None:
    store = SqliteStore(path)
    with pytest.raises(Unavailable, match="not open"):
        await store.get_job("t", "j")
    await store.close()


async def test_calls_that_go_to_the_thread_together_each_hear_their_own_result(path: Path) -> None:
    connection = sqlite_connection.SqliteConnection(path, lambda db: None)
    await connection.open()
    first = asyncio.create_task(connection.run(lambda db: time.sleep(0.05)))
    await asyncio.sleep(0.01)  # the thread is at work: the others gather
    done: list[str] = []
    gone = asyncio.create_task(connection.run(lambda db: done.append("cancelled")))
    others = [
        asyncio.create_task(connection.run(lambda db: db.execute("SELECT 1").fetchone())),
        asyncio.create_task(connection.run(lambda db: db.execute("no SQL"))),
        asyncio.create_task(connection.run(lambda db: db.execute("SELECT 2").fetchone())),
    ]
    await asyncio.sleep(0)
    gone.cancel()
    one, error, two = await asyncio.gather(*others, return_exceptions=True)
    assert (one, two) == ((1,), (2,))
    assert isinstance(error, Unavailable)
    assert first.done() and done == []
    await connection.close()


async def test_transitions_of_one_group_build_on_each_other_and_a_refused_one_is_left_out(
    store: SqliteStore, path: Path
) -> None:
    group = [transition(), transition(1, Phase.RUNNING, error_message="\udc80"), transition(2, Phase.COMPLETED)]
    results = await store.record(group)
    assert [isinstance(result, Recorded) for result in results] == [True, False, True]
    assert query(path, "SELECT transition, status FROM jobs") == [(2, Phase.COMPLETED.wire)]
    assert query(path, "SELECT count(*) FROM job_state_transitions") == [(2,)]


async def test_a_group_is_read_by_the_key_and_not_from_the_whole_table(store: SqliteStore, path: Path) -> None:
    statement = sqlite._SELECT_STORED.format("('t', 'j'), ('t', 'k')")
    plan = query(path, f"EXPLAIN QUERY PLAN {statement}")
    assert any("SEARCH jobs" in str(step) for step in plan), plan
