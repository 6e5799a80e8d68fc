"""The record in PostgreSQL (12 or newer), by psycopg 3.

A group of transitions is one transaction of two round trips: read and lock the rows in the order of their keys, merge
them here, write all of it and commit. A group with a row that the database refuses is split in halves until that row
is alone.

asyncpg 0.32.0 beside psycopg 3.3.9 (same statements, one connection, a shared machine with 2 cores): 1.13 times the
rate with groups of 200, 1.00 times without its cache of prepared statements, which PgBouncer in transaction mode
forbids; 2.1 and 0.9 times with groups of one. So the driver hardly matters here.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from controller.domain import names
from controller.domain.errors import Invalid, Permanent
from controller.domain.phases import Phase
from controller.domain.records import JobRow, NotificationRow, Recorded, TenantRow, Transition, TransitionRow
from controller.ports import Page, RecordFailure
from controller.stores import paging, postgres_rows, postgres_schema, tombstones
from controller.stores import postgres_statements as sql
from controller.stores.postgres_connection import Connection, PostgresConnections, transaction
from controller.stores.postgres_groups import Group, key_of


class PostgresStore:
    """`ports.JobStore` on PostgreSQL."""

    def __init__(self, url: str, *, tombstone_ttl_seconds: int = tombstones.TTL_SECONDS) -> None:
        """Raises ConfigError for what is no PostgreSQL URL."""
        self._connections = PostgresConnections(url)
        self._tombstone_ttl_seconds = tombstone_ttl_seconds

    async def open(self) -> None:
        await self._connections.open(postgres_schema.check)

    async def close(self) -> None:
        await self._connections.close()

    async def record(self, transitions: Sequence[Transition]) -> Sequence[Recorded | RecordFailure]:
        return await self._record(transitions, self._connections.give_up_at()) if transitions else []

    async def _record(self, transitions: Sequence[Transition], give_up_at: float) -> list[Recorded | RecordFailure]:
        try:
            return await self._connections.run(lambda connection: _write(connection, transitions), give_up_at)
        except Permanent as error:
            if len(transitions) == 1:
                return [RecordFailure(error=error)]
        middle = len(transitions) // 2
        first = await self._record(transitions[:middle], give_up_at)
        return first + await self._record(transitions[middle:], give_up_at)

    async def get_job(self, tenant_id: str, job_id: str) -> JobRow | None:
        rows = await self._read(sql.SELECT_JOB, tenant_id, job_id)
        return postgres_rows.job_row(rows[0]) if rows else None

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
        statement = sql.SELECT_JOBS
        values: list[str | int | datetime] = [tenant_id]
        if status is not None:
            statement, values = f"{statement} AND status = %s", [*values, status.wire]
        if created_after is not None:
            statement, values = f"{statement} AND created_at > %s", [*values, created_after]
        if page_token:
            last = paging.decode(page_token)
            statement = f"{statement} AND (created_at, job_id) < (%s, %s)"
            values += [last.created_at, last.job_id]
        statement += " ORDER BY created_at DESC, job_id DESC"
        if page_size is not None:  # one more than asked for tells whether there is a next page
            statement, values = f"{statement} LIMIT %s", [*values, page_size + 1]
        rows = await self._read(statement, *values)
        jobs = tuple(postgres_rows.job_row(row) for row in rows[:page_size])
        if len(jobs) == len(rows):
            return Page(jobs=jobs)
        last = paging.Position(created_at=jobs[-1].created_at, job_id=jobs[-1].job_id)
        return Page(jobs=jobs, next_token=paging.encode(last))

    async def transitions(self, tenant_id: str, job_id: str) -> Sequence[TransitionRow]:
        rows = await self._read(sql.SELECT_TRANSITIONS, tenant_id, job_id)
        return [postgres_rows.transition_row(row) for row in rows]

    async def owner(self, tenant_id: str, job_id: str) -> str | None:
        rows = await self._read(sql.SELECT_OWNER, tenant_id, job_id)
        return str(rows[0][0]) if rows else None

    async def delete_job(self, tenant_id: str, job_id: str, *, uid: str) -> bool:
        is_deleted = False

        async def work(connection: Connection) -> None:
            nonlocal is_deleted
            async with transaction(connection):
                # First: it waits for who writes the object's first row at this moment, and the next statement sees it.
                if uid and self._tombstone_ttl_seconds:
                    await connection.execute(sql.BURY, (uid, tombstones.expiry(self._tombstone_ttl_seconds)))
                await connection.execute(sql.FORGET, (tombstones.EXPIRED_AT_ONCE,))
                # The audit rows go with the row, by their foreign key.
                cursor = await connection.execute(sql.DELETE_JOB, (tenant_id, job_id, uid))
                # What an earlier try found counts: its commit may have worked although nobody heard of it.
                is_deleted = bool(await cursor.fetchall()) or is_deleted
                await connection.execute(sql.DELETE_NOTIFICATION, (tenant_id, names.notification_id(uid)))

        await self._connections.run(work)
        return is_deleted

    async def get_tenant(self, tenant_id: str) -> TenantRow | None:
        rows = await self._read(sql.SELECT_TENANT, tenant_id)
        return postgres_rows.tenant_row(rows[0]) if rows else None

    async def list_notifications(self, tenant_id: str, *, limit: int) -> Sequence[NotificationRow]:
        rows = await self._read(sql.SELECT_NOTIFICATIONS, tenant_id, limit)
        return [postgres_rows.notification_row(row) for row in rows]

    async def count_unread(self, tenant_id: str) -> int:
        rows = await self._read(sql.COUNT_UNREAD, tenant_id)
        return int(rows[0][0]) if rows else 0

    async def ack_notification(self, tenant_id: str, notification_id: str) -> bool:
        async def work(connection: Connection) -> bool:
            return (await connection.execute(sql.ACK_NOTIFICATION, (tenant_id, notification_id))).rowcount > 0

        return await self._connections.run(work)

    async def _read(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        async def work(connection: Connection) -> list[tuple[Any, ...]]:
            async with connection.cursor(binary=True) as cursor:
                await cursor.execute(statement, values)
                return await cursor.fetchall()

        try:
            return await self._connections.run(work)
        except Permanent:
            return []  # an id that PostgreSQL cannot even read (with a NUL): nothing has it


async def _write(connection: Connection, transitions: Sequence[Transition]) -> list[Recorded | RecordFailure]:
    keys = [{"tenant_id": tenant_id, "job_id": job_id} for tenant_id, job_id in {*map(key_of, transitions)}]
    uids = [{"uid": uid} for uid in {transition.uid for transition in transitions}]
    async with transaction(connection):
        async with connection.cursor(binary=True) as jobs, connection.cursor(binary=True) as buried:
            await jobs.execute(sql.LOCK_STORED, (postgres_rows.as_json(keys),))
            # After the locks: of a row that went while they were waited for, the tombstone is seen.
            await buried.execute(sql.SELECT_TOMBSTONES, (postgres_rows.as_json(uids),))
            found = [postgres_rows.stored(values) for values in await jobs.fetchall()]
            deleted = {uid for (uid,) in await buried.fetchall()}
        group = Group({(stored.row.tenant_id, stored.row.job_id): stored for stored in found}, deleted, transitions)
        # The server works on one statement while the rows of the next are put together. Audit rows come before the
        # change of their jobs' rows: their foreign key then finds rows that this transaction has locked already.
        for statement, rows_of in (
            (sql.INSERT_TENANTS, group.tenants),
            (sql.CLAIM_UIDS, group.new_uids),
            (sql.INSERT_JOBS, group.new_jobs),
            (sql.INSERT_TRANSITIONS, group.transitions),
            (sql.UPDATE_JOBS, group.changed_jobs),
            (sql.INSERT_NOTIFICATIONS, group.notifications),
            (sql.UNCLAIM_UIDS, group.new_uids),
        ):
            if rows := rows_of():
                await connection.execute(statement, (postgres_rows.as_json(rows),))
    return group.results
