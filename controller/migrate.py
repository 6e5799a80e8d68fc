"""``jennah migrate``: create the database's schema, or bring it up to what this release needs."""

import contextlib

from controller import databases
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
