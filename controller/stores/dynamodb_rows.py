"""Records as DynamoDB's items and back: pure. The key scheme is in `dynamodb`'s docstring.

NULL is an attribute that is absent, and so is an empty list. Times are text, ISO 8601 in UTC with microseconds and Z.
"""

import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

from controller.domain import names, reasons
from controller.domain.errors import Permanent
from controller.domain.phases import Phase
from controller.domain.records import JobRow, NotificationRow, Record, TenantRow, Transition, TransitionRow
from controller.stores.merge import Stored

Item = dict[str, Any]
"""Attributes by name, each as DynamoDB writes it: {"S": text}, {"N": digits}, {"BOOL": …} or {"L": […]}."""
R = TypeVar("R", bound=Record)

ITEM_BYTES = 400 * 1024
"""DynamoDB's limit of one item, names included."""
KEY_BYTES = 1024
"""DynamoDB's limit of a sort key; ours of a partition key as well, whose limit is twice that."""
ACTIVE_SHARDS = 16
"""Partitions of the index of active jobs. More may be added: a job keeps the shard that it was written with."""

ROW, TENANT, TRANSITION = "ROW", "TENANT", "TRANSITION#"
NOTIFICATION, UNREAD, READ = "AT#", "UNREAD#", "READ#"
_NAMED_OTHERWISE = {"resource_path": "gcp_batch_job_path", "task_group": "gcp_batch_task_group"}
_INT64 = 2**63


class Key(NamedTuple):
    """The primary key of an item."""

    pk: str
    sk: str

    @property
    def attributes(self) -> Item:
        return {"pk": {"S": self.pk}, "sk": {"S": self.sk}}


class Seen(Record, frozen=True, kw_only=True):
    """A job's record as it was read, and the write that left it so."""

    stored: Stored
    write_id: str


def row_key(tenant_id: str, job_id: str) -> Key:
    return Key(f"JOB#{_part(tenant_id)}#{_part(job_id)}", ROW)


def listed_row_keys(tenant_id: str, entries: Iterable[Item]) -> list[Key]:
    """The keys of the rows that these entries of the tenant's list stand for."""
    prefix = row_key(tenant_id, "").pk
    return [Key(prefix + entry["sk"]["S"].partition("#")[2], ROW) for entry in entries]


def entry_key(tenant_id: str, created_at: datetime, job_id: str) -> Key:
    """The row's entry in the tenant's list: it sorts by creation, then by job id."""
    return Key(list_pk(tenant_id), f"{time_text(created_at)}#{_part(job_id)}")


def list_pk(tenant_id: str) -> str:
    return f"JOBS#{_part(tenant_id)}"


def tenant_key(tenant_id: str) -> Key:
    return Key(f"TENANT#{_part(tenant_id)}", TENANT)


def transition_key(tenant_id: str, job_id: str, number: int) -> Key:
    """The audit rows of a job lie beside its row, in the order of their numbers."""
    return Key(row_key(tenant_id, job_id).pk, f"{TRANSITION}{number:019}")


def notifications_pk(tenant_id: str) -> str:
    return f"NOTIFICATIONS#{_part(tenant_id)}"


def notification_key(tenant_id: str, occurred_at: str, notification_id: str) -> Key:
    """`occurred_at` is the text of the attribute."""
    return Key(notifications_pk(tenant_id), f"{NOTIFICATION}{occurred_at}#{_part(notification_id)}")


def pointer_keys(tenant_id: str, notification_id: str) -> tuple[Key, Key]:
    """Where a notification is found by its id: under the first key while it is unread, then under the second."""
    pk, part = notifications_pk(tenant_id), _part(notification_id)
    return Key(pk, f"{UNREAD}{part}"), Key(pk, f"{READ}{part}")


def row_item(stored: Stored, write_id: str) -> Item:
    """A job's row. Raises Permanent(RECORD_REJECTED) for values that DynamoDB does not take."""
    row = stored.row
    key = row_key(row.tenant_id, row.job_id)
    item = _item(key, row)
    item |= {"uid": _attribute(stored.uid), "transition": _attribute(stored.number), "write_id": {"S": write_id}}
    if not row.status.is_terminal:
        # The index holds only the items that have this attribute.
        item["active_shard"] = {"S": active_shard(zlib.crc32(key.pk.encode()))}
    return _checked(item)


def active_shard(number: int) -> str:
    return f"ACTIVE#{number % ACTIVE_SHARDS:02}"


def entry_item(row: JobRow) -> Item:
    return _checked(entry_key(row.tenant_id, row.created_at, row.job_id).attributes)


def transition_item(transition: Transition) -> Item:
    """The audit row. Raises Permanent(RECORD_REJECTED)."""
    if not 0 <= transition.number < _INT64:
        raise _rejected("a number is out of range")
    row = transition.row
    audit = TransitionRow(
        transition_id=names.transition_id(transition.uid, transition.number),
        from_status=transition.from_phase.wire if transition.from_phase else None,
        to_status=row.status.wire,
        transitioned_at=transition.at,
        reason=transition.reason,
    )
    return _checked(_item(transition_key(row.tenant_id, row.job_id, transition.number), audit))


