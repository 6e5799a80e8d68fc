"""The connection to a Cosmos DB account. Called by `cosmosdb` and `cosmosdb_schema` only.

The SDK's own tries within a region are off: they know nothing of our time limit, and a batch whose reply was lost
must be read again, not sent again. What it does between regions stays.
"""

import base64
import binascii
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

from azure.cosmos.aio import ContainerProxy, CosmosClient, DatabaseProxy
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError

from controller import proxies
from controller.domain.errors import ConfigError, Conflict, NotFound, Retryable, Unavailable
from controller.stores.cosmosdb_errors import ContainerMissing, OperationRefused, Patience, translated
from controller.stores.cosmosdb_writes import CONFLICTS, Operation

T = TypeVar("T")

CONTAINER = "records"
PARTITION_KEY = "/tenantId"
CONNECT_SECONDS = 2
READ_SECONDS = 3
"""For a request; a batch takes some ten milliseconds."""


class CosmosConnection:
    """One client of an account, for one of its databases."""

    def __init__(self, endpoint: str, database: str, key: str | None, *, seconds: float | None = None) -> None:
        """`seconds` is the limit of a call, CALL_SECONDS by default."""
        self._endpoint = endpoint
        self._host = urlsplit(endpoint).hostname or "DB_ENDPOINT"
        self._name = database
        self._key = key
        # Imported when it is made, so that an extra that is not installed is told of before anything starts.
        self._make_credential = None if key else _default_credential()
        self._seconds = seconds
        self._client: CosmosClient | None = None
        self._stack = contextlib.AsyncExitStack()

    async def open(self) -> None:
        """Connect to the account. Raises Unavailable, ConfigError."""
        async with contextlib.AsyncExitStack() as stack:
            client = await self._make_client(stack)
            async with Patience(self._seconds).limit():
                with translated(self._host):
                    await client.__aenter__()
            self._stack = stack.pop_all()
            self._client = client

    async def close(self) -> None:
        """Closed already is no error."""
        self._client = None
        await self._stack.aclose()

    @property
    def is_open(self) -> bool:
        return self._client is not None

    @property
    def client(self) -> CosmosClient:
        """Raises Unavailable where it is not open."""
        if self._client is None:
            raise Unavailable("the database is not open")
        return self._client

    @property
    def database(self) -> DatabaseProxy:
        return self.client.get_database_client(self._name)

    @property
    def container(self) -> ContainerProxy:
        return self.database.get_container_client(CONTAINER)

    async def run(self, work: Callable[[ContainerProxy], Awaitable[T]]) -> T:
        """What `work` returns, which may be done again. Raises NotFound, AlreadyExists, Conflict, Retryable."""
        patience = Patience(self._seconds)
        async with patience.limit():
            while True:
                try:
                    with translated(self._host):
                        return await work(self.container)
                except Conflict:
                    raise
                except Retryable as error:
                    await patience.wait(error)

    async def query(
        self, tenant_id: str, text: str, values: dict[str, object], *, most: int | None = None
    ) -> list[Any]:
        """What a query of the tenant's partition finds, `most` of it at most: one try. Raises Retryable.

        `@tenant` is the tenant. The text must compare `c.tenantId` with it: the service would not need that beside
        the partition key, the emulator of the tests does.
        """
        parameters = [{"name": f"@{name}", "value": value} for name, value in {"tenant": tenant_id, **values}.items()]
        found: list[Any] = []
        try:
            with translated(self._host):
                pages = self.container.query_items(
                    text, parameters=parameters, partition_key=tenant_id, max_item_count=most or -1
                )
                async for item in pages:
                    found.append(item)
                    if len(found) == most:
                        break
        except NotFound as error:  # a query that finds no document is no error
            raise ContainerMissing from error
        return found

    async def commit(self, tenant_id: str, operations: Sequence[Operation]) -> None:
        """All of the operations or none: one try. Raises OperationRefused, Retryable."""
        batch = [operation.for_sdk() for operation in operations]
        try:
            with translated(self._host):
                await self._commit(tenant_id, batch)
        except NotFound as error:  # a document that is missing has its status in the reply, with 207
            raise ContainerMissing from error

    async def _commit(self, tenant_id: str, batch: list[Any]) -> None:
        try:
            await self.container.execute_item_batch(batch, partition_key=tenant_id)
        except CosmosBatchOperationError as error:
            if error.status_code in (400, 413, *CONFLICTS):
                raise OperationRefused(error.error_index, error.status_code) from error
            raise
        except CosmosHttpResponseError as error:
            # As a whole: it is too large, or no valid request because of one of its documents.
            if error.status_code in (400, 413):
                raise OperationRefused(None, error.status_code) from error
            raise

    async def _make_client(self, stack: contextlib.AsyncExitStack) -> CosmosClient:
        # At "info" the SDK logs every request with its headers, and its URL with the ids in it.
        logging.getLogger("azure").setLevel(logging.WARNING)
        proxies.agree(self._endpoint)
        credential: Any = _checked(self._key) if self._key else None
        if self._make_credential:
            credential = await stack.enter_async_context(self._make_credential())
        client = CosmosClient(
            self._endpoint,
            credential=credential,
            # The emulators' plain HTTP endpoint advertises addresses that do not answer it.
            enable_endpoint_discovery=self._endpoint.startswith("https:"),
            connection_timeout=CONNECT_SECONDS,
            read_timeout=self._seconds or READ_SECONDS,
            retry_total=0,
            retry_connect=0,
            retry_read=0,
            retry_status=0,
            retry_throttle_total=-1,  # 0 would mean the default, nine
            no_response_on_write=True,
        )
        stack.push_async_callback(client.close)
        return client


def _default_credential() -> Callable[[], contextlib.AbstractAsyncContextManager[Any]]:
    from azure.identity.aio import DefaultAzureCredential  # here: with a key it is not needed

    return DefaultAzureCredential


def _checked(key: str) -> str:
    """The key. Raises ConfigError for what is none: the SDK would fail with it in its first request."""
    try:
        base64.b64decode(key, validate=True)
    except binascii.Error as error:
        raise ConfigError(["DB_KEY is not the key of a Cosmos DB account: it is not base64"]) from error
    return key
