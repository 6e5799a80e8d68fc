"""EnvVarsJson without values, in Spanner. Called by `spanner_schema`.

A batch is read by a query. The rows that have values are read once more, by their keys, in the read-write transaction
that writes them: where another writes one of them meanwhile, Spanner aborts one of the two, which then begins again.
The mutation is an update of the one column: an upsert would need all columns that are NOT NULL.
"""

from collections.abc import AsyncIterator

from controller.stores import blanking
from controller.stores import spanner_values as values
from controller.stores.spanner_connection import SpannerConnection
from controller.stores.spanner_transaction import Transaction
from controller.stores.spanner_values import Row, Statement

Key = tuple[str, str]
"""Tenant id and job id."""

_COLUMNS = ("TenantId", "JobId", "EnvVarsJson")
# All rows, also those without variables: a batch reads so many rows and no more.
_SELECT = (
    "SELECT TenantId, JobId, EnvVarsJson FROM Jobs "
    "WHERE TenantId >= @tenant AND (TenantId > @tenant OR JobId > @job) ORDER BY TenantId, JobId LIMIT @limit"
)


async def redact(connection: SpannerConnection, *, dry_run: bool) -> AsyncIterator[int]:
    """As `ports.Migrations.redact`. The connection is open."""
    after = ("", "")
    while found := await _read(connection, after):
        after = found[-1][0]
        keys = [*blanking.changes(found)]
        yield len(keys) if dry_run or not keys else await _blank(connection, keys)


async def _read(connection: SpannerConnection, after: Key) -> list[tuple[Key, str | None]]:
    statement = Statement(_SELECT, tenant=after[0], job=after[1], limit=blanking.BATCH_ROWS)
    return _keyed(await connection.run(lambda sessions, time: sessions.query(statement, time)))


async def _blank(connection: SpannerConnection, keys: list[Key]) -> int:
    changed: set[Key] = set()

    def work(transaction: Transaction) -> None:
        new = blanking.changes(_keyed(transaction.read("Jobs", _COLUMNS, values.keys(keys))))
        # What an earlier try changed counts: its commit may have worked although no reply came.
        changed.update(new)
        transaction.update("Jobs", _COLUMNS, [values.row((*key, text)) for key, text in new.items()])

    await connection.run(lambda sessions, time: sessions.transact(work, time))
    return len(changed)


def _keyed(rows: list[Row]) -> list[tuple[Key, str | None]]:
    return [((tenant_id, job_id), text) for tenant_id, job_id, text in rows]
