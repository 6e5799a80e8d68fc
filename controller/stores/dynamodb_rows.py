"""Records as DynamoDB's items and back: pure. The key scheme is in `dynamodb`'s docstring.

NULL is an attribute that is absent, and so is an empty list. Times are text, ISO 8601 in UTC with microseconds and Z.
"""

from datetime import datetime
from typing import Any, TypeVar

from controller.domain import names
from controller.domain.phases import Phase
from controller.domain.records import JobRow, NotificationRow, Record, TenantRow, Transition, TransitionRow
from controller.stores import dynamodb_keys as keys
from controller.stores.dynamodb_keys import Item, Key
from controller.stores.merge import Stored
from controller.stores.tombstones import Tombstones

R = TypeVar("R", bound=Record)

ITEM_BYTES = 400 * 1024
"""DynamoDB's limit of one item, names included."""

_NAMED_OTHERWISE = {"resource_path": "gcp_batch_job_path", "task_group": "gcp_batch_task_group"}
_INT64 = 2**63


class Seen(Record, frozen=True, kw_only=True):
    """What is kept of a job id as it was read, and the write that left it so."""

    stored: Stored | None
    """None: there is no row, only tombstones."""
    deleted: Tombstones
    write_id: str

    @property
    def owner(self) -> str | None:
        """The uid of the object whose row that is."""
        return self.stored.uid if self.stored else None


def row_item(stored: Stored, deleted: Tombstones, write_id: str) -> Item:
    """A job's row, with the tombstones of earlier objects of its job id.

    Raises Permanent(RECORD_REJECTED) for values that DynamoDB does not take.
    """
    row = stored.row
    key = keys.row(row.tenant_id, row.job_id)
    item = _item(key, row)
    item |= {"uid": _attribute(stored.uid), "transition": _attribute(stored.number)}
    if stored.destination is not None:
        item["destination"] = _attribute(stored.destination)
    if not row.status.is_terminal:
        # The index holds only the items that have this attribute.
        item["active_shard"] = {"S": keys.active_shard(key)}
    return _checked(with_tombstones(item, deleted, write_id))


def with_tombstones(item: Item, deleted: Tombstones, write_id: str) -> Item:
    """A row with those tombstones in place of its own; or what is left where there is no row: DynamoDB removes that
    after its last tombstone has expired."""
    item = {name: value for name, value in item.items() if name not in ("deleted", "expires_at")}
    if deleted:
        item["deleted"] = {"M": {uid: {"N": str(at)} for uid, at in deleted.items()}}
    if deleted and "uid" not in item:
        item["expires_at"] = {"N": str(max(deleted.values()))}
    return {**item, "write_id": {"S": write_id}}


def entry_item(row: JobRow) -> Item:
    return _checked(keys.entry(row.tenant_id, row.created_at, row.job_id).attributes)


def transition_item(transition: Transition) -> Item:
    """The audit row. Raises Permanent(RECORD_REJECTED)."""
    if not 0 <= transition.number < _INT64:
        raise keys.rejected("a number is out of range")
    row = transition.row
    audit = TransitionRow(
        transition_id=names.transition_id(transition.uid, transition.number),
        from_status=transition.from_phase.wire if transition.from_phase else None,
        to_status=row.status.wire,
        transitioned_at=transition.at,
        reason=transition.reason,
    )
    return _checked(_item(keys.transition(row.tenant_id, row.job_id, transition.number), audit))


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
    occurred_at = keys.time_text(note.occurred_at)
    unread, _ = keys.pointers(row.tenant_id, note.notification_id)
    body = _item(keys.notification(row.tenant_id, occurred_at, note.notification_id), note)
    return _checked(body), {**unread.attributes, "occurred_at": {"S": occurred_at}}


def tenant_item(transition: Transition) -> Item:
    """The tenant of a job whose tenant nobody created yet: all that is known of it is its id."""
    tenant_id, at = transition.row.tenant_id, transition.at
    tenant = TenantRow(
        tenant_id=tenant_id, user_email="", oauth_provider="", oauth_user_id="", created_at=at, updated_at=at
    )
    return _checked(_item(keys.tenant(tenant_id), tenant))


def seen(item: Item) -> Seen:
    """The inverse of `row_item`."""
    deleted = {uid: int(at["N"]) for uid, at in item.get("deleted", {"M": {}})["M"].items()}
    stored = None
    if has_row(item):
        number, destination = int(item["transition"]["N"]), item.get("destination", {}).get("S")
        stored = Stored(uid=item["uid"]["S"], number=number, row=job_row(item), destination=destination)
    return Seen(stored=stored, deleted=deleted, write_id=item["write_id"]["S"])


def has_row(item: Item | None) -> bool:
    """Whether that is a job's row: not nothing, nor tombstones alone."""
    return item is not None and "uid" in item


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


def item_bytes(item: Item) -> int:
    """DynamoDB's size of an item, or a few bytes more (numbers). Raises UnicodeEncodeError."""
    return sum(len(name) + _bytes(value) for name, value in item.items())


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
                raise keys.rejected("a number does not fit into 64 bits")
            return {"N": str(value)}
        case Phase():
            return {"S": value.wire}
        case datetime():
            return {"S": keys.time_text(value)}
        case tuple():
            return {"L": [_attribute(element) for element in value]}
        case _:
            return {"S": str(value)}


def _checked(item: Item) -> Item:
    """The same item. What DynamoDB would refuse is refused here: it would fail a whole transaction of many jobs."""
    if len(item["pk"]["S"]) > keys.KEY_BYTES or len(item["sk"]["S"]) > keys.KEY_BYTES:  # keys are ASCII
        raise keys.rejected("an id is too long")
    try:
        size = item_bytes(item)
    except UnicodeEncodeError:
        # Without its cause: that one quotes the text.
        raise keys.rejected("a text is not Unicode") from None
    if size > ITEM_BYTES:
        raise keys.rejected("the row is larger than DynamoDB's 400 KB")
    return item


def _bytes(value: Item) -> int:
    [(kind, content)] = value.items()
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + _bytes(element) for name, element in content.items())
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
