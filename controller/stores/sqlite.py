"""The record in a SQLite file: for one machine, shared by the API's and the controller's processes.

Two connections: one writes, one reads, so that a reader never waits for a commit (WAL).
"""

import itertools
import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

from controller.domain import names, reasons
from controller.domain.errors import Invalid, Permanent
from controller.domain.phases import Phase
from controller.domain.records import JobRow, NotificationRow, Recorded, TenantRow, Transition, TransitionRow
from controller.ports import Page, RecordFailure
from controller.stores import paging, sqlite_rows, sqlite_schema, tombstones
from controller.stores.merge import Stored, merge
from controller.stores.sqlite_connection import SqliteConnection, error_name, transaction

# S608: these statements are put together from column names, never from values.
_JOB_COLUMNS = ", ".join(sqlite_rows.JOB_COLUMNS)
_STORED_COLUMNS = ", ".join(sqlite_rows.STORED_COLUMNS)
_MARKS = ", ".join("?" * len(sqlite_rows.STORED_COLUMNS))
_UPDATES = ", ".join(f"{column} = excluded.{column}" for column in sqlite_rows.STORED_COLUMNS)

_SELECT_JOB = f"SELECT {_JOB_COLUMNS} FROM jobs WHERE tenant_id = ? AND job_id = ?"  # noqa: S608
_SELECT_JOBS = f"SELECT {_JOB_COLUMNS} FROM jobs WHERE"  # noqa: S608
_SELECT_STORED = (  # with IN, SQLite would read the whole table
    "WITH wanted (tenant, job) AS (VALUES {}) "  # noqa: S608
    f"SELECT {_STORED_COLUMNS} FROM wanted CROSS JOIN jobs ON tenant_id = tenant AND job_id = job"
)
_UPSERT_STORED = (
    f"INSERT INTO jobs ({_STORED_COLUMNS}) VALUES ({_MARKS}) "  # noqa: S608
    f"ON CONFLICT (tenant_id, job_id) DO UPDATE SET {_UPDATES}"
)
_SELECT_OWNER = "SELECT uid FROM jobs WHERE tenant_id = ? AND job_id = ?"
_SELECT_TOMBSTONES = "SELECT uid FROM job_tombstones WHERE uid IN ({})"
_BURY = (
    "INSERT INTO job_tombstones (uid, expires_at) VALUES (?, ?) "
    "ON CONFLICT (uid) DO UPDATE SET expires_at = excluded.expires_at"
)
_FORGET = (
    "DELETE FROM job_tombstones WHERE uid IN "
    "(SELECT uid FROM job_tombstones WHERE expires_at < ? ORDER BY expires_at LIMIT ?)"
)
_INSERT_TENANT = "INSERT INTO tenants VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_SELECT_TENANT = "SELECT * FROM tenants WHERE tenant_id = ?"
_INSERT_TRANSITION = "INSERT INTO job_state_transitions VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_SELECT_TRANSITIONS = (
    f"SELECT {', '.join(sqlite_rows.TRANSITION_COLUMNS)} FROM job_state_transitions "  # noqa: S608
    # The order of writing, not of the clocks: transitions come from several machines.
    "WHERE tenant_id = ? AND job_id = ? ORDER BY rowid"
)
_NOTIFICATION_COLUMNS = ", ".join(sqlite_rows.NOTIFICATION_COLUMNS)
_INSERT_NOTIFICATION = (
    f"INSERT INTO notifications ({_NOTIFICATION_COLUMNS}, created_at) "  # noqa: S608
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_SELECT_NOTIFICATIONS = (
    f"SELECT {_NOTIFICATION_COLUMNS} FROM notifications "  # noqa: S608
    "WHERE tenant_id = ? ORDER BY occurred_at DESC, notification_id LIMIT ?"
)
_REFUSALS = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, OverflowError, UnicodeError)
"""What SQLite and its driver raise for values that they will never take."""


