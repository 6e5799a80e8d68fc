"""Records as Cosmos DB's documents and back: pure. `cosmosdb_writes` and `cosmosdb` put them into requests.

One container holds everything of a tenant in one logical partition (`/tenantId`): only there are several
documents one transaction. `type` and the prefix of `id` say what a document is:

    tenant                the tenant                       type tenant
    job:<job id>          the job's row, its uid, the      type job
                          number it stands at, its
                          destination; the tombstones of
                          earlier objects of that job id
                          these alone: the row is deleted  type tombstones
    transition:<id>       an audit row                     type transition
    notification:<id>     the end of a job                 type notification

Properties are the fields of `domain.records` in camelCase. What is NULL in SQL is left out. Times are text,
RFC 3339 in UTC with microseconds and Z, so that they sort.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote

from controller.domain import names, reasons
from controller.domain.errors import Permanent
from controller.domain.phases import Phase
from controller.domain.records import JobRow, NotificationRow, Record, TenantRow, Transition, TransitionRow
from controller.stores.merge import Stored
from controller.stores.tombstones import Tombstones

Document = dict[str, Any]
R = TypeVar("R", bound=Record)

MAX_INTEGER = 2**53
"""A number is a double in Cosmos DB: whole numbers are exact up to here."""
TENANT_DOCUMENT = "tenant"
_NAMED_OTHERWISE = {"resource_path": "gcpBatchJobPath", "task_group": "gcpBatchTaskGroup"}


def job_document_id(job_id: str) -> str:
    return f"job:{_part(job_id)}"


def notification_document_id(notification_id: str) -> str:
    return f"notification:{_part(notification_id)}"


def _part(text: str) -> str:
    # A legal id (`names`) stays as it is. The SDK makes a path of it, in which "x/../job:1" would be another record.
    return quote(text, safe="", errors="surrogatepass")


def time_text(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds and Z: text that sorts as time."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def tenant_document(transition: Transition) -> Document:
    """The tenant of a job whose tenant nobody created yet: all that is known of it is its id."""
    tenant_id, at = transition.row.tenant_id, transition.at
    tenant = TenantRow(
        tenant_id=tenant_id, user_email="", oauth_provider="", oauth_user_id="", created_at=at, updated_at=at
    )
    return {"id": TENANT_DOCUMENT, "type": "tenant", **_properties(tenant)}


def job_document(stored: Stored, deleted: Tombstones) -> Document:
    """A job's record, with the tombstones of earlier objects of its job id."""
    row = stored.row
    own = {"id": job_document_id(row.job_id), "type": "job", "uid": stored.uid, "transition": stored.number}
    if stored.destination is not None:
        own["destination"] = stored.destination
    if deleted:
        own["deleted"] = dict(deleted)
    return {**own, **_properties(row)}


def tombstones_document(tenant_id: str, job_id: str, deleted: Tombstones, now: float) -> Document:
    """What is left of a job's record that was deleted. The service removes it after its last tombstone has expired."""
    ttl = max(1, max(deleted.values()) - int(now))
    own = {"id": job_document_id(job_id), "type": "tombstones", "tenantId": tenant_id, "jobId": job_id}
    return {**own, "deleted": dict(deleted), "ttl": ttl}


def deleted(document: Mapping[str, Any] | None) -> Tombstones:
    """The tombstones in a document of either kind; None has none."""
    found: dict[str, int] = document.get("deleted", {}) if document else {}
    return found


def has_row(document: Mapping[str, Any] | None) -> bool:
    """Whether that is a job's record: not nothing, nor tombstones alone."""
    return document is not None and document["type"] == "job"


def transition_document(transition: Transition) -> Document:
    """The audit row. `number` orders a job's: clocks do not, transitions come from several machines."""
    audit = TransitionRow(
        transition_id=names.transition_id(transition.uid, transition.number),
        from_status=transition.from_phase.wire if transition.from_phase else None,
        to_status=transition.row.status.wire,
        transitioned_at=transition.at,
        reason=transition.reason,
    )
    own = {"id": f"transition:{audit.transition_id}", "type": "transition", "number": transition.number}
    key = {"tenantId": transition.row.tenant_id, "jobId": transition.row.job_id}
    return {**own, **key, **_properties(audit)}


def notification_document(uid: str, row: JobRow, at: datetime) -> Document:
    """The notification of a job's end."""
    notification = NotificationRow(
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
    own = {"id": notification_document_id(notification.notification_id), "type": "notification"}
    return {**own, "createdAt": time_text(at), **_properties(notification)}


def stored(document: Mapping[str, Any]) -> Stored:
    """The inverse of `job_document`."""
    destination = document.get("destination")
    return Stored(uid=document["uid"], number=document["transition"], row=job_row(document), destination=destination)


def job_row(document: Mapping[str, Any]) -> JobRow:
    return _record(JobRow, document)


def tenant_row(document: Mapping[str, Any]) -> TenantRow:
    return _record(TenantRow, document)


def transition_row(document: Mapping[str, Any]) -> TransitionRow:
    return _record(TransitionRow, document)


def notification_row(document: Mapping[str, Any]) -> NotificationRow:
    return _record(NotificationRow, document)


def size(document: Document) -> int:
    """The bytes of the document in a request. Raises Permanent(RECORD_REJECTED) for what JSON cannot carry."""
    try:
        for value in document.values():
            if isinstance(value, int) and abs(value) > MAX_INTEGER:
                raise OverflowError
        # The SDK escapes what is no ASCII; lone surrogates would pass it and be refused, or changed, by the service.
        text = json.dumps(document, separators=(",", ":"))
        if "\\ud" in text:
            json.dumps(document, ensure_ascii=False).encode()
    except (OverflowError, UnicodeError) as error:
        name = type(error).__name__
        raise Permanent(f"the database refused the row: {name}", reason=reasons.RECORD_REJECTED) from error
    return len(text)


def _camel_case(field: str) -> str:
    first, *rest = field.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _names(record_type: type[Record]) -> dict[str, str]:
    """Property by field."""
    return {field: _NAMED_OTHERWISE.get(field, _camel_case(field)) for field in record_type.__struct_fields__}


_NAMES: dict[type[Record], dict[str, str]] = {
    JobRow: _names(JobRow),
    TenantRow: _names(TenantRow),
    TransitionRow: _names(TransitionRow),
    NotificationRow: _names(NotificationRow),
}


def _properties(record: Record) -> Document:
    named = ((name, getattr(record, field)) for field, name in _NAMES[type(record)].items())
    return {name: _value(value) for name, value in named if value is not None}


def _value(value: object) -> object:
    match value:
        case Phase():
            return value.wire
        case datetime():
            return time_text(value)
        case tuple():
            return list(value)
        case _:
            return value


def _record(record_type: type[R], document: Mapping[str, Any]) -> R:
    return record_type(**{field: _field(field, document.get(name)) for field, name in _NAMES[record_type].items()})


def _field(field: str, value: Any) -> object:
    """The inverse of `_value`: times are the fields whose name ends with "_at"."""
    if value is None:
        return None
    if field.endswith("_at"):
        return datetime.fromisoformat(value)
    match field:
        case "status":
            return Phase.from_wire(value)
        case "commands":
            return tuple(value)
        case _:
            return value
