"""SQLite's schema: numbered files, counted in ``PRAGMA user_version``. The store fills an empty file by itself."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from controller.domain.errors import ConfigError, Unavailable
from controller.stores import migration_files, sqlite_blanking
from controller.stores.migration_files import Migration
from controller.stores.sqlite_connection import SqliteConnection, error_name, is_not_ours, transaction

MIGRATIONS = migration_files.load("sqlite")


class SqliteMigrations:
    """`ports.Migrations` on SQLite."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: SqliteConnection | None = None

    async def pending(self) -> Sequence[str]:
        """Looks only: a file that is not there is not made."""
        return _statements(await asyncio.to_thread(_missing, self._path))

    async def apply(self) -> Sequence[str]:
        applied: list[str] = []
        connection = SqliteConnection(self._path, lambda db: applied.extend(_migrate(db)))
        await connection.open()
        await connection.close()
        return applied

    async def redact(self, *, dry_run: bool) -> AsyncIterator[int]:
        if not await asyncio.to_thread(self._path.exists):  # else it would be made
            raise ConfigError([f"there is no database at {self._path}"])
        self._connection = SqliteConnection(self._path, check)
        await self._connection.open()
        async for count in sqlite_blanking.redact(self._connection, dry_run=dry_run):
            yield count

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()


def ensure(db: sqlite3.Connection) -> None:
    """Fill an empty file. Raises ConfigError for a schema that is not the one of this release."""
    if version(db) == 0:
        _migrate(db)
    check(db)


def check(db: sqlite3.Connection) -> None:
    """Raises ConfigError for a schema that is not the one of this release, or is missing."""
    migration_files.check(MIGRATIONS, version(db))


def version(db: sqlite3.Connection) -> int:
    """The schema's version; 0 where there is none."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _migrate(db: sqlite3.Connection) -> list[str]:
    if not migration_files.missing(MIGRATIONS, version(db)):
        return []
    with transaction(db):
        # Once more: somebody else may have done it while we waited for the lock.
        statements = _statements(migration_files.missing(MIGRATIONS, version(db)))
        for statement in statements:
            db.execute(statement)
    return statements


def _statements(migrations: Sequence[Migration]) -> list[str]:
    return [
        statement
        for migration in migrations
        for statement in (*migration.statements, f"PRAGMA user_version = {migration.version}")
    ]


def _missing(path: Path) -> Sequence[Migration]:
    if not path.exists():
        return MIGRATIONS
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            return migration_files.missing(MIGRATIONS, version(db))
    except sqlite3.Error as error:
        if is_not_ours(error):
            raise ConfigError([f"{path} is not a database of ours"]) from error
        raise Unavailable(f"{path}: {error_name(error)}") from error
