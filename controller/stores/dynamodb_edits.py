"""Deleting a job and acknowledging a notification: read, then write what was read if it still stands. Called by
`dynamodb` only."""

import uuid
from collections.abc import Iterable

from controller.domain import names
from controller.domain.errors import Unavailable
from controller.stores import dynamodb_lists
from controller.stores import dynamodb_rows as rows
from controller.stores.dynamodb_connection import Calls, Refused
from controller.stores.dynamodb_plan import PACK_ACTIONS
from controller.stores.dynamodb_rows import Item, Key

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
        while len(audit) > _LAST_AUDIT_ROWS:
            await _write(calls, _deletes(audit[:PACK_ACTIONS]))
            del audit[:PACK_ACTIONS]
        guarded = {
            "Key": key.attributes,
            "ConditionExpression": "write_id = :seen",
            "ExpressionAttributeValues": {":seen": item["write_id"]},
        }
        belongings = await _belongings(calls, item)
        if await _write(calls, [{"Delete": guarded}, *_deletes([*audit, *belongings])]):
            return True
        await _pause(calls, tries)
        tries += 1
    return is_found


async def ack_notification(calls: Calls, tenant_id: str, notification_id: str) -> bool:
    """Mark it as read, and move its pointer. False where there is none."""
    unread, read = rows.pointer_keys(tenant_id, notification_id)
    tries = 0
    while found := await calls.get_all((unread, read)):
        if read in found:
            return True
        occurred_at = found[unread]["occurred_at"]
        update = {
            "Key": rows.notification_key(tenant_id, occurred_at["S"], notification_id).attributes,
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
    keys = [rows.entry_key(job.tenant_id, job.created_at, job.job_id)]
    if not job.status.is_terminal:
        return keys
    notification_id = names.notification_id(row["uid"]["S"])
    pointers = rows.pointer_keys(job.tenant_id, notification_id)
    for pointer in (await calls.get_all(pointers)).values():
        keys.append(rows.notification_key(job.tenant_id, pointer["occurred_at"]["S"], notification_id))
    return [*dict.fromkeys(keys), *pointers]


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
