"""Records as PostgreSQL's values and back: pure. `postgres` puts them into statements.

Many rows travel as one JSON parameter that the server unfolds (json_to_recordset): msgspec writes it an order of
magnitude faster than psycopg writes an array for each column.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from psycopg.types.json import Json

from controller.domain import names
from controller.domain.phases import Phase
from controller.domain.records import JobRow, NotificationRow, Record, TenantRow, Transition, TransitionRow
from controller.stores.merge import Stored

R = TypeVar("R", bound=Record)
Rows = Sequence[dict[str, Any]]

_NAMED_OTHERWISE = {"resource_path": "gcp_batch_job_path", "task_group": "gcp_batch_task_group"}
JOB_COLUMNS = tuple(_NAMED_OTHERWISE.get(field, field) for field in JobRow.__struct_fields__)
"""The columns of jobs that a JobRow fills, in the order of its fields."""
STORED_COLUMNS = (*JOB_COLUMNS, "uid", "transition", "destination")
_PHASES = {phase.wire: phase for phase in Phase}


def as_json(rows: Rows) -> Json:
    """One parameter of type json. Raises UnicodeEncodeError when it is sent, for text that is no Unicode."""
    return Json(rows, dumps=msgspec.json.encode)


def stored_values(stored: Stored) -> dict[str, Any]:
    """A job's record by `STORED_COLUMNS`."""
    values = dict(zip(JOB_COLUMNS, msgspec.structs.astuple(stored.row), strict=True))
    own = {"uid": stored.uid, "transition": stored.number, "destination": stored.destination}
    return {**values, "status": stored.row.status.wire, **own}


def stored(values: Sequence[Any]) -> Stored:
    """The inverse of `stored_values`, of a row selected by `STORED_COLUMNS`."""
    *columns, uid, number, destination = values
    return Stored(uid=uid, number=number, row=job_row(columns), destination=destination)


def job_row(values: Sequence[Any]) -> JobRow:
    """A row of jobs, selected by `JOB_COLUMNS`."""
    fields = _fields(JobRow, values)
    fields["status"] = _PHASES[fields["status"]]
    fields["commands"] = tuple(fields["commands"])
    return JobRow(**fields)


def tenant_row(values: Sequence[Any]) -> TenantRow:
    """A row of tenants, selected by its columns."""
    return TenantRow(**_fields(TenantRow, values))


def transition_row(values: Sequence[Any]) -> TransitionRow:
    """A row of job_state_transitions, selected by the fields of TransitionRow."""
    return TransitionRow(**_fields(TransitionRow, values))


def notification_row(values: Sequence[Any]) -> NotificationRow:
    """A row of notifications, selected by the fields of NotificationRow."""
    return NotificationRow(**_fields(NotificationRow, values))


def tenant_values(tenant_id: str, at: datetime) -> dict[str, Any]:
    """A tenant that nobody created yet: all that is known of it is its id."""
    empty = {"user_email": "", "oauth_provider": "", "oauth_user_id": ""}
    return {"tenant_id": tenant_id, **empty, "created_at": at, "updated_at": at}


def transition_values(transition: Transition) -> dict[str, Any]:
    """The audit row."""
    return {
        "tenant_id": transition.row.tenant_id,
        "job_id": transition.row.job_id,
        "transition_id": names.transition_id(transition.uid, transition.number),
        "from_status": transition.from_phase.wire if transition.from_phase else None,
        "to_status": transition.row.status.wire,
        "transitioned_at": transition.at,
        "reason": transition.reason,
        "number": transition.number,
    }


def notification_values(uid: str, row: JobRow, at: datetime) -> dict[str, Any]:
    """The notification of a job's end."""
    return {
        "tenant_id": row.tenant_id,
        "notification_id": names.notification_id(uid),
        "job_id": row.job_id,
        "job_name": row.name,
        "final_status": row.status.wire,
        "service_tier": row.service_tier,
        "assigned_service": row.assigned_service,
        "occurred_at": row.completed_at or at,
        "error_message": row.error_message,
        "is_read": False,
        "created_at": at,
    }


def _fields(record: type[R], values: Sequence[Any]) -> dict[str, Any]:
    """The values by field, times in UTC: PostgreSQL gives them in the session's zone."""
    fields = dict(zip(record.__struct_fields__, values, strict=True))
    for field in _TIMES[record]:
        if fields[field] is not None:
            fields[field] = fields[field].astimezone(UTC)
    return fields


_TIMES: dict[type[Record], tuple[str, ...]] = {
    record: tuple(field for field in record.__struct_fields__ if field.endswith("_at"))
    for record in (JobRow, TenantRow, TransitionRow, NotificationRow)
}
