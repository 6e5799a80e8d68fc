"""Numbered migration files (``schema/<database>/0001_initial.sql``) as statements. SQLite and PostgreSQL use it.

The number is the schema's version after the file. A file is never changed once it was released; the next one alters.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from controller.domain.errors import ConfigError

_FOLDER = Path(__file__).parent / "schema"
_COMMENT = re.compile(r"^\s*--.*\n?", re.MULTILINE)


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a schema: the statements, without separators, that lead to `version`."""

    version: int
    statements: tuple[str, ...]


def load(database: str) -> tuple[Migration, ...]:
    """The migrations of that database, oldest first."""
    files = sorted((_FOLDER / database).glob("*.sql"))
    return tuple(
        Migration(version=int(file.name.partition("_")[0]), statements=split(file.read_text(encoding="utf-8")))
        for file in files
    )


def split(text: str) -> tuple[str, ...]:
    """The statements of a file. Comments stand in lines of their own; no literal contains the separator."""
    statements = (statement.strip() for statement in _COMMENT.sub("", text).split(";"))
    return tuple(statement for statement in statements if statement)


def missing(migrations: Sequence[Migration], version: int) -> tuple[Migration, ...]:
    """What a schema of that version lacks (0: there is none). Raises ConfigError for one that is newer than these."""
    if version > migrations[-1].version:
        raise ConfigError([_newer(version, migrations[-1].version)])
    return tuple(migration for migration in migrations if migration.version > version)


def check(migrations: Sequence[Migration], version: int) -> None:
    """Raises ConfigError for a schema that is not the one of these migrations, with what to do about it."""
    if missing(migrations, version):
        state = f"the database's schema has version {version}" if version else "the database has no schema yet"
        raise ConfigError([f"{state}; this release needs {migrations[-1].version}: run `jennah migrate`"])


def _newer(version: int, needed: int) -> str:
    return f"the database has schema version {version}; this release needs {needed}: use the release that made it"
