"""Deleting a job and acknowledging a notification: read, then write what was read if it still stands. Called by
`dynamodb` only."""

import uuid
from collections.abc import Iterable

from controller.domain import names
from controller.domain.errors import Unavailable
from controller.stores import dynamodb_keys as keys
from controller.stores import dynamodb_lists
from controller.stores import dynamodb_rows as rows
from controller.stores.dynamodb_calls import Calls
from controller.stores.dynamodb_connection import Refused
from controller.stores.dynamodb_keys import Item, Key
from controller.stores.dynamodb_plan import PACK_ACTIONS, guarded
from controller.stores.dynamodb_rows import Seen
from controller.stores.tombstones import with_deleted

_LAST_AUDIT_ROWS = 90
"""So many go in the transaction of the row itself, with its entry and its notification."""


async def delete_job(calls: Calls, key: Key, uid: str, ttl_seconds: int) -> bool:
    """Remove that object's row at that key with all that belongs to it, and leave its tombstone. False where there
    was no such row."""
    is_found, tries = False, 0
    while True:
        item = await calls.get(key)
        seen = rows.seen(item) if item else None
        is_ours = seen is not None and seen.owner == uid
        # If it is gone at the next look, it was our own delete whose reply was lost, or another's: it is deleted.
        is_found = is_found or is_ours
        if not is_ours and (not uid or not ttl_seconds or (seen is not None and uid in seen.deleted)):
            return is_found  # nothing to remove, nor to remember
        beside = await dynamodb_lists.transitions(calls, key.pk) if is_ours else []
        audit = [Key(key.pk, found["sk"]["S"]) for found in beside]
        is_last = len(audit) <= _LAST_AUDIT_ROWS
        if is_last:
            deleted = with_deleted(seen.deleted if seen else {}, uid, ttl_seconds)
            left = rows.with_tombstones(key.attributes if is_ours or not item else item, deleted, uuid.uuid4().hex)
            belongings = await _belongings(calls, item) if is_ours and item else []
            actions = [_replaced(left, seen), *_deletes([*audit, *belongings])]
        else:  # the row goes last: while it is there, a delete that was cut short is done again
            actions = _deletes(audit[:PACK_ACTIONS])
        if not await _write(calls, actions):
            await _pause(calls, tries)
            tries += 1
        elif is_last:
            return is_found


async def ack_notification(calls: Calls, tenant_id: str, notification_id: str) -> bool:
    """Mark it as read, and move its pointer. False where there is none."""
    unread, read = keys.pointers(tenant_id, notification_id)
    tries = 0
    while found := await calls.get_all((unread, read)):
        if read in found:
            return True
        occurred_at = found[unread]["occurred_at"]
        update = {
            "Key": keys.notification(tenant_id, occurred_at["S"], notification_id).attributes,
            "UpdateExpression": "SET is_read = :true",
            # It is there, and was not deleted meanwhile.
            "ConditionExpression": "attribute_exists(pk)",
            "ExpressionAttributeValues": {":true": {"BOOL": True}},
        }
        moved = {**read.attributes, "occurred_at": occurred_at}
        if await _write(calls, [{"Update": update}, *_deletes([unread]), {"Put": {"Item": moved}}]):
            return True
        await _pause(calls, tries)
        tries += 1
    return False


async def _belongings(calls: Calls, row: Item) -> list[Key]:
    """The row's entry in the list, and its notification with both of its pointers' keys: it may be read meanwhile."""
    job = rows.job_row(row)
    entry = keys.entry(job.tenant_id, job.created_at, job.job_id)
    if not job.status.is_terminal:
        return [entry]
    notification_id = names.notification_id(row["uid"]["S"])
    pointers = keys.pointers(job.tenant_id, notification_id)
    found = await calls.get_all(pointers)
    times = {pointer["occurred_at"]["S"] for pointer in found.values()}
    return [entry, *pointers, *(keys.notification(job.tenant_id, time, notification_id) for time in times)]


def _replaced(left: Item, seen: Seen | None) -> Item:
    """The write of what is left at a row's key, if it is still as it was read: a delete where nothing is left."""
    put = guarded(left, seen)
    if "uid" in left or "deleted" in left:
        return put
    condition = {name: value for name, value in put["Put"].items() if name.startswith(("Condition", "Expression"))}
    return {"Delete": {"Key": {"pk": left["pk"], "sk": left["sk"]}, **condition}}


def _deletes(keys: Iterable[Key]) -> list[Item]:
    return [{"Delete": {"Key": key.attributes}} for key in keys]


async def _write(calls: Calls, actions: list[Item]) -> bool:
    """One transaction. False where it was cancelled. Raises Retryable, Refused."""
    try:
        await calls.transact(actions, token=str(uuid.uuid4()))
    except Refused as refused:
        if refused.code != "TransactionCanceledException":
            raise
        return False
    return True


async def _pause(calls: Calls, tries: int) -> None:
    if not await calls.back_off(tries):
        raise Unavailable("DynamoDB: others kept writing the same items")
