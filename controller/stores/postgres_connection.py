"""The pool of connections to PostgreSQL: time limits, repetition, errors. Called by `postgres` and `postgres_schema`.

Nothing here needs a session: it works behind PgBouncer in transaction mode (no prepared statements, no SET, no
session locks, no startup options).
"""

import asyncio
import contextlib
import logging
import os
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from controller import permission
from controller.domain.errors import ConfigError, Unavailable
from controller.stores.postgres_errors import is_lost, is_worth_repeating, translated

T = TypeVar("T")
Connection = psycopg.AsyncConnection[tuple[Any, ...]]
Work = Callable[[Connection], Awaitable[T]]

CALL_SECONDS = 6.0
"""The limit of one call, repetitions included. Below the leader's renew deadline."""
ACQUIRE_SECONDS = 2.0
"""How long a call waits for a connection where the server does not refuse one."""
CONNECT_SECONDS = 2
POOL_SIZE = 10
"""The most connections of one process. One writes (group commit), the others are for the API's readers."""
PAUSES_SECONDS = (0.0, 0.02, 0.05, 0.2, 0.5)
"""Before doing a transaction again, times a random factor: who met in a deadlock shall not meet again."""

_SETTINGS = {
    "statement_timeout": "4s",
    "idle_in_transaction_session_timeout": "4s",
    # A transaction finds its rows by their keys. The planner takes every JSON parameter for 100 rows and would rather
    # read a table of some thousand rows as a whole than look 100 times into its index, also for a single row.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
# Inside the transaction, because a pooler may hand the session to somebody else after it. Not secret, so no parameters.
_SET = "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in _SETTINGS.items())

# The pool's warnings repeat libpq's texts (see postgres_errors); ours say the same.
logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
logging.getLogger("psycopg").setLevel(logging.ERROR)


class PostgresConnections:
    """Runs functions on connections of the pool."""

    def __init__(self, url: str) -> None:
        """Raises ConfigError for what is no PostgreSQL URL."""
        self._parameters = parameters(url)
        self.place = place(url)
        self._pool: AsyncConnectionPool[Connection] | None = None
        self._acquiring: set[asyncio.Timeout] = set()

    async def open(self, check: Work[None]) -> None:
        """Connect, run `check` on the first connection, fill the pool. Raises Unavailable, and what `check` does."""
        async with self.single(CALL_SECONDS) as connection:
            await check(connection)
        self._pool = AsyncConnectionPool(
            kwargs={**self._parameters, "autocommit": True, "prepare_threshold": None},
            min_size=1,
            max_size=POOL_SIZE,
            open=False,
            reconnect_timeout=0,  # no back-off in the background: the next call tries again
            reconnect_failed=self._refuse,
            name="jennah",
        )
        await self._pool.open()

    async def close(self) -> None:
        """Closed already is no error."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    def give_up_at(self) -> float:
        """When a call that begins now must have ended, in the event loop's time."""
        return asyncio.get_running_loop().time() + CALL_SECONDS

    async def run(self, work: Work[T], give_up_at: float | None = None) -> T:
        """What `work` returns; it is done again after a lost race or connection, so it must bear repetition.

        Raises Unavailable, or Permanent(RECORD_REJECTED) for values that the database will never take.
        """
        pool = self._pool
        if pool is None:
            raise Unavailable("the database is not open")
        limit = self.give_up_at() if give_up_at is None else give_up_at
        pauses = iter(PAUSES_SECONDS)
        while True:
            try:
                return await self._once(pool, work, limit)
            except (psycopg.Error, UnicodeError, OverflowError) as error:
                pause = next(pauses, None)
                if pause is None or not is_worth_repeating(error) or _seconds_until(limit) <= pause:
                    raise translated(error, self.place) from error
                if is_lost(error):
                    await self._discard_lost(pool, limit)
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - not for secrecy
            permission.check()

    @contextlib.asynccontextmanager
    async def single(self, seconds: float) -> AsyncIterator[Connection]:
        """A connection of its own, for so long. Raises Unavailable; what is raised inside is translated too."""
        loop = asyncio.get_running_loop()
        limit = loop.time() + seconds
        try:
            async with asyncio.timeout(CONNECT_SECONDS + 1):
                connection = await psycopg.AsyncConnection.connect(
                    **self._parameters, autocommit=True, prepare_threshold=None
                )
            async with contextlib.AsyncExitStack() as stack:
                stack.push_async_callback(connection.close)
                with _cut_at(limit, connection):
                    yield connection
        except (psycopg.Error, TimeoutError) as error:
            raise translated(error, self.place) from error

    async def _once(self, pool: AsyncConnectionPool[Connection], work: Work[T], limit: float) -> T:
        connection = await self._acquire(pool, min(ACQUIRE_SECONDS, _seconds_until(limit)))
        try:
            with _cut_at(limit, connection):
                return await work(connection)
        finally:
            await pool.putconn(connection)

    async def _acquire(self, pool: AsyncConnectionPool[Connection], seconds: float) -> Connection:
        """A connection of the pool, or PoolTimeout as soon as the server refuses one: the pool itself would wait."""
        try:
            async with asyncio.timeout(seconds) as scope:
                self._acquiring.add(scope)
                try:
                    return await pool.getconn(seconds + 1)
                finally:
                    self._acquiring.discard(scope)
        except TimeoutError:
            raise PoolTimeout("no connection") from None

    def _refuse(self, pool: AsyncConnectionPool[Any]) -> None:
        """The pool could not connect: end the waiting. While it has other connections, callers wait for those."""
        if pool.get_stats()["pool_size"] == 0:
            for scope in self._acquiring:
                if not scope.expired():
                    scope.reschedule(asyncio.get_running_loop().time())

    async def _discard_lost(self, pool: AsyncConnectionPool[Connection], limit: float) -> None:
        """What the server's end did to one connection it did to all that are idle."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, _seconds_until(limit))):
                await pool.check()


@contextlib.asynccontextmanager
async def transaction(connection: Connection) -> AsyncIterator[None]:
    """All of it or nothing. A pipeline: statements travel together, until a result is asked for."""
    try:
        async with connection.pipeline():
            await connection.execute("BEGIN")
            await connection.execute(_SET)
            yield
            await connection.execute("COMMIT")
    except BaseException:
        if connection.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            await connection.rollback()
        raise


@contextlib.contextmanager
def _cut_at(limit: float, connection: Connection) -> Iterator[None]:
    """End the connection at that time: an answer that does not come must not hold the caller.

    A plain cancellation would not do: psycopg then asks the server to stop and waits for its answer, up to 10 s.
    """
    timer = asyncio.get_running_loop().call_at(limit, _cut, connection)
    try:
        yield
    finally:
        timer.cancel()


def _cut(connection: Connection) -> None:
    with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)


def _seconds_until(limit: float) -> float:
    return limit - asyncio.get_running_loop().time()


def parameters(url: str) -> dict[str, Any]:
    """libpq's parameters of that URL, with our limits. Raises ConfigError, which quotes nothing of it."""
    try:
        found = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise ConfigError([_BAD_URL]) from None
    # Where these stand in a host, a port or a database's name, the rest of a password does.
    if any(sign in str(found.get(key, "")) for key in ("host", "dbname") for sign in "@?#"):
        raise ConfigError([_BAD_URL])
    if not all(port.isdecimal() for port in str(found.get("port") or 5432).split(",")):
        raise ConfigError([_BAD_URL])
    defaults = {"application_name": "jennah", "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
    return {**defaults, **found, "connect_timeout": CONNECT_SECONDS}


_BAD_URL = (
    "DB_ENDPOINT is no PostgreSQL URL: postgresql://user:password@host:5432/database "
    "(percent-encode what is special in the password: @ as %40, / as %2F, ? as %3F, # as %23)"
)


def place(url: str) -> str:
    """Which database, for messages: host, port and name."""
    return url.partition("://")[2].rpartition("@")[2].partition("?")[0]
