"""How many tasks a job has, as its env_vars say it (contract §3). They stay in the environment as well."""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from controller.domain.errors import Invalid

COUNT: Final = "JENNAH_TASK_COUNT"
PARALLELISM: Final = "JENNAH_PARALLELISM"
DISTRIBUTED: Final = "ENABLE_DISTRIBUTED_MODE"
DISTRIBUTED_COUNT: Final = 4
MOST: Final = 10_000

_NUMBER = re.compile(r"[0-9]{1,9}")


class Tasks(msgspec.Struct, frozen=True, kw_only=True):
    """The task count, and how many of them run at once (None: as the service likes)."""

    completions: int = 1
    parallelism: int | None = None


def read(env_vars: Mapping[str, str]) -> Tasks:
    """Raises Invalid: not a number, out of bounds, or more at once than there are."""
    is_distributed = env_vars.get(DISTRIBUTED, "").strip().lower() == "true"
    count = _number(env_vars, COUNT) or (DISTRIBUTED_COUNT if is_distributed else 1)
    parallelism = _number(env_vars, PARALLELISM)
    if parallelism is not None and parallelism > count:
        raise Invalid(f"env_vars: {PARALLELISM} is over the task count of {count}")
    return Tasks(completions=count, parallelism=parallelism)


def _number(env_vars: Mapping[str, str], name: str) -> int | None:
    value = env_vars.get(name)
    if value is None:
        return None
    if not _NUMBER.fullmatch(value.strip()) or not 1 <= int(value) <= MOST:
        raise Invalid(f"env_vars: {name} must be a whole number from 1 to {MOST}")
    return int(value)
