"""The record in Cloud Spanner, in the tables that the Gateway reads itself (contract §2).

There is no column for an object's uid or for the number of its newest transition, and none may be added: both are
found again from the ids of the audit rows (`spanner_rows.number_of`). A row without an audit row of the object's is
another's: also the rows that the original worker wrote. What these tables have no place for is in one of our own,
JennahEvidence (`spanner_evidence`): it is written with the row, and outlives it as the tombstone of a deleted object.

Reads are strong. What the laws of `ports.JobStore` leave open: a time that is yet to come by Spanner's clock is
written as now, and an audit row's time is at least a microsecond after the one before it.
"""

from collections.abc import Sequence
from datetime import datetime

from controller.domain.errors import Invalid, Unavailable
from controller.domain.phases import Phase
from controller.domain.records import JobRow, NotificationRow, Recorded, TenantRow, Transition, TransitionRow
from controller.ports import Page, RecordFailure
from controller.stores import paging, spanner_evidence, spanner_record, spanner_rows, spanner_schema, tombstones
from controller.stores.spanner_connection import SpannerConnection
from controller.stores.spanner_transaction import CALL_SECONDS
from controller.stores.spanner_values import Row, Statement

_OPEN_SECONDS = 3.0
"""Less than other calls have: who starts tries again anyway, and wants to read soon what is missing."""

# S608: these statements are put together from column names, never from values.
_JOB_COLUMNS = ", ".join(f"j.{column}" for column in spanner_rows.JOB_COLUMNS)
_SELECT_JOB = f"SELECT {_JOB_COLUMNS} FROM Jobs j WHERE TenantId = @tenant AND JobId = @job"  # noqa: S608
_SELECT_JOBS = f"SELECT {_JOB_COLUMNS} FROM Jobs j WHERE"  # noqa: S608
_NEWEST_JOBS = "ORDER BY j.CreatedAt DESC, j.JobId DESC"
# A page looks for its jobs in the index, which is narrow, and reads the rows of these only.
_SELECT_PAGE_KEYS = "SELECT k.JobId FROM Jobs@{FORCE_INDEX=JobsByStatus} k WHERE"
_NEWEST_KEYS = "ORDER BY k.CreatedAt DESC, k.JobId DESC LIMIT @limit"
_SELECT_TENANT = f"SELECT {', '.join(spanner_rows.TENANT_COLUMNS)} FROM Tenants WHERE TenantId = @tenant"  # noqa: S608
_SELECT_TRANSITIONS = (
    f"SELECT {', '.join(spanner_rows.TRANSITION_COLUMNS)} FROM JobStateTransitions "  # noqa: S608
    "WHERE TenantId = @tenant AND JobId = @job ORDER BY TransitionedAt"
)
_NOTIFICATION_COLUMNS = ", ".join(f"n.{column}" for column in spanner_rows.NOTIFICATION_COLUMNS)
_SELECT_NOTIFICATIONS = (
    f"SELECT {_NOTIFICATION_COLUMNS} FROM (SELECT k.NotificationId "  # noqa: S608
    "FROM Notifications@{FORCE_INDEX=NotificationsByTenant} k WHERE k.TenantId = @tenant "
    "ORDER BY k.OccurredAt DESC, k.NotificationId LIMIT @limit) k "
    "JOIN Notifications n ON n.TenantId = @tenant AND n.NotificationId = k.NotificationId "
    "ORDER BY n.OccurredAt DESC, n.NotificationId"
)
_COUNT_UNREAD = (
    "SELECT COUNT(*) FROM Notifications@{FORCE_INDEX=NotificationsByTenant} WHERE TenantId = @tenant AND IsRead = FALSE"
)
_ACK = (
    "UPDATE Notifications SET IsRead = TRUE "
    "WHERE TenantId = @tenant AND NotificationId = @id THEN RETURN NotificationId"
)


