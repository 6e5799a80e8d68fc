"""Which rows of a batch have values of environment variables, and what EnvVarsJson is to say instead: pure.

The ``<database>_blanking`` modules read batches of rows, and write what comes out where the row still stands.
"""

from collections.abc import Iterable
from typing import TypeVar

from controller.domain.records import blanked

K = TypeVar("K")

BATCH_ROWS = 100
"""Rows of one batch: a row has up to a megabyte, and its lock, where there is one, must not hold up an operator."""


def has_values(env_vars_json: str | None) -> bool:
    """Whether it says more than names."""
    return blanked(env_vars_json) != env_vars_json


def changes(rows: Iterable[tuple[K, str | None]]) -> dict[K, str | None]:
    """The new EnvVarsJson of the rows that must change, by their keys. `rows`: keys, and EnvVarsJson as it is."""
    return {key: blanked(text) for key, text in rows if has_values(text)}
