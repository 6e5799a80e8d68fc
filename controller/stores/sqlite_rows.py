"""Records as SQLite's values and back: pure. `sqlite` puts them into statements."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from controller.domain import names
from controller.domain.phases import Phase
from controller.domain.records import JobRow, NotificationRow, TenantRow, Transition, TransitionRow
from controller.stores.merge import Stored

SqlValue = str | int | None

_NAMED_OTHERWISE = {"resource_path": "gcp_batch_job_path", "task_group": "gcp_batch_task_group"}
JOB_COLUMNS = tuple(_NAMED_OTHERWISE.get(field, field) for field in JobRow.__struct_fields__)
"""The columns of jobs that a JobRow fills, in the order of its fields."""
STORED_COLUMNS = (*JOB_COLUMNS, "uid", "transition", "destination")
TENANT_COLUMNS = TenantRow.__struct_fields__
TRANSITION_COLUMNS = TransitionRow.__struct_fields__
NOTIFICATION_COLUMNS = NotificationRow.__struct_fields__


def time_text(moment: datetime) -> str:
    """ISO 8601 in UTC with microseconds and Z: text that sorts as time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"


def stored_values(stored: Stored) -> tuple[SqlValue, ...]:
    """A job's record in the order of `STORED_COLUMNS`."""
    return (*_values(stored.row), stored.uid, stored.number, stored.destination)


def stored(values: Sequence[Any]) -> Stored:
    """The inverse of `stored_values`."""
    *columns, uid, number, destination = values
    return Stored(uid=uid, number=number, row=job_row(columns), destination=destination)


def job_row(values: Sequence[Any]) -> JobRow:
    """A row of jobs, selected by `JOB_COLUMNS`."""
    fields = _fields(JobRow.__struct_fields__, values)
    fields["status"] = Phase.from_wire(fields["status"])
    fields["commands"] = tuple(json.loads(fields["commands"]))
    if fields["use_spot_vms"] is not None:
        fields["use_spot_vms"] = bool(fields["use_spot_vms"])
    return JobRow(**fields)


def tenant_row(values: Sequence[Any]) -> TenantRow:
    """A row of tenants, selected by `TENANT_COLUMNS`."""
    return TenantRow(**_fields(TENANT_COLUMNS, values))


def transition_row(values: Sequence[Any]) -> TransitionRow:
    """A row of job_state_transitions, selected by `TRANSITION_COLUMNS`."""
    return TransitionRow(**_fields(TRANSITION_COLUMNS, values))


def notification_row(values: Sequence[Any]) -> NotificationRow:
    """A row of notifications, selected by `NOTIFICATION_COLUMNS`."""
    fields = _fields(NOTIFICATION_COLUMNS, values)
    return NotificationRow(**{**fields, "is_read": bool(fields["is_read"])})


def tenant_values(transition: Transition) -> tuple[SqlValue, ...]:
    """The tenant of a job whose tenant nobody created yet: all that is known of it is its id."""
    at = transition.at
    return _values(
        TenantRow(
            tenant_id=transition.row.tenant_id,
            user_email="",
            oauth_provider="",
            oauth_user_id="",
            created_at=at,
            updated_at=at,
        )
    )


def transition_values(transition: Transition) -> tuple[SqlValue, ...]:
    """The audit row, in the order of `TRANSITION_COLUMNS`."""
    return _values(
        TransitionRow(
            transition_id=names.transition_id(transition.uid, transition.number),
            from_status=transition.from_phase.wire if transition.from_phase else None,
            to_status=transition.row.status.wire,
            transitioned_at=transition.at,
            reason=transition.reason,
        )
    )


def notification_values(uid: str, row: JobRow, at: datetime) -> tuple[SqlValue, ...]:
    """The notification of a job's end, in the order of `NOTIFICATION_COLUMNS`."""
    return _values(
        NotificationRow(
            notification_id=names.notification_id(uid),
            tenant_id=row.tenant_id,
            job_id=row.job_id,
            job_name=row.name,
            final_status=row.status.wire,
            service_tier=row.service_tier,
            assigned_service=row.assigned_service,
            occurred_at=row.completed_at or at,
            error_message=row.error_message,
            is_read=False,
        )
    )


def _values(record: JobRow | TenantRow | TransitionRow | NotificationRow) -> tuple[SqlValue, ...]:
    return tuple(map(_value, msgspec.structs.astuple(record)))


def _value(value: Any) -> SqlValue:
    convert = _CONVERSIONS.get(type(value))
    return convert(value) if convert else value


_CONVERSIONS: dict[type, Callable[[Any], str]] = {
    Phase: lambda phase: phase.wire,
    datetime: time_text,
    tuple: lambda items: json.dumps(items, separators=(",", ":")),
}
"""The types of a record's fields that SQLite does not know; a bool is an int for it as for Python."""


def _fields(columns: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """The values by field, times parsed: they are the fields whose name ends with "_at"."""
    return {
        column: datetime.fromisoformat(value) if column.endswith("_at") and value is not None else value
        for column, value in zip(columns, values, strict=True)
    }
