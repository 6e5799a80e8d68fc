"""PostgreSQL: a database of its own for each test, on one server for all of them.

The server is the one of `DB_TEST_POSTGRES_URL` (its role may create databases), else one of `dev.postgres`.
"""

import atexit
import contextlib
import functools
import itertools
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from controller.stores.postgres import PostgresStore
from controller.stores.postgres_schema import PostgresMigrations
from dev import postgres
from tests.contract.databases import Fresh

_TEMPLATE = f"jennah_template_{os.getpid()}"
_numbers = itertools.count()


@contextlib.asynccontextmanager
async def fresh(folder: Path) -> AsyncIterator[Fresh]:
    async with fresh_url() as url:
        yield Fresh(store=lambda **more: PostgresStore(url, **more), migrations=lambda: PostgresMigrations(url))


@contextlib.asynccontextmanager
async def fresh_url() -> AsyncIterator[str]:
    """The URL of a new database with the schema."""
    await _make_template()
    with database(template=_TEMPLATE) as url:
        yield url


@contextlib.contextmanager
def database(*, template: str = "template1") -> Iterator[str]:
    """The URL of a new database; without a template it is empty."""
    name = f"jennah_test_{os.getpid()}_{next(_numbers)}"
    execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield _url(name)
    finally:
        execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def execute(statement: str) -> None:
    """Run a statement on the server's own database."""
    with psycopg.connect(server_url(), autocommit=True) as connection:
        connection.execute(statement)


@functools.cache
def server_url() -> str:
    """The server's own database. Skips the test where no server is to be had."""
    url = os.environ.get("DB_TEST_POSTGRES_URL")
    return url or start_server().url()


def start_server() -> postgres.Server:
    """A server of our own, ended with this process."""
    binaries = postgres.find_binaries()
    if binaries is None:
        pytest.skip(postgres.HOW_TO_GET)
    server = postgres.Server(binaries)
    atexit.register(server.stop)
    server.start()
    return server


def _url(database_name: str) -> str:
    return urlunsplit(urlsplit(server_url())._replace(path=f"/{database_name}"))


_is_made: list[bool] = []


async def _make_template() -> None:
    """A database with the schema, once: a copy of it is quicker than a migration for each test."""
    if _is_made:
        return
    execute(f'CREATE DATABASE "{_TEMPLATE}"')
    _is_made.append(True)
    if "DB_TEST_POSTGRES_URL" in os.environ:
        atexit.register(execute, f'DROP DATABASE "{_TEMPLATE}" WITH (FORCE)')
    migrations = PostgresMigrations(_url(_TEMPLATE))
    await migrations.apply()
    await migrations.close()
