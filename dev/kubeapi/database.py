"""The objects on disk: SQLite, written before a request is answered.

synchronous=OFF hands every commit to the operating system without waiting for the disk: killing the
process loses nothing, only a crash of the machine may.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (resource, namespace, name)
);
CREATE TABLE IF NOT EXISTS counter (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL);
INSERT OR IGNORE INTO counter VALUES (1, 0);
"""

_UPSERT = "INSERT INTO objects VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body"


# A server that was killed a moment ago may still be letting go.
_LOCK_SECONDS = 0.5


class InUse(Exception):
    """Another process has the database open."""


class Database:
    def __init__(self, path: Path) -> None:
        """Raises InUse where another server has the file open."""
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=_LOCK_SECONDS)
        try:
            # One server to a data directory; not having to share makes every commit cheaper, too.
            self._connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=OFF")
            self._connection.executescript(_SCHEMA)
        except sqlite3.OperationalError as e:
            self._connection.close()
            raise InUse(f"{path} is in use by another server ({e})") from e

    def load(self, resource: str) -> Iterator[bytes]:
        """The bodies of all objects of a resource, in key order."""
        query = "SELECT body FROM objects WHERE resource = ? ORDER BY namespace, name"
        for (body,) in self._connection.execute(query, (resource,)):
            yield body

    def resources(self) -> list[str]:
        return [resource for (resource,) in self._connection.execute("SELECT DISTINCT resource FROM objects")]

    def version(self) -> int:
        """The resourceVersion of the last deletion; those of other writes are in the bodies."""
        (version,) = self._connection.execute("SELECT version FROM counter").fetchone()
        return int(version)

    def put(self, resource: str, namespace: str, name: str, body: bytes) -> None:
        row = (resource, namespace, name, body)
        self._connection.execute(_UPSERT, row)

    def delete(self, resource: str, namespace: str, name: str, version: int) -> None:
        key = (resource, namespace, name)
        self._connection.execute("BEGIN")
        self._connection.execute("DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?", key)
        self._connection.execute("UPDATE counter SET version = ?", (version,))
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()