def notification_items(uid: str, row: JobRow, at: datetime) -> tuple[Item, Item]:
    """The notification of a job's end and its pointer. Raises Permanent(RECORD_REJECTED)."""
    note = NotificationRow(
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
    occurred_at = time_text(note.occurred_at)
    unread, _ = pointer_keys(row.tenant_id, note.notification_id)
    body = _item(notification_key(row.tenant_id, occurred_at, note.notification_id), note)
    return _checked(body), {**unread.attributes, "occurred_at": {"S": occurred_at}}


def tenant_item(transition: Transition) -> Item:
    """The tenant of a job whose tenant nobody created yet: all that is known of it is its id."""
    tenant_id, at = transition.row.tenant_id, transition.at
    tenant = TenantRow(
        tenant_id=tenant_id, user_email="", oauth_provider="", oauth_user_id="", created_at=at, updated_at=at
    )
    return _checked(_item(tenant_key(tenant_id), tenant))


def seen(item: Item) -> Seen:
    """The inverse of `row_item`."""
    stored = Stored(uid=item["uid"]["S"], number=int(item["transition"]["N"]), row=job_row(item))
    return Seen(stored=stored, write_id=item["write_id"]["S"])


def job_row(item: Item) -> JobRow:
    fields = _fields(JobRow, item)
    fields["status"] = Phase.from_wire(fields["status"])
    return JobRow(**fields)


def tenant_row(item: Item) -> TenantRow:
    return _record(TenantRow, item)


def transition_row(item: Item) -> TransitionRow:
    return _record(TransitionRow, item)


def notification_row(item: Item) -> NotificationRow:
    return _record(NotificationRow, item)


def time_text(moment: datetime) -> str:
    """Text that sorts as time. Raises Permanent(RECORD_REJECTED) for a time that UTC's calendar does not have."""
    try:
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    except (OverflowError, ValueError) as error:
        raise _rejected("a time is out of range") from error


def item_bytes(item: Item) -> int:
    """DynamoDB's size of an item, or a few bytes more (numbers). Raises UnicodeEncodeError."""
    return sum(len(name) + _bytes(value) for name, value in item.items())


def _part(text: str) -> str:
    # A legal id (`names`) stays as it is; any other cannot be taken for two parts of a key, nor fail to be asked for.
    return quote(text, safe="", errors="surrogatepass")


def _item(key: Key, record: Record) -> Item:
    item = key.attributes
    for field in record.__struct_fields__:
        value = getattr(record, field)
        if value is not None and value != ():
            item[_NAMED_OTHERWISE.get(field, field)] = _attribute(value)
    return item


def _attribute(value: object) -> Item:
    match value:
        case bool():
            return {"BOOL": value}
        case int():
            if not -_INT64 <= value < _INT64:
                raise _rejected("a number does not fit into 64 bits")
            return {"N": str(value)}
        case Phase():
            return {"S": value.wire}
        case datetime():
            return {"S": time_text(value)}
        case tuple():
            return {"L": [_attribute(element) for element in value]}
        case _:
            return {"S": str(value)}


def _checked(item: Item) -> Item:
    """The same item. What DynamoDB would refuse is refused here: it would fail a whole transaction of many jobs."""
    if len(item["pk"]["S"]) > KEY_BYTES or len(item["sk"]["S"]) > KEY_BYTES:  # keys are ASCII
        raise _rejected("an id is too long")
    try:
        size = item_bytes(item)
    except UnicodeEncodeError:
        # Without its cause: that one quotes the text.
        raise _rejected("a text is not Unicode") from None
    if size > ITEM_BYTES:
        raise _rejected("the row is larger than DynamoDB's 400 KB")
    return item


def _rejected(why: str) -> Permanent:
    return Permanent(f"the database refused the row: {why}", reason=reasons.RECORD_REJECTED)


def _bytes(value: Item) -> int:
    [(kind, content)] = value.items()
    if kind == "L":
        return 3 + sum(1 + _bytes(element) for element in content)
    return 1 if kind == "BOOL" else len(content.encode()) + (kind == "N")


def _columns(kind: type[Record]) -> dict[str, str]:
    return {_NAMED_OTHERWISE.get(field, field): field for field in kind.__struct_fields__}


_COLUMNS: dict[type[Record], dict[str, str]] = {
    kind: _columns(kind) for kind in (JobRow, TenantRow, TransitionRow, NotificationRow)
}
"""A record's fields, by the names of their attributes."""


def _record(kind: type[R], item: Item) -> R:
    return kind(**(dict.fromkeys(kind.__struct_fields__) | _fields(kind, item)))


def _fields(kind: type[Record], item: Item) -> dict[str, Any]:
    """The record's fields that the item has, times parsed: they are those whose name ends with "_at"."""
    found: dict[str, Any] = {}
    fields = _COLUMNS[kind]
    for name, attribute in item.items():
        if name not in fields:
            continue
        [(tag, value)] = attribute.items()
        if tag == "N":
            value = int(value)
        elif tag == "L":
            value = tuple([element["S"] for element in value])
        elif name[-3:] == "_at":
            value = datetime.fromisoformat(value)
        found[fields[name]] = value
    return found
