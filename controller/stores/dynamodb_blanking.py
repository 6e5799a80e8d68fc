"""EnvVarsJson without values, in a DynamoDB table. Called by `dynamodb_schema`.

The rows are found by a scan: no index has them all. Each is an update of one attribute, guarded by the row's write id
as every write of a row is. It leaves a write id of its own, so that a transaction that was prepared with the older row
is refused and merged again.
"""

import uuid
from collections.abc import AsyncIterator

from controller.domain.records import blanked
from controller.stores import blanking
from controller.stores.dynamodb_calls import Calls, begin, together
from controller.stores.dynamodb_connection import DynamoConnection, Refused
from controller.stores.dynamodb_keys import ROW, Item, Key

_SCAN: Item = {
    "FilterExpression": "sk = :row AND attribute_exists(env_vars_json)",
    "ExpressionAttributeValues": {":row": {"S": ROW}},
    "ProjectionExpression": "pk, sk, env_vars_json, write_id",
    "ConsistentRead": True,
}


async def redact(connection: DynamoConnection, *, dry_run: bool) -> AsyncIterator[int]:
    """As `ports.Migrations.redact`. The connection is open."""
    start: Item = {}
    while True:
        async with begin(connection) as calls:
            page = await calls.do("scan", **_SCAN, **start)
        wanted = [item for item in page["Items"] if blanking.has_values(_text(item))]
        for first in range(0, len(wanted), blanking.BATCH_ROWS):
            batch = wanted[first : first + blanking.BATCH_ROWS]
            if dry_run:
                yield len(batch)
                continue
            async with begin(connection) as calls:
                yield sum(await together(_blank(calls, item) for item in batch))
        if "LastEvaluatedKey" not in page:
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


async def _blank(calls: Calls, found: Item) -> bool:
    """Whether it was this call that blanked the row: it may change, or go, meanwhile."""
    key, mine = Key(found["pk"]["S"], found["sk"]["S"]), uuid.uuid4().hex
    item: Item | None = found
    while item is not None and blanking.has_values(_text(item)):
        new = blanked(_text(item))
        values: Item = {":seen": item["write_id"], ":mine": {"S": mine}}
        change = "SET write_id = :mine REMOVE env_vars_json"
        if new is not None:
            change, values[":new"] = "SET write_id = :mine, env_vars_json = :new", {"S": new}
        try:
            await calls.do(
                "update_item",
                Key=key.attributes,
                UpdateExpression=change,
                ConditionExpression="write_id = :seen",
                ExpressionAttributeValues=values,
            )
        except Refused as refused:
            if refused.code != "ConditionalCheckFailedException":
                raise
            item = await calls.get(key)  # another wrote, or it was this update and its reply was lost
        else:
            return True
    return item is not None and item["write_id"]["S"] == mine


def _text(item: Item) -> str | None:
    text: str | None = item.get("env_vars_json", {}).get("S")
    return text
