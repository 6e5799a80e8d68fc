"""How many tasks a job has: as the request's own fields say, or its env_vars (contract §3), which stay as they are."""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from api.gen import deployment_pb2 as pb
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


def read(request: pb.SubmitJobRequest) -> Tasks:
    """Raises Invalid: not a number, out of bounds, said twice and differently, or more at once than there are."""
    env_vars = request.env_vars
    is_distributed = env_vars.get(DISTRIBUTED, "").strip().lower() == "true"
    count = _either("completions", request.completions, env_vars, COUNT)
    count = count or (DISTRIBUTED_COUNT if is_distributed else 1)
    parallelism = _either("parallelism", request.parallelism, env_vars, PARALLELISM)
    if parallelism is not None and parallelism > count:
        field = "parallelism" if request.parallelism else f"env_vars: {PARALLELISM}"
        raise Invalid(f"{field} is over the task count of {count}")
    return Tasks(completions=count, parallelism=parallelism)


def _either(field: str, value: int, env_vars: Mapping[str, str], name: str) -> int | None:
    """The number that the field or the variable gives; None where neither does."""
    if not 0 <= value <= MOST:
        raise Invalid(f"{field} must be a whole number from 1 to {MOST}")
    told = _number(env_vars, name)
    if value and told is not None and value != told:
        raise Invalid(f"{field} is {value}, and env_vars: {name} is {told}: leave out one of them")
    return value or told


def _number(env_vars: Mapping[str, str], name: str) -> int | None:
    value = env_vars.get(name)
    if value is None:
        return None
    if not _NUMBER.fullmatch(value.strip()) or not 1 <= int(value) <= MOST:
        raise Invalid(f"env_vars: {name} must be a whole number from 1 to {MOST}")
    return int(value)
