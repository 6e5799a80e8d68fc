"""SQLite: a file in the test's folder."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from controller.ports import JobStore
from controller.stores.sqlite import SqliteStore


@contextlib.asynccontextmanager
async def fresh(folder: Path) -> AsyncIterator[Callable[..., JobStore]]:
    yield lambda **more: SqliteStore(folder / "jennah.db", **more)
