"""The record in one DynamoDB table. Single-table design; pk and sk are text, <…> are ids as `names` allows them:

| pk | sk | item |
| --- | --- | --- |
| `JOB#<tenant>#<job>` | `ROW` | the job's row, its uid, its transition's number, the id of its last write, its
  destination; the uids of earlier objects of that job id that were deleted. These alone where the row was deleted |
| `JOB#<tenant>#<job>` | `TRANSITION#<number, 19 digits>` | an audit row |
| `JOBS#<tenant>` | `<created at>#<job>` | the row's entry in the tenant's list; no other attribute |
| `TENANT#<tenant>` | `TENANT` | the tenant |
| `NOTIFICATIONS#<tenant>` | `AT#<occurred at>#<notification id>` | a notification |
| `NOTIFICATIONS#<tenant>` | `UNREAD#<id>` or `READ#<id>` | its pointer, with its occurred_at |
| `SCHEMA` | `VERSION` | the schema's version |

Index `active` (active_shard, created_at; keys only): a row has active_shard, `ACTIVE#00` to `ACTIVE#15` by the hash of
its key, until its job ends. The index holds nothing else, and no partition of it is hot. It is eventually consistent:
who finds a job there reads its row before acting.

The tenant's list is written by the transaction that writes the row first, and read consistently: GetJob, ListJobs,
notifications and the unread count all show what was recorded before. A global index by tenant could not do that; rows
in a partition of their tenant, or a local index, could, but would bind all writes of a tenant to the 1,000 write units
of one partition (an estimated 100 transitions/s), and a local index to 10 GB. Here a job's writes go to its own
partition, and the tenant's see one entry of 100 bytes at the job's beginning and two items at its end. The price is one
read a row when jobs are listed, many at a time, and that a list is no snapshot: a job deleted meanwhile is left out.

One law is kept in the nearest way: `delete_job` of more than 90 audit rows is several transactions, the row's last.
"""

from collections.abc import Sequence
from datetime import datetime

from controller.domain.errors import Invalid
from controller.domain.phases import Phase
from controller.domain.records import JobRow, NotificationRow, Recorded, TenantRow, Transition, TransitionRow
from controller.ports import Page, RecordFailure
from controller.stores import dynamodb_edits, dynamodb_lists, dynamodb_record, dynamodb_schema, tombstones
from controller.stores import dynamodb_keys as keys
from controller.stores import dynamodb_rows as rows
from controller.stores.dynamodb_calls import begin
from controller.stores.dynamodb_connection import DynamoConnection

OPEN_SECONDS = 3.0
"""One request, not repeated: who opens the store waits and tries again, and says so."""


class DynamoStore:
    """`ports.JobStore` on a DynamoDB table. Credentials: those that boto3 finds."""

    def __init__(
        self,
        region: str,
        table: str,
        *,
        endpoint: str | None = None,
        tombstone_ttl_seconds: int = tombstones.TTL_SECONDS,
    ) -> None:
        self._connection = DynamoConnection(region, table, endpoint)
        self._tombstone_ttl_seconds = tombstone_ttl_seconds

    async def open(self) -> None:
        await self._connection.open()
        try:
            async with begin(self._connection, seconds=OPEN_SECONDS) as calls:
                await dynamodb_schema.check(calls, self._connection)
        except BaseException:
            await self._connection.close()
            raise

    async def close(self) -> None:
        await self._connection.close()

    async def record(self, transitions: Sequence[Transition]) -> Sequence[Recorded | RecordFailure]:
        async with begin(self._connection) as calls:
            return await dynamodb_record.record(calls, transitions)

    async def get_job(self, tenant_id: str, job_id: str) -> JobRow | None:
        async with begin(self._connection) as calls:
            item = await calls.get(keys.row(tenant_id, job_id))
        return rows.job_row(item) if item and rows.has_row(item) else None

    async def owner(self, tenant_id: str, job_id: str) -> str | None:
        async with begin(self._connection) as calls:
            item = await calls.get(keys.row(tenant_id, job_id))
        return rows.seen(item).owner if item else None

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
        span = dynamodb_lists.span(tenant_id, page_token, created_after)
        async with begin(self._connection) as calls:
            return await dynamodb_lists.page(calls, span, page_size=page_size, status=status)

    async def transitions(self, tenant_id: str, job_id: str) -> Sequence[TransitionRow]:
        async with begin(self._connection) as calls:
            items = await dynamodb_lists.transitions(calls, keys.row(tenant_id, job_id).pk)
        return [rows.transition_row(item) for item in items]

    async def delete_job(self, tenant_id: str, job_id: str, *, uid: str) -> bool:
        async with begin(self._connection) as calls:
            row = keys.row(tenant_id, job_id)
            return await dynamodb_edits.delete_job(calls, row, uid, self._tombstone_ttl_seconds)

    async def get_tenant(self, tenant_id: str) -> TenantRow | None:
        async with begin(self._connection) as calls:
            item = await calls.get(keys.tenant(tenant_id))
        return rows.tenant_row(item) if item else None

    async def list_notifications(self, tenant_id: str, *, limit: int) -> Sequence[NotificationRow]:
        async with begin(self._connection) as calls:
            items = await dynamodb_lists.notifications(calls, tenant_id, limit)
        return [rows.notification_row(item) for item in items]

    async def count_unread(self, tenant_id: str) -> int:
        async with begin(self._connection) as calls:
            return await dynamodb_lists.count_unread(calls, tenant_id)

    async def ack_notification(self, tenant_id: str, notification_id: str) -> bool:
        async with begin(self._connection) as calls:
            return await dynamodb_edits.ack_notification(calls, tenant_id, notification_id)
