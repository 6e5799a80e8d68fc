"""Copies of a server's disk, and the way back: what ``etcdctl snapshot save`` and ``etcdutl snapshot restore`` do."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

FILE = "objects.db"
"""In a server's data directory. The log of what is not in it yet lies beside it."""
LOG = f"{FILE}-wal"
BUMP = 1_000_000
"""How far resourceVersions jump at a restore (``--bump-revision``): none is given a second time, and all watches that
were open before have to list again."""


def save(data_dir: Path, to: Path) -> None:
    """Copy the disk. Its server must be stopped, or paused while that lasts: the copy is as after a crash."""
    to.mkdir(parents=True)
    for name in (FILE, LOG):
        if (data_dir / name).exists():
            shutil.copy(data_dir / name, to / name)


def restore(data_dir: Path, copy: Path) -> None:
    """Put the objects of a copy on the disk, at later versions than there ever were. Its server must be stopped."""
    newest = max(_version(data_dir), _version(copy))
    for name in (FILE, LOG):
        (data_dir / name).unlink(missing_ok=True)
        if (copy / name).exists():
            shutil.copy(copy / name, data_dir / name)
    with closing(sqlite3.connect(data_dir / FILE)) as connection, connection:
        connection.execute("UPDATE counter SET version = ?", (newest + BUMP,))


def objects(data_dir: Path, resource: str, namespace: str) -> Iterator[dict[str, Any]]:
    """What a stopped server, or a copy, has of a resource (its storage name) in a namespace."""
    query = "SELECT body FROM objects WHERE resource = ? AND namespace = ?"
    with closing(sqlite3.connect(data_dir / FILE)) as connection:
        for (body,) in connection.execute(query, (resource, namespace)):
            yield json.loads(body)


def _version(data_dir: Path) -> int:
    """The last resourceVersion that was given."""
    with closing(sqlite3.connect(data_dir / FILE)) as connection:
        (deleted,) = connection.execute("SELECT version FROM counter").fetchone()
        bodies = connection.execute("SELECT body FROM objects")
        return max([int(deleted), *(int(json.loads(body)["metadata"]["resourceVersion"]) for (body,) in bodies)])
