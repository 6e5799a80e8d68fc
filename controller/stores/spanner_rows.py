"""Records as rows of contract §2 and back: pure. `spanner` and `spanner_record` read and write them.

Times. Columns with allow_commit_timestamp refuse a time that is yet to come for Spanner's clock, which is not ours:
such a time is written as Spanner's own (`past`). All other times are written as they are given: UpdatedAt and
CreatedAt are what the API shows and lists by, and a repeated write must not move them. Notifications.CreatedAt, which
nobody passes to us, is the commit's timestamp.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from google.cloud.spanner_v1 import COMMIT_TIMESTAMP
from google.protobuf.struct_pb2 import ListValue

from controller.domain import names
from controller.domain.phases import Phase
from controller.domain.records import JobRow, NotificationRow, Record, TenantRow, Transition, TransitionRow
from controller.stores import spanner_values as values
from controller.stores.spanner_values import Row

_NAMED_OTHERWISE = {
    "resource_path": "GcpBatchJobPath",
    "task_group": "GcpBatchTaskGroup",
    "oauth_provider": "OAuthProvider",
    "oauth_user_id": "OAuthUserId",
}
_READ_OTHERWISE: dict[str, Callable[[Any], Any]] = {
    "commands": values.texts,
    "retry_count": values.integer,
    "max_retries": values.integer,
    "boot_disk_size_gb": values.integer,
    "memory_mib": values.integer,
    "cpu_millis": values.integer,
    "max_run_duration_seconds": values.integer,
    "status": Phase.from_wire,
}
_SEARCHED_NUMBERS = 1000
"""How far from the known numbers an audit row's number is looked for: only gaps and foreign rows need it."""


def _column(field: str) -> str:
    return _NAMED_OTHERWISE.get(field) or "".join(part.capitalize() for part in field.split("_"))


def _reader(field: str) -> Callable[[Any], Any] | None:
    return _READ_OTHERWISE.get(field) or (values.moment if field.endswith("_at") else None)


def _columns(record: type[Record]) -> tuple[str, ...]:
    return tuple(_column(field) for field in record.__struct_fields__)


def _readers(record: type[Record]) -> tuple[tuple[str, Callable[[Any], Any] | None], ...]:
    """For each field what makes it of the value that was sent, None where it is that value."""
    return tuple((field, _reader(field)) for field in record.__struct_fields__)


JOB_COLUMNS = _columns(JobRow)
TENANT_COLUMNS = _columns(TenantRow)
TRANSITION_COLUMNS = _columns(TransitionRow)
NOTIFICATION_COLUMNS = _columns(NotificationRow)

WRITTEN_TRANSITION_COLUMNS = ("TenantId", "JobId", *TRANSITION_COLUMNS)
WRITTEN_NOTIFICATION_COLUMNS = (*(column for column in NOTIFICATION_COLUMNS if column != "IsRead"), "CreatedAt")
"""Without IsRead: a new row gets its default, and one that was read stays read."""

_JOB_READERS = _readers(JobRow)
_TENANT_READERS = _readers(TenantRow)
_TRANSITION_READERS = _readers(TransitionRow)
_NOTIFICATION_READERS = _readers(NotificationRow)


def job_row(row: Row) -> JobRow:
    """A row of Jobs, read by `JOB_COLUMNS`."""
    return JobRow(**_fields(_JOB_READERS, row))


def tenant_row(row: Row) -> TenantRow:
    """A row of Tenants, read by `TENANT_COLUMNS`."""
    return TenantRow(**_fields(_TENANT_READERS, row))


def transition_row(row: Row) -> TransitionRow:
    """A row of JobStateTransitions, read by `TRANSITION_COLUMNS`."""
    return TransitionRow(**_fields(_TRANSITION_READERS, row))


def notification_row(row: Row) -> NotificationRow:
    """A row of Notifications, read by `NOTIFICATION_COLUMNS`."""
    return NotificationRow(**_fields(_NOTIFICATION_READERS, row))


def job_values(row: JobRow, now: datetime) -> ListValue:
    """In the order of `JOB_COLUMNS`; the lease columns are not among them and stay NULL."""
    plain = {field: getattr(row, field) for field in row.__struct_fields__}
    plain["status"] = row.status.wire
    plain["created_at"] = past(row.created_at, now)
    plain["updated_at"] = past(row.updated_at, now)
    return values.row(list(plain.values()))


def tenant_values(tenant_id: str, at: datetime, now: datetime) -> ListValue:
    """The tenant of a job whose tenant nobody created yet: all that is known of it is its id."""
    return values.row((tenant_id, "", "", "", past(at, now), past(at, now)))


def transition_values(transition: Transition, at: datetime) -> ListValue:
    """In the order of `WRITTEN_TRANSITION_COLUMNS`."""
    return values.row(
        (
            transition.row.tenant_id,
            transition.row.job_id,
            names.transition_id(transition.uid, transition.number),
            transition.from_phase.wire if transition.from_phase else None,
            transition.row.status.wire,
            at,
            transition.reason,
        )
    )


def notification_values(uid: str, row: JobRow, at: datetime) -> ListValue:
    """The notification of a job's end, in the order of `WRITTEN_NOTIFICATION_COLUMNS`."""
    return values.row(
        (
            names.notification_id(uid),
            row.tenant_id,
            row.job_id,
            row.name,
            row.status.wire,
            row.service_tier,
            row.assigned_service,
            row.completed_at or at,
            row.error_message,
            COMMIT_TIMESTAMP,
        )
    )


def past(moment: datetime, now: datetime) -> datetime:
    """That moment, or now where it is yet to come by Spanner's clock."""
    return min(moment, now)


def number_of(uid: str, audit_ids: Collection[str], hint: int) -> int | None:
    """The newest number of that object among those audit rows; None where not one of them is its own.

    There is no column for it: the ids are derived from the numbers, which have no gaps but for what was written
    before the row was deleted once. `hint` is a number that is likely to be near.
    """
    missing, found = set(audit_ids), None
    for number in range(hint + len(missing) + _SEARCHED_NUMBERS if missing else 0):
        candidate = names.transition_id(uid, number)
        if candidate in missing:
            found = number
            missing.remove(candidate)
            if not missing:
                break
    return found


def _fields(readers: Sequence[tuple[str, Callable[[Any], Any] | None]], row: Row) -> dict[str, Any]:
    return {field: read(found) if read else found for (field, read), found in zip(readers, row, strict=True)}