class SqliteStore:
    """`ports.JobStore` on SQLite."""

    def __init__(self, path: Path, *, tombstone_ttl_seconds: int = tombstones.TTL_SECONDS) -> None:
        self._writer = SqliteConnection(path, sqlite_schema.ensure)
        self._reader = SqliteConnection(path, sqlite_schema.ensure)
        self._tombstone_ttl_seconds = tombstone_ttl_seconds

    async def open(self) -> None:
        await self._writer.open()
        try:
            await self._reader.open()
        except BaseException:
            await self._writer.close()
            raise

    async def close(self) -> None:
        await self._reader.close()
        await self._writer.close()

    async def record(self, transitions: Sequence[Transition]) -> Sequence[Recorded | RecordFailure]:
        return await self._writer.run(lambda db: _record(db, transitions))

    async def get_job(self, tenant_id: str, job_id: str) -> JobRow | None:
        rows = await self._read(_SELECT_JOB, tenant_id, job_id)
        return sqlite_rows.job_row(rows[0]) if rows else None

    async def list_jobs(
        self,
        tenant_id: str,
        *,
        page_size: int | None = None,
        page_token: str = "",
        status: Phase | None = None,
        created_after: datetime | None = None,
    ) -> Page:
        if page_size is not None and page_size < 1:
            raise Invalid("page_size must be at least 1")
        where, values = ["tenant_id = ?"], [tenant_id]
        if status is not None:
            where, values = [*where, "status = ?"], [*values, status.wire]
        if created_after is not None:
            where, values = [*where, "created_at > ?"], [*values, sqlite_rows.time_text(created_after)]
        if page_token:
            last = paging.decode(page_token)
            where.append("(created_at, job_id) < (?, ?)")
            values += [sqlite_rows.time_text(last.created_at), last.job_id]
        order = "ORDER BY created_at DESC, job_id DESC LIMIT ?"
        # One more than asked for tells whether there is a next page; -1 is no limit.
        limit = -1 if page_size is None else page_size + 1
        rows = await self._read(f"{_SELECT_JOBS} {' AND '.join(where)} {order}", *values, limit)
        jobs = tuple(sqlite_rows.job_row(row) for row in rows[:page_size])
        if len(jobs) == len(rows):
            return Page(jobs=jobs)
        last = paging.Position(created_at=jobs[-1].created_at, job_id=jobs[-1].job_id)
        return Page(jobs=jobs, next_token=paging.encode(last))

    async def transitions(self, tenant_id: str, job_id: str) -> Sequence[TransitionRow]:
        return [sqlite_rows.transition_row(row) for row in await self._read(_SELECT_TRANSITIONS, tenant_id, job_id)]

    async def owner(self, tenant_id: str, job_id: str) -> str | None:
        rows = await self._read(_SELECT_OWNER, tenant_id, job_id)
        return rows[0][0] if rows else None

    async def delete_job(self, tenant_id: str, job_id: str, *, uid: str) -> bool:
        return await self._writer.run(lambda db: _delete_job(db, tenant_id, job_id, uid, self._tombstone_ttl_seconds))

    async def get_tenant(self, tenant_id: str) -> TenantRow | None:
        rows = await self._read(_SELECT_TENANT, tenant_id)
        return sqlite_rows.tenant_row(rows[0]) if rows else None

    async def list_notifications(self, tenant_id: str, *, limit: int) -> Sequence[NotificationRow]:
        return [sqlite_rows.notification_row(row) for row in await self._read(_SELECT_NOTIFICATIONS, tenant_id, limit)]

    async def count_unread(self, tenant_id: str) -> int:
        rows = await self._read("SELECT count(*) FROM notifications WHERE tenant_id = ? AND is_read = 0", tenant_id)
        return int(rows[0][0])

    async def ack_notification(self, tenant_id: str, notification_id: str) -> bool:
        statement = "UPDATE notifications SET is_read = 1 WHERE tenant_id = ? AND notification_id = ?"
        return await self._writer.run(lambda db: db.execute(statement, (tenant_id, notification_id)).rowcount > 0)

    async def _read(self, statement: str, *values: str | int) -> list[tuple[str, ...]]:
        return await self._reader.run(lambda db: db.execute(statement, values).fetchall())


