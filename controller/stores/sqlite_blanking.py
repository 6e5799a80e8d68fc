"""EnvVarsJson without values, in a SQLite file. Called by `sqlite_schema`.

A batch is one transaction that has the file's write lock from its first read: no other process writes in between.
"""

import contextlib
import functools
import sqlite3
from collections.abc import AsyncIterator

from controller.stores import blanking
from controller.stores.sqlite_connection import SqliteConnection, transaction

Key = tuple[str, str]
"""Tenant id and job id."""

# All rows, also those without variables: a batch reads so many rows and no more.
_SELECT = (
    "SELECT tenant_id, job_id, env_vars_json FROM jobs WHERE (tenant_id, job_id) > (?, ?) "
    "ORDER BY tenant_id, job_id LIMIT ?"
)
_UPDATE = "UPDATE jobs SET env_vars_json = ? WHERE tenant_id = ? AND job_id = ?"


async def redact(connection: SqliteConnection, *, dry_run: bool) -> AsyncIterator[int]:
    """As `ports.Migrations.redact`."""
    after: Key | None = ("", "")
    while after is not None:
        count, after = await connection.run(functools.partial(_batch, after=after, dry_run=dry_run))
        yield count


def _batch(db: sqlite3.Connection, after: Key, dry_run: bool) -> tuple[int, Key | None]:
    """How many rows had values, and the key to go on from; None after the last row."""
    with contextlib.nullcontext() if dry_run else transaction(db):
        found = _read(db, after)
        changed = blanking.changes(found)
        if not dry_run:
            db.executemany(_UPDATE, [(text, *key) for key, text in changed.items()])
    return len(changed), found[-1][0] if found else None


def _read(db: sqlite3.Connection, after: Key) -> list[tuple[Key, str | None]]:
    rows = db.execute(_SELECT, (*after, blanking.BATCH_ROWS))
    return [((tenant_id, job_id), text) for tenant_id, job_id, text in rows]
