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
from controller.stores.dynamodb_plan import PACK_ACTIONS

_LAST_AUDIT_ROWS = 90
"""So many go in the transaction of the row itself, with its entry and its notification."""


async def delete_job(calls: Calls, key: Key) -> bool:
    """Remove the row at that key and all that belongs to it. False where there was none."""
    is_found = False
    tries = 0
    while item := await calls.get(key):
        # If it is gone at the next look, it was our own delete whose reply was lost, or another's: it is deleted.
        is_found = True
        audit = [Key(key.pk, found["sk"]["S"]) for found in await dynamodb_lists.transitions(calls, key.pk)]
        # The row goes last: while it is there, a delete that was cut short is done again.
        if len(audit) > _LAST_AUDIT_ROWS:
            if await _write(calls, _deletes(audit[:PACK_ACTIONS])):
                continue
        elif await _write(calls, [_guarded_delete(item), *_deletes([*audit, *await _belongings(calls, item)])]):
            return True
        await _pause(calls, tries)
        tries += 1
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


def _guarded_delete(row: Item) -> Item:
    """The row's delete, if it is still the one that was read."""
    return {
        "Delete": {
            "Key": {"pk": row["pk"], "sk": row["sk"]},
            "ConditionExpression": "write_id = :seen",
            "ExpressionAttributeValues": {":seen": row["write_id"]},
        }
    }


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
