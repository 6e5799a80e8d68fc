"""EnvVarsJson without values, in PostgreSQL. Called by `postgres_schema`.

A batch is read without locks. Only the rows that have values are locked, in the order of their keys as every writer
does, read once more, and written in that transaction.
"""

from collections.abc import AsyncIterator
from typing import Any

from controller.stores import blanking, postgres_rows
from controller.stores import postgres_statements as sql
from controller.stores.postgres_connection import Connection, PostgresConnections, transaction

Key = tuple[str, str]
"""Tenant id and job id."""


async def redact(connections: PostgresConnections, *, dry_run: bool) -> AsyncIterator[int]:
    """As `ports.Migrations.redact`. The connections are open."""
    after = ("", "")
    while found := await _read(connections, after):
        after = found[-1][0]
        keys = [*blanking.changes(found)]
        yield len(keys) if dry_run or not keys else await _blank(connections, keys)


async def _read(connections: PostgresConnections, after: Key) -> list[tuple[Key, str | None]]:
    async def work(connection: Connection) -> list[tuple[Any, ...]]:
        cursor = await connection.execute(sql.SELECT_VARIABLES, (*after, blanking.BATCH_ROWS))
        return await cursor.fetchall()

    return _keyed(await connections.run(work))


async def _blank(connections: PostgresConnections, keys: list[Key]) -> int:
    wanted = [{"tenant_id": tenant_id, "job_id": job_id} for tenant_id, job_id in keys]
    changed: set[Key] = set()

    async def work(connection: Connection) -> None:
        async with transaction(connection):
            cursor = await connection.execute(sql.LOCK_VARIABLES, (postgres_rows.as_json(wanted),))
            new = blanking.changes(_keyed(await cursor.fetchall()))
            # What an earlier try changed counts: its commit may have worked although no reply came.
            changed.update(new)
            rows = [{"tenant_id": key[0], "job_id": key[1], "env_vars_json": text} for key, text in new.items()]
            await connection.execute(sql.UPDATE_VARIABLES, (postgres_rows.as_json(rows),))

    await connections.run(work)
    return len(changed)


def _keyed(rows: list[tuple[Any, ...]]) -> list[tuple[Key, str | None]]:
    return [((tenant_id, job_id), text) for tenant_id, job_id, text in rows]
