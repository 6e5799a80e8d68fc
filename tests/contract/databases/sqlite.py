"""SQLite: a file in the test's folder."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from controller.stores.sqlite import SqliteStore
from controller.stores.sqlite_schema import SqliteMigrations
from tests.contract.databases import Fresh


@contextlib.asynccontextmanager
async def fresh(folder: Path) -> AsyncIterator[Fresh]:
    path = folder / "jennah.db"
    yield Fresh(store=lambda **more: SqliteStore(path, **more), migrations=lambda: SqliteMigrations(path))
