"""boto3 in a bounded thread pool: retries, time limits and the translation of errors. Called by `dynamodb*` only.

boto3's own retries are off: here is the one place that repeats a request, so that a store call as a whole has a time
limit, and a thread never sleeps. Every write of ours may be repeated: `dynamodb_record` says why.
"""

import asyncio
import contextlib
import functools
import logging
import random
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from controller.domain.errors import ConfigError, Invalid, JennahError, Retryable, Throttled, Unavailable
from controller.stores.dynamodb_rows import Item, Key

T = TypeVar("T")

CALL_SECONDS = 7.0
"""The limit of a store call, all of its requests and their repetitions together. Below the lease's renew deadline."""
CONNECT_SECONDS = 1.0
READ_SECONDS = 2.0
"""The limits of one request. No request starts that could not end within the call's limit."""
BACKOFF_SECONDS, BACKOFF_MOST_SECONDS = 0.05, 1.0
THREADS = 16
GETS_AT_ONCE = 8
"""BatchGetItem requests of one call: a long list leaves threads to other calls."""
KEYS_A_GET = 100

_MAKING_A_CLIENT = threading.Lock()  # a client may be shared between threads, the session that makes it may not

_THROTTLED = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "ThrottlingError",
    "LimitExceededException",
}
_PASSING = {"TransactionConflictException", "TransactionInProgressException"}


class Refused(Exception):
    """DynamoDB refused a request for what is in it or what it found. Stays inside the adapter; carries no text."""

    def __init__(self, code: str, reasons: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(code)
        self.code = code
        self.reasons = reasons
        """Of a cancelled transaction: one for each action, {"Code": …, "Item": what the row was}."""


class DynamoConnection:
    """One table, and the threads that talk to it."""

    def __init__(self, region: str, table: str, endpoint: str | None) -> None:
        self.region = region
        self.table = table
        self._endpoint = endpoint
        self._executor: ThreadPoolExecutor | None = None
        self._client: Any = None

    async def open(self) -> None:
        """Make the client; nothing is sent yet. Raises ConfigError."""
        self._executor = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="dynamodb")
        try:
            self._client = await self._on_thread(self._make_client)
        except (BotoCoreError, ValueError) as error:
            self._executor.shutdown(wait=False)
            fault = f"DynamoDB cannot be used with these settings: {type(error).__name__}"
            raise ConfigError([fault]) from error

    async def close(self) -> None:
        """Close after the requests that are under way. Closed already is no error."""
        client, self._client = self._client, None
        if client is not None and self._executor is not None:
            # A request under way ends by its time limit; the event loop does not wait for it meanwhile.
            await asyncio.to_thread(self._executor.shutdown)
            client.close()

    @contextlib.asynccontextmanager
    async def calls(self, *, seconds: float | None = None) -> AsyncIterator["Calls"]:
        """The requests of one store call, within one time limit. Raises `domain.errors` only."""
        if self._client is None:
            raise Unavailable("the database is not open")
        limit = CALL_SECONDS if seconds is None else seconds
        try:
            # The outer limit is for what has none of its own, such as resolving a name.
            async with asyncio.timeout(limit + 0.5):
                yield Calls(self, time.monotonic() + limit)
        except TimeoutError as error:
            raise Unavailable(f"DynamoDB in {self.region} did not answer in time") from error
        except Refused as refused:
            if refused.code == "ValidationException":
                raise Invalid("DynamoDB does not take these values") from None
            raise Unavailable(f"DynamoDB in {self.region} refused the request: {refused}") from None

    async def send(self, operation: str, parameters: Mapping[str, Any]) -> Item:
        """One request, once. Raises Retryable, Refused."""
        if self._client is None:  # closed meanwhile
            raise Unavailable("the database is not open")
        method = getattr(self._client, operation)
        try:
            answer: Item = await self._on_thread(functools.partial(method, **parameters))
        except (ClientError, BotoCoreError) as error:
            # Without its cause: the service's and the SDK's texts may quote values and the endpoint.
            raise self._translated(error) from None
        except msgspec.DecodeError:
            raise Unavailable(f"DynamoDB in {self.region} sent half an answer") from None
        return answer

    async def _on_thread(self, function: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function)

    def _make_client(self) -> Any:
        # At debug level it logs whole requests, the jobs' environment with them.
        logging.getLogger("botocore").setLevel(logging.WARNING)
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 1},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            max_pool_connections=THREADS,
            tcp_keepalive=True,
            # All requests are built here: checking their shapes costs more than sending them.
            parameter_validation=False,
        )
        with _MAKING_A_CLIENT:
            client = boto3.client("dynamodb", region_name=self.region, endpoint_url=self._endpoint, config=config)
        for operation in ("BatchGetItem", "GetItem", "Query"):
            client.meta.events.register(f"before-parse.dynamodb.{operation}", _parse)
        return client

    def _translated(self, error: ClientError | BotoCoreError) -> Exception:
        if isinstance(error, NoCredentialsError):
            return Unavailable("no AWS credentials were found for DynamoDB")
        if not isinstance(error, ClientError):
            return Unavailable(f"DynamoDB in {self.region} cannot be reached: {type(error).__name__}")
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _THROTTLED:
            return Throttled(f"DynamoDB in {self.region} asks for fewer requests: {code}")
        if status >= 500 or code in _PASSING:
            return Unavailable(f"DynamoDB in {self.region} failed: {code}")
        return Refused(code, error.response.get("CancellationReasons", ()))


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
        if time.monotonic() + pause + CONNECT_SECONDS + READ_SECONDS > self._deadline:
            return False
        await asyncio.sleep(pause)
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


def _parse(response_dict: Item, customized_response_dict: Item, **_: Any) -> None:
    """Take an answer as the JSON that it is: what botocore's parser makes of it is equal, 18 times as slow (measured).

    None of our attributes is binary, the one type that is not equal.
    """
    if response_dict["status_code"] == 200:
        customized_response_dict.update(msgspec.json.decode(response_dict["body"]))
        response_dict["body"] = b"{}"
