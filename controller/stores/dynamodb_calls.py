"""The requests of one store call: their time limit, their repetition, and lists in pages. Called by `dynamodb*` only.

Every write of ours may be repeated: `dynamodb_record` says why.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from controller import permission
from controller.domain.errors import Invalid, JennahError, Retryable, Throttled, Unavailable
from controller.stores import dynamodb_connection
from controller.stores.dynamodb_connection import DynamoConnection, Refused
from controller.stores.dynamodb_keys import Item, Key

T = TypeVar("T")

CALL_SECONDS = 7.0
"""The limit of a store call, all of its requests and their repetitions together. Below the lease's renew deadline."""
OUTER_SECONDS = 0.5
"""So much later ends what has no limit of its own, such as resolving a name or waiting for a thread."""
BACKOFF_SECONDS, BACKOFF_MOST_SECONDS = 0.05, 1.0
GETS_AT_ONCE = 8
"""BatchGetItem requests of one call: a long list leaves threads to other calls."""
KEYS_A_GET = 100


@contextlib.asynccontextmanager
async def begin(connection: DynamoConnection, *, seconds: float | None = None) -> AsyncIterator["Calls"]:
    """A store call, within `CALL_SECONDS` or that limit. Raises `domain.errors` only."""
    if not connection.is_open:
        raise Unavailable("the database is not open")
    limit = CALL_SECONDS if seconds is None else seconds
    try:
        async with asyncio.timeout(limit + OUTER_SECONDS):
            yield Calls(connection, time.monotonic() + limit)
    except TimeoutError as error:
        raise Unavailable(f"DynamoDB in {connection.region} did not answer in time") from error
    except Refused as refused:
        if refused.code == "ValidationException":
            raise Invalid("DynamoDB does not take these values") from None
        raise Unavailable(f"DynamoDB in {connection.region} refused the request: {refused}") from None


class Calls:
    """The requests of one store call."""

    def __init__(self, connection: DynamoConnection, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._gets = asyncio.Semaphore(GETS_AT_ONCE)

    async def do(self, operation: str, **parameters: Any) -> Item:
        """The answer of a request about the table, tried again within the time limit. Raises Retryable, Refused."""
        return await self._patiently(operation, {"TableName": self._connection.table, **parameters})

    async def get(self, key: Key) -> Item | None:
        """That item, as all writes up to now left it."""
        return (await self.do("get_item", Key=key.attributes, ConsistentRead=True)).get("Item")

    async def get_all(self, keys: Iterable[Key]) -> dict[Key, Item]:
        """Those of these items that exist, as all writes up to now left them."""
        distinct = list(dict.fromkeys(keys))
        chunks = [distinct[start : start + KEYS_A_GET] for start in range(0, len(distinct), KEYS_A_GET)]
        found = await together(self._get_chunk(chunk) for chunk in chunks)
        return {Key(item["pk"]["S"], item["sk"]["S"]): item for items in found for item in items}

    async def query(self, pk: str, *, sk: tuple[str, str], most: int | None = None, **more: Any) -> list[Item]:
        """The items of a partition whose sort keys are between those two, both included; at most that many."""
        parameters = {
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :low AND :high",
            "ExpressionAttributeValues": {":pk": {"S": pk}, ":low": {"S": sk[0]}, ":high": {"S": sk[1]}},
            "ConsistentRead": True,
            **more,
        }
        items: list[Item] = []
        while most is None or len(items) < most:
            limit = {} if most is None else {"Limit": most - len(items)}
            answer = await self.do("query", **parameters, **limit)
            items += answer["Items"]
            if "LastEvaluatedKey" not in answer:  # else a page of 1 MB was full
                break
            parameters["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        return items

    async def transact(self, actions: Sequence[Item], *, token: str) -> None:
        """All of these writes or none. The same token again within minutes is done once. Raises Retryable, Refused."""
        table = self._connection.table
        items = [{kind: {"TableName": table, **action} for kind, action in one.items()} for one in actions]
        await self._patiently("transact_write_items", {"TransactItems": items, "ClientRequestToken": token})

    async def back_off(self, tries: int) -> bool:
        """Wait before the next try: longer each time, up to a cap, jittered. False where no time is left for it."""
        most = min(BACKOFF_MOST_SECONDS, BACKOFF_SECONDS * 2 ** min(tries, 10))
        pause = most * (0.5 + random.random() / 2)  # noqa: S311 - jitter, not a secret
        # No request starts that could not end within the limit.
        request = dynamodb_connection.CONNECT_SECONDS + dynamodb_connection.READ_SECONDS
        if time.monotonic() + pause + request > self._deadline:
            return False
        await asyncio.sleep(pause)
        permission.check()
        return True

    async def _patiently(self, operation: str, parameters: Mapping[str, Any]) -> Item:
        tries = 0
        while True:
            try:
                return await self._connection.send(operation, parameters)
            except Retryable:
                if not await self.back_off(tries):
                    raise
            tries += 1

    async def _get_chunk(self, keys: Sequence[Key]) -> list[Item]:
        table = self._connection.table
        items: list[Item] = []
        wanted: dict[str, Any] = {table: {"Keys": [key.attributes for key in keys], "ConsistentRead": True}}
        tries = 0
        while wanted:
            async with self._gets:
                answer = await self._patiently("batch_get_item", {"RequestItems": wanted})
            items += answer["Responses"].get(table, ())
            before, wanted = wanted, answer.get("UnprocessedKeys", {})
            if not wanted:
                break
            # Progress means that an answer was full (16 MB); without any the table is throttled.
            if len(wanted[table]["Keys"]) == len(before[table]["Keys"]):
                if not await self.back_off(tries):
                    raise Throttled(f"DynamoDB in {self._connection.region} asks for fewer requests")
                tries += 1
        return items


async def together(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all, in order; the first error ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except BaseExceptionGroup as errors:
        known = [error for error in errors.exceptions if isinstance(error, JennahError | Refused)]
        raise (known or errors.exceptions)[0] from None
    return [task.result() for task in tasks]