class SpannerStore:
    """`ports.JobStore` on Cloud Spanner. `call_seconds` is the time limit of each call with its retries."""

    def __init__(
        self,
        project: str,
        instance: str,
        database: str,
        *,
        tombstone_ttl_seconds: int = tombstones.TTL_SECONDS,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self._connection = SpannerConnection(project, instance, database, seconds=call_seconds)
        self._open_seconds = min(call_seconds, _OPEN_SECONDS)
        self._tombstone_ttl_seconds = tombstone_ttl_seconds

    async def open(self) -> None:
        await self._connection.open()
        try:
            await self._connection.run(spanner_schema.check, seconds=self._open_seconds)
        except Unavailable as error:
            await self._connection.close()
            raise Unavailable(f"{error} ({self._connection.database_path})") from error
        except BaseException:
            await self._connection.close()
            raise

    async def close(self) -> None:
        await self._connection.close()

    async def record(self, transitions: Sequence[Transition]) -> Sequence[Recorded | RecordFailure]:
        return await self._connection.run(lambda sessions, time: spanner_record.record(sessions, transitions, time))

    async def get_job(self, tenant_id: str, job_id: str) -> JobRow | None:
        rows = await self._read(Statement(_SELECT_JOB, tenant=tenant_id, job=job_id))
        return spanner_rows.job_row(rows[0]) if rows else None

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
        last = paging.decode(page_token) if page_token else None
        found = await self._read(_select_jobs(tenant_id, page_size, last, status, created_after))
        jobs = tuple(spanner_rows.job_row(row) for row in found[:page_size])
        if len(jobs) == len(found):
            return Page(jobs=jobs)
        last = paging.Position(created_at=jobs[-1].created_at, job_id=jobs[-1].job_id)
        return Page(jobs=jobs, next_token=paging.encode(last))

    async def transitions(self, tenant_id: str, job_id: str) -> Sequence[TransitionRow]:
        rows = await self._read(Statement(_SELECT_TRANSITIONS, tenant=tenant_id, job=job_id))
        return [spanner_rows.transition_row(row) for row in rows]

    async def owner(self, tenant_id: str, job_id: str) -> str | None:
        rows = await self._read(Statement(spanner_evidence.SELECT_OWNER, tenant=tenant_id, job=job_id))
        return (rows[0][0] or "") if rows else None

    async def delete_job(self, tenant_id: str, job_id: str, *, uid: str) -> bool:
        key, ttl_seconds = (tenant_id, job_id), self._tombstone_ttl_seconds
        return await self._connection.run(
            lambda sessions, time: sessions.transact(
                lambda transaction: spanner_evidence.delete_job(transaction, key, uid, ttl_seconds), time
            )
        )

    async def get_tenant(self, tenant_id: str) -> TenantRow | None:
        rows = await self._read(Statement(_SELECT_TENANT, tenant=tenant_id))
        return spanner_rows.tenant_row(rows[0]) if rows else None

    async def list_notifications(self, tenant_id: str, *, limit: int) -> Sequence[NotificationRow]:
        rows = await self._read(Statement(_SELECT_NOTIFICATIONS, tenant=tenant_id, limit=limit))
        return [spanner_rows.notification_row(row) for row in rows]

    async def count_unread(self, tenant_id: str) -> int:
        rows = await self._read(Statement(_COUNT_UNREAD, tenant=tenant_id))
        return int(rows[0][0])

    async def ack_notification(self, tenant_id: str, notification_id: str) -> bool:
        ack = Statement(_ACK, tenant=tenant_id, id=notification_id)
        return await self._connection.run(
            lambda sessions, time: sessions.transact(lambda transaction: bool(transaction.execute(ack)), time)
        )

    async def _read(self, statement: Statement) -> list[Row]:
        return await self._connection.run(lambda sessions, time: sessions.query(statement, time))


def _select_jobs(
    tenant_id: str,
    page_size: int | None,
    last: paging.Position | None,
    status: Phase | None,
    created_after: datetime | None,
) -> Statement:
    """The rows of `job_row`, one more than the page has where there is a next one."""
    params: dict[str, str | int | datetime] = {"tenant": tenant_id}
    where = ["{0}.TenantId = @tenant"]
    if status is not None:
        where.append("{0}.Status = @status")
        params["status"] = status.wire
    if created_after is not None:
        where.append("{0}.CreatedAt > @after")
        params["after"] = created_after
    if last is not None:
        where.append("{0}.CreatedAt <= @last AND ({0}.CreatedAt < @last OR {0}.JobId < @last_job)")
        params |= {"last": last.created_at, "last_job": last.job_id}
    conditions = " AND ".join(where)
    if page_size is None:
        return Statement(f"{_SELECT_JOBS} {conditions.format('j')} {_NEWEST_JOBS}", **params)
    page = f"{_SELECT_PAGE_KEYS} {conditions.format('k')} {_NEWEST_KEYS}"
    join = "JOIN Jobs j ON j.TenantId = @tenant AND j.JobId = k.JobId"
    return Statement(
        f"SELECT {_JOB_COLUMNS} FROM ({page}) k {join} {_NEWEST_JOBS}",  # noqa: S608
        **params,
        limit=page_size + 1,
    )
