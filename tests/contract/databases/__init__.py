"""One module a database: `fresh` gives a test an empty database of its own, on a server that it starts where needed.

`fresh(folder)` is an async context manager whose value is a `Fresh`. It skips the test, with a reason, where the server
is not to be had on this machine.
"""

from collections.abc import Callable
from dataclasses import dataclass

from controller.ports import JobStore, Migrations


@dataclass(frozen=True)
class Fresh:
    """An empty database. Each call makes what another process would have."""

    store: Callable[..., JobStore]
    """Its keywords are those of the store's constructor."""
    migrations: Callable[[], Migrations]
