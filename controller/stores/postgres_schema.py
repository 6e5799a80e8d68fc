"""PostgreSQL's schema: numbered files, applied in one transaction under a lock, counted in the table schema_version."""

from collections.abc import AsyncIterator, Sequence

import psycopg

from controller.domain.errors import ConfigError
from controller.stores import migration_files, postgres_blanking
from controller.stores.migration_files import Migration
from controller.stores.postgres_connection import Connection, PostgresConnections

MIGRATE_SECONDS = 600.0
"""Not a call of the leader: a later migration may have to go through all rows, and wait for another replica's."""
_LOCK = 0x6A656E6E6168  # "jennah": any number that all replicas agree on


class PostgresMigrations:
    """`ports.Migrations` on PostgreSQL."""

    def __init__(self, url: str) -> None:
        """Raises ConfigError for what is no PostgreSQL URL."""
        self._connections = PostgresConnections(url)
        self._migrations = migration_files.load("postgres")

    async def pending(self) -> Sequence[str]:
        async with self._connections.single(MIGRATE_SECONDS) as connection:
            return _statements(migration_files.missing(self._migrations, await version(connection)))

    async def apply(self) -> Sequence[str]:
        async with self._connections.single(MIGRATE_SECONDS) as connection, connection.transaction():
            # Until the end of the transaction: who comes second finds the work done. (A session's lock would not
            # survive PgBouncer.)
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            missing = migration_files.missing(self._migrations, await version(connection))
            statements = _statements(missing)
            for statement in statements:
                await _run(connection, statement)
            return statements

    async def redact(self, *, dry_run: bool) -> AsyncIterator[int]:
        await self._connections.open(check)
        async for count in postgres_blanking.redact(self._connections, dry_run=dry_run):
            yield count

    async def close(self) -> None:
        await self._connections.close()


async def check(connection: Connection) -> None:
    """Raises ConfigError for a schema that is not the one of this release."""
    migration_files.check(migration_files.load("postgres"), await version(connection))


async def version(connection: Connection) -> int:
    """The schema's version; 0 where there is none."""
    cursor = await connection.execute("SELECT to_regclass('schema_version') IS NOT NULL")
    if await cursor.fetchone() != (True,):
        return 0
    cursor = await connection.execute("SELECT coalesce(max(version), 0) FROM schema_version")
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


def _statements(migrations: Sequence[Migration]) -> list[str]:
    return [
        statement
        for migration in migrations
        for statement in (
            *migration.statements,
            f"INSERT INTO schema_version (version) VALUES ({migration.version})",  # noqa: S608 - a number of ours
        )
    ]


async def _run(connection: Connection, statement: str) -> None:
    try:
        await connection.execute(statement)
    except psycopg.errors.DuplicateTable as error:
        raise ConfigError([_NOT_OURS]) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigError([_NO_RIGHT]) from error


_NOT_OURS = "the database has tables of another application: give Jennah a database or a schema of its own"
_NO_RIGHT = "the role of DB_ENDPOINT may not create tables: GRANT CREATE ON SCHEMA, or migrate with another role"
