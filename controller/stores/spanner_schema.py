"""Spanner's schema: its versions, and ``jennah migrate`` for it. `check` is called by the store's `open`.

The version is in a table of our own beside the four of the contract, so that these stay as they are. All statements
may be run again: a second replica, or a run after one that died halfway, does no harm. Spanner queues changes of the
schema; its emulator refuses one while another is under way, which is tried again.
"""

import concurrent.futures
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from google.api_core import exceptions as google
from google.api_core.operation import Operation
from google.cloud.spanner_admin_database_v1 import DatabaseAdminClient
from google.cloud.spanner_admin_database_v1.services.database_admin.transports import DatabaseAdminGrpcTransport

from controller.domain.errors import ConfigError, Unavailable
from controller.stores import spanner_blanking, spanner_errors
from controller.stores.spanner_connection import ADMIN_SCOPE, DATA_SCOPE, SpannerConnection
from controller.stores.spanner_sessions import Sessions
from controller.stores.spanner_transaction import CALL_SECONDS, Deadline
from controller.stores.spanner_values import Statement

SCHEMA_VERSION = 2
"""What this release needs. Each version has a file of statements: schema/spanner.sql is the first."""
_FILES = tuple(Path(__file__).parent / "schema" / name for name in ("spanner.sql", "spanner_0002_evidence.sql"))
_VERSION_TABLE = (
    "CREATE TABLE IF NOT EXISTS JennahSchema (\n"
    "    Version INT64 NOT NULL,\n"
    "    AppliedAt TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),\n"
    ") PRIMARY KEY (Version)"
)
_INSERT_VERSION = "INSERT OR UPDATE INTO JennahSchema (Version, AppliedAt) VALUES ({}, PENDING_COMMIT_TIMESTAMP())"
_SELECT_VERSION = Statement("SELECT IFNULL(MAX(Version), 0) FROM JennahSchema")
_HAS_VERSION_TABLE = Statement("SELECT 1 FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_NAME = 'JennahSchema'")

DDL_SECONDS = 600.0
"""A change of the schema may have to read a large table first."""
_BUSY_TRIES, _BUSY_PAUSE_SECONDS = 200, 0.05
_REQUEST_SECONDS = 30.0


def check(sessions: Sessions, deadline: Deadline) -> None:
    """Raises ConfigError where the schema is not the one that this release needs, Unavailable."""
    version = _version(sessions, deadline)
    if version is None:
        raise ConfigError(["the Spanner database does not exist: run `jennah migrate`"])
    if version < SCHEMA_VERSION:
        found = f"schema version {version}" if version else "no schema of ours"
        raise ConfigError([f"the Spanner database has {found}; run `jennah migrate` for version {SCHEMA_VERSION}"])


class SpannerMigrations:
    """`ports.Migrations` of Spanner. It creates the database too, but no instance: that costs money."""

    def __init__(self, project: str, instance: str, database: str) -> None:
        self._connection = SpannerConnection(project, instance, database, scopes=(ADMIN_SCOPE, DATA_SCOPE))
        self._database = database
        self._admin: DatabaseAdminClient | None = None

    async def pending(self) -> Sequence[str]:
        await self._open()
        version = await self._connection.run(_version)
        return [statement for step in self._steps(version) for statement in step]

    async def apply(self) -> Sequence[str]:
        admin = await self._open()
        return await self._connection.run(
            lambda sessions, time: self._apply(admin, sessions, time), seconds=DDL_SECONDS
        )

    async def redact(self, *, dry_run: bool) -> AsyncIterator[int]:
        await self._open()
        await self._connection.run(check)
        async for count in spanner_blanking.redact(self._connection, dry_run=dry_run):
            yield count

    async def close(self) -> None:
        self._admin = None
        await self._connection.close()

    async def _open(self) -> DatabaseAdminClient:
        if self._admin is None:
            await self._connection.open()
            self._admin = DatabaseAdminClient(transport=DatabaseAdminGrpcTransport(channel=self._connection.channel))
        return self._admin

    def _steps(self, version: int | None) -> list[list[str]]:
        """The statements for each version that is missing; the last one of each is its row in JennahSchema."""
        steps = [_statements(number) for number in range((version or 0) + 1, SCHEMA_VERSION + 1)]
        return [[self._create_database], *steps] if version is None else steps

    @property
    def _create_database(self) -> str:
        return f"CREATE DATABASE `{self._database}`"

    def _apply(self, admin: DatabaseAdminClient, sessions: Sessions, deadline: Deadline) -> list[str]:
        steps = self._steps(_version(sessions, Deadline(CALL_SECONDS)))
        for step in steps:
            if step == [self._create_database]:
                self._create(admin, deadline)
            else:
                *ddl, insert = step
                self._change(admin, ddl, deadline)
                _execute(sessions, Statement(insert))
        return [statement for step in steps for statement in step]

    def _create(self, admin: DatabaseAdminClient, deadline: Deadline) -> None:
        request = {"parent": self._connection.instance_path, "create_statement": self._create_database}
        try:
            _finish(lambda: admin.create_database(request=request, retry=None, timeout=_REQUEST_SECONDS), deadline)
        except google.AlreadyExists:
            pass  # another replica was faster

    def _change(self, admin: DatabaseAdminClient, ddl: Sequence[str], deadline: Deadline) -> None:
        request = {"database": self._connection.database_path, "statements": ddl}
        for tries in range(_BUSY_TRIES):
            try:
                _finish(
                    lambda: admin.update_database_ddl(request=request, retry=None, timeout=_REQUEST_SECONDS), deadline
                )
                return
            except google.FailedPrecondition as error:
                if tries == _BUSY_TRIES - 1 or not deadline.sleep(_BUSY_PAUSE_SECONDS):
                    # Its text is about our statements: there is no value in them.
                    raise ConfigError([f"Spanner refuses the schema: {error.message}"]) from error


def _finish(start: Callable[[], Operation], deadline: Deadline) -> None:
    """Wait for the end of what this starts."""
    try:
        start().result(timeout=deadline.left())  # type: ignore[no-untyped-call]
    except concurrent.futures.TimeoutError as error:
        raise Unavailable("the change of the schema is still under way: run `jennah migrate` again") from error


def _execute(sessions: Sessions, statement: Statement) -> None:
    sessions.transact(lambda transaction: transaction.execute(statement), Deadline(CALL_SECONDS))


def _version(sessions: Sessions, deadline: Deadline) -> int | None:
    """0 for a database without our table, None where there is no database.

    Raises ConfigError for a version that is newer than this release, and for a missing instance.
    """
    try:
        has_table = sessions.query(_HAS_VERSION_TABLE, deadline)
        version = int(sessions.query(_SELECT_VERSION, deadline)[0][0]) if has_table else 0
    except spanner_errors.Missing as error:
        if error.is_instance:
            raise ConfigError(["the Spanner instance does not exist; `jennah migrate` makes databases only"]) from error
        return None
    if version > SCHEMA_VERSION:
        raise ConfigError([f"the Spanner database has schema version {version}; this release needs {SCHEMA_VERSION}"])
    return version


def _statements(version: int) -> list[str]:
    lines = _FILES[version - 1].read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("--"))
    ddl = [statement.strip() for statement in text.split(";") if statement.strip()]
    return [*([_VERSION_TABLE] if version == 1 else []), *ddl, _INSERT_VERSION.format(version)]
