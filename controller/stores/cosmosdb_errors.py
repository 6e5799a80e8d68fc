"""Cosmos DB's errors as ours, and how long a call of the store goes on trying. Called by the other `cosmosdb` modules.

Messages carry statuses and names of errors only: the service's own texts may quote what was to be written.
Statuses: learn.microsoft.com/rest/api/cosmos-db/http-status-codes-for-cosmosdb.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator

from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError

from controller import permission
from controller.domain.errors import AlreadyExists, Conflict, JennahError, NotFound, Retryable, Throttled, Unavailable

SdkError = CosmosHttpResponseError | CosmosBatchOperationError

CALL_SECONDS = 7.0
"""The limit of a whole call of the store, with all its tries: below the lease's renew deadline."""
TRIES = 4
"""Of a call that gets no answer, or 5xx. Throttling and conflicts are limited by the time alone."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 0.8

_NO_SESSION, _NO_CONTAINER = 1002, 1003
"""Sub-statuses of a 404 that is not about a document."""


class Contended(Unavailable):
    """Another wrote the same record in between: read again, merge again."""


class AccessRefused(Unavailable):
    """The account refuses our credentials, or what they are used for."""


class ContainerMissing(Unavailable):
    """There is no such container, or no such database."""

    def __init__(self) -> None:
        super().__init__("the Cosmos DB container is not there: run `jennah migrate`")


class OperationRefused(Exception):
    """A batch changed nothing, and would not if it was sent again."""

    def __init__(self, index: int | None, status: int) -> None:
        super().__init__(f"operation {index}: {status}")
        self.index = index
        """The operation that has the error; None where the service refused the request as a whole."""
        self.status = status


class Patience:
    """The time and the tries of one call."""

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = CALL_SECONDS if seconds is None else seconds
        self._ends = asyncio.get_running_loop().time() + self._seconds
        self._waits = 0
        self._failures = 0

    @contextlib.asynccontextmanager
    async def limit(self) -> AsyncIterator[None]:
        """Raises Unavailable when the time is over."""
        try:
            async with asyncio.timeout_at(self._ends):
                yield
        except TimeoutError as error:
            raise Unavailable(f"Cosmos DB did not answer within {self._seconds:g} s") from error

    async def wait(self, error: Retryable) -> None:
        """Wait for the next try. Raises the error where there is no time, no try or no sense left for one."""
        self._failures += not isinstance(error, Throttled | Contended)
        longest = min(FIRST_PAUSE_SECONDS * 2**self._waits, LONGEST_PAUSE_SECONDS)
        self._waits += 1
        # Jitter: replicas that met at one record must not meet again.
        pause = max(error.delay, longest * random.uniform(0.5, 1))  # noqa: S311
        left = self._ends - asyncio.get_running_loop().time()
        is_hopeless = isinstance(error, AccessRefused | ContainerMissing)
        if is_hopeless or self._failures >= TRIES or pause >= left:
            raise error
        await asyncio.sleep(pause)
        permission.check()


@contextlib.contextmanager
def translated(host: str) -> Iterator[None]:
    """The SDK's errors as ours. `host` is the account's, for the message."""
    try:
        yield
    except (CosmosHttpResponseError, CosmosBatchOperationError) as error:
        raise _from_status(error) from error
    except ClientAuthenticationError as error:
        raise AccessRefused("no Azure credentials for Cosmos DB: set DB_KEY, or log in to Azure") from error
    except ServiceRequestError as error:
        raise Unavailable(f"Cosmos DB cannot be reached at {host}") from error
    except (AzureError, OSError) as error:
        raise Unavailable(f"Cosmos DB did not answer: {type(error).__name__}") from error


def _from_status(error: SdkError) -> JennahError:
    status, sub_status = error.status_code, error.sub_status
    match status:
        case 404 if sub_status == _NO_CONTAINER:
            return ContainerMissing()
        case 404 if sub_status != _NO_SESSION:
            return NotFound("Cosmos DB has no such document")
        case 409:
            return AlreadyExists("Cosmos DB has that document already")
        case 412:
            return Conflict("the document was changed in between")
        case 429:
            return Throttled("Cosmos DB asks for fewer requests", delay=_retry_after_seconds(error))
    code = f"{status}/{sub_status}" if sub_status else f"{status}"
    if status in (401, 403):
        return AccessRefused(f"Cosmos DB refuses our credentials, or what they are used for ({code})")
    return Unavailable(f"Cosmos DB answered {code}")


def _retry_after_seconds(error: SdkError) -> float:
    try:
        return float(error.headers.get("x-ms-retry-after-ms", 0)) / 1000
    except ValueError:
        return 0.0
