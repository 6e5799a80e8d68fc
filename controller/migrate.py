"""``jennah migrate``: create the database's schema, or bring it up to what this release needs; ``--redact``: blank the
values of environment variables that its rows have."""

import contextlib

from controller import databases
from controller.domain.errors import ConfigError, JennahError
from controller.settings import DatabaseSettings
from controller.startup import say


async def run(database: DatabaseSettings, *, dry_run: bool) -> int:
    """The exit code. Raises Unavailable, ConfigError."""
    migrations = databases.make_migrations(database)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(migrations.close)
        statements = await (migrations.pending() if dry_run else migrations.apply())
        for statement in statements:
            say(f"{statement};")
        if not statements:
            say(f"-- {databases.name_of(database)}: the schema is current")
    return 0


async def redact(database: DatabaseSettings, *, dry_run: bool) -> int:
    """The exit code. Raises Unavailable, ConfigError; what was blanked before is told and stays."""
    if not database.redact_env:
        raise ConfigError(["DB_REDACT_ENV=false has values recorded: set it to true for all programs before --redact"])
    migrations = databases.make_migrations(database)
    name, count = databases.name_of(database), 0
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(migrations.close)
        try:
            async for rows in migrations.redact(dry_run=dry_run):
                count += rows
        except JennahError:
            if count and not dry_run:
                say(f"-- {name}: rows that were blanked before the failure: {count}; run it again for the others")
            raise
        say(f"-- {name}: rows whose values {'would be' if dry_run else 'were'} blanked: {count}")
    return 0
