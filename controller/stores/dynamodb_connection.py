"""boto3 in a bounded thread pool, and the translation of its errors. Called by `dynamodb*` only.

boto3's own retries are off: `dynamodb_calls` is the one place that repeats a request, so that a store call as a whole
has a time limit, and no thread sleeps.
"""

import asyncio
import functools
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from controller import proxies
from controller.domain.errors import ConfigError, Throttled, Unavailable
from controller.stores.dynamodb_keys import Item

T = TypeVar("T")

CONNECT_SECONDS = 1.0
READ_SECONDS = 2.0
"""The limits of one request, together."""
THREADS = 16

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
        except BaseException as error:
            self._executor.shutdown(wait=False)
            if not isinstance(error, BotoCoreError | ValueError):
                raise
            # Without its cause: the SDK's texts quote the endpoint.
            raise ConfigError([f"DynamoDB cannot be used with these settings: {type(error).__name__}"]) from None

    async def close(self) -> None:
        """Close after the requests that are under way. Closed already is no error."""
        client, self._client = self._client, None
        if client is not None and self._executor is not None:
            # A request under way ends by its time limit; the event loop does not wait for it meanwhile.
            await asyncio.to_thread(self._executor.shutdown)
            client.close()

    @property
    def is_open(self) -> bool:
        return self._client is not None

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

    async def _on_thread(self, function: Callable[[], T]) -> T:
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
        proxies.agree(self._endpoint)
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


def _parse(response_dict: Item, customized_response_dict: Item, **_: Any) -> None:
    """Take an answer as the JSON that it is. botocore's parser makes the same of it in 19 times the time (measured:
    163 us a row for 8.6), but for binary attributes: we have none.
    """
    if response_dict["status_code"] == 200:
        customized_response_dict.update(msgspec.json.decode(response_dict["body"]))
        response_dict["body"] = b"{}"
