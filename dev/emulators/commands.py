"""What a container would do, by its command: the stand-ins run nothing.

Understood are ``sleep SECONDS``, ``true``, ``false``, and ``sh -c SCRIPT`` where SCRIPT is a list, separated by ``;``
or ``&&``, of ``sleep SECONDS``, ``exit CODE``, ``true`` and ``false``. Everything else ends at once with exit code 0.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple


class Plan(NamedTuple):
    """How long the command runs, and its exit code."""

    seconds: float
    exit_code: int


def plan(command: Sequence[str]) -> Plan:
    """The plan of that command line; its first word may be a path."""
    words = [command[0].rpartition("/")[2], *command[1:]] if command else []
    if words[:1] in (["sh"], ["bash"]) and words[1:2] == ["-c"] and len(words) > 2:
        return _script(words[2])
    return _script(" ".join(words))


def _script(text: str) -> Plan:
    seconds = 0.0
    for step in re.split(r";|&&", text):
        match step.split():
            case ["sleep", number] if _is_number(number):
                seconds += float(number)
            case ["exit", code] if code.isdecimal():
                return Plan(seconds, int(code) % 256)
            case ["false"]:
                return Plan(seconds, 1)
    return Plan(seconds, 0)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+(\.\d+)?", text) is not None