def _record(db: sqlite3.Connection, transitions: Sequence[Transition]) -> list[Recorded | RecordFailure]:
    try:
        with transaction(db):
            return _write(db, transitions)
    except _REFUSALS:  # of one of them: once more, so that it harms no other
        with transaction(db):
            return [_write_alone(db, transition) for transition in transitions]


def _write_alone(db: sqlite3.Connection, transition: Transition) -> Recorded | RecordFailure:
    """One transition in a savepoint of its own."""
    db.execute("SAVEPOINT one")
    try:
        [result] = _write(db, [transition])
    except _REFUSALS as error:
        db.execute("ROLLBACK TO one")
        # Not an operational error of the database: these values will never be taken.
        refused = Permanent(f"the database refused the row: {error_name(error)}", reason=reasons.RECORD_REJECTED)
        refused.__cause__ = error
        result = RecordFailure(error=refused)
    db.execute("RELEASE one")
    return result


def _write(db: sqlite3.Connection, transitions: Sequence[Transition]) -> list[Recorded | RecordFailure]:
    """Read, merge, write; the writes of a table together, since each call of SQLite passes Python's lock to and fro."""
    known = _read_stored(db, {(transition.row.tenant_id, transition.row.job_id) for transition in transitions})
    owners = {stored.uid for stored in known.values()}
    deleted = _read_tombstones(db, {transition.uid for transition in transitions} - owners)
    results: list[Recorded | RecordFailure] = []
    tenants, jobs, audits, notifications = {}, {}, [], []
    for transition in transitions:
        key = transition.row.tenant_id, transition.row.job_id
        try:
            merged = merge(known.get(key), transition, deleted)
        except Permanent as error:
            results.append(RecordFailure(error=error))
            continue
        if key not in known:
            tenants[transition.row.tenant_id] = sqlite_rows.tenant_values(transition)
        known[key] = merged.stored
        if merged.is_changed:
            jobs[key] = sqlite_rows.stored_values(merged.stored)
        if merged.is_applied:
            audits.append((*key, *sqlite_rows.transition_values(merged.transition)))
            if transition.row.status.is_terminal:
                values = sqlite_rows.notification_values(transition.uid, merged.stored.row, transition.at)
                notifications.append((*values, sqlite_rows.time_text(transition.at)))
        results.append(merged.stored.recorded)
    db.executemany(_INSERT_TENANT, tenants.values())
    db.executemany(_UPSERT_STORED, jobs.values())
    db.executemany(_INSERT_TRANSITION, audits)
    db.executemany(_INSERT_NOTIFICATION, notifications)
    return results


def _read_stored(db: sqlite3.Connection, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], Stored]:
    """The records that there are, by tenant and job id."""
    if not keys:
        return {}
    marks = ", ".join(["(?, ?)"] * len(keys))
    found = db.execute(_SELECT_STORED.format(marks), list(itertools.chain.from_iterable(keys)))
    return {(stored.row.tenant_id, stored.row.job_id): stored for stored in map(sqlite_rows.stored, found)}


def _read_tombstones(db: sqlite3.Connection, uids: Collection[str]) -> set[str]:
    """Those of them that were deleted."""
    if not uids:
        return set()
    marks = ", ".join("?" * len(uids))
    return {uid for (uid,) in db.execute(_SELECT_TOMBSTONES.format(marks), list(uids))}


def _delete_job(db: sqlite3.Connection, tenant_id: str, job_id: str, uid: str, ttl_seconds: int) -> bool:
    with transaction(db):
        if uid and ttl_seconds:
            db.execute(_BURY, (uid, sqlite_rows.time_text(tombstones.expiry(ttl_seconds))))
        db.execute(_FORGET, (sqlite_rows.time_text(tombstones.expiry(0)), tombstones.EXPIRED_AT_ONCE))
        # The audit rows go with the row, by their foreign key.
        key = (tenant_id, job_id, uid)
        is_deleted = db.execute("DELETE FROM jobs WHERE tenant_id = ? AND job_id = ? AND uid = ?", key).rowcount > 0
        if is_deleted:
            notification = (tenant_id, names.notification_id(uid))
            db.execute("DELETE FROM notifications WHERE tenant_id = ? AND notification_id = ?", notification)
    return is_deleted
