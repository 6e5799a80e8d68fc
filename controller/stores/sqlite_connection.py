"""One connection to a SQLite file and the one thread that uses it. Called by `sqlite` and `sqlite_schema`.

A whole transaction is one function, run on that thread in one hop: it cannot be cut by the cancellation of
its caller, and the file's write lock is never held while the event loop is busy with something else.
(aiosqlite hops once a statement and has no public call for this: seven times the CPU of a transition, measured.)
Functions that are called while the thread is at work gather and go there together: a hop costs more than a row.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from controller.domain.errors import ConfigError, Unavailable

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

BUSY_SECONDS = 5.0
"""How long a statement waits for another process's transaction. Far below the lease's renew deadline."""


class SqliteConnection:
    """Runs functions on the connection, one at a time, in the order of their calls."""

    def __init__(self, path: Path, prepare: Work[None]) -> None:
        """`prepare` is run on each new connection; what it raises, `open` raises."""
        self._path = path
        self._prepare = prepare
        self._executor: ThreadPoolExecutor | None = None
        self._waiting: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []
        self._hops: asyncio.Task[None] | None = None
        self._db: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Connect, and create an empty file where there is none. Raises Unavailable, ConfigError."""
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite")
        try:
            self._db = await self._on_thread(lambda: _connect(self._path, self._prepare))
        except BaseException:
            self._stop()
            raise

    async def run(self, work: Work[T]) -> T:
        """What `work` returns. Raises Unavailable for anything that SQLite could not do.

        The messages carry SQLite's code only: its own texts may quote what was to be written.
        """
        db = self._db
        if db is None:
            raise Unavailable("the database is not open")
        return await self._on_thread(lambda: work(db))

    async def close(self) -> None:
        """Close after the functions that were called before. Closed already is no error."""
        db, self._db = self._db, None
        if db is not None:
            await self._on_thread(db.close)
        self._stop()

    async def _on_thread(self, function: Callable[[], T]) -> T:
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((function, answer))
        if self._hops is None:
            self._hops = asyncio.create_task(self._hop(), name="sqlite")
        try:
            return await answer
        except sqlite3.Error as error:
            raise Unavailable(f"the database failed: {error_name(error)}") from error

    async def _hop(self) -> None:
        """To the thread and back, until nothing waits. Who was cancelled while it waited is left out."""
        loop = asyncio.get_running_loop()
        calls: Sequence[tuple[Callable[[], Any], asyncio.Future[Any]]] = ()
        try:
            while self._waiting:
                calls, self._waiting = [call for call in self._waiting if not call[1].done()], []
                outcomes = await loop.run_in_executor(self._executor, _run_all, [function for function, _ in calls])
                for (_, answer), (result, error) in zip(calls, outcomes, strict=True):
                    if answer.done():
                        continue
                    if error is None:
                        answer.set_result(result)
                    else:
                        answer.set_exception(error)
        finally:
            self._hops = None
            for _, answer in (*calls, *self._waiting):
                answer.cancel()  # of use only where this task was cancelled: the others have their answer
            self._waiting = []

    def _stop(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=False)


def _run_all(functions: Sequence[Callable[[], Any]]) -> list[tuple[Any, Exception | None]]:
    """Each one's result, or what it raised."""
    outcomes: list[tuple[Any, Exception | None]] = []
    for function in functions:
        try:
            outcomes.append((function(), None))
        except Exception as error:
            outcomes.append((None, error))
    return outcomes


def error_name(error: Exception) -> str:
    """SQLite's name of the error (SQLITE_BUSY, SQLITE_FULL, …), else its class: never a value."""
    return getattr(error, "sqlite_errorname", None) or type(error).__name__


def _connect(path: Path, prepare: Work[None]) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The rows hold the jobs' environment: only the owner reads them. WAL files take over this mode.
        # A file that exists is never opened here: closing it would drop the locks that this process's other
        # connections hold on it, and another process would then take the live WAL away
        # (https://www.sqlite.org/howtocorrupt.html, "Posix advisory locks canceled by a separate thread").
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        pass
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}") from error
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _set_up(db)
        prepare(db)
    except BaseException as error:
        db.close()
        if isinstance(error, sqlite3.Error) and is_not_ours(error):
            raise ConfigError([f"{path} is not a database of ours"]) from error
        raise
    return db


def is_not_ours(error: sqlite3.Error) -> bool:
    """Whether the file is no database, or one with other tables."""
    return error_name(error) in ("SQLITE_NOTADB", "SQLITE_ERROR")


def _set_up(db: sqlite3.Connection) -> None:
    _use_wal(db)
    # In WAL mode a commit survives the process's death without a sync; only a power cut may undo the last ones.
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA foreign_keys = ON")


def _use_wal(db: sqlite3.Connection) -> None:
    # The switch needs the file for itself and does not wait for it as other statements do.
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.01)


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing, with the file's write lock from the start."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite ends it by itself on some errors
            db.execute("ROLLBACK")
        raise
