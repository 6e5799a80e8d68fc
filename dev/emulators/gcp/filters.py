"""The filters of ListJobs and ListTasks that are known to be in use: anything else is refused.

``labels."k" = "v"`` and ``createTime >= "RFC 3339"``, joined by AND, with parentheses; ``State=RUNNING`` for tasks.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from dev.emulators.gcp.messages import TaskState
from dev.emulators.gcp.refusals import invalid

Predicate = Callable[[Any], bool]
"""Of a job or a task, as a message."""

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<label>labels\."(?P<key>[^"]+)"\s*=\s*"(?P<value>[^"]*)")
      | (?P<time>createTime\s*>=\s*"(?P<since>[^"]+)")
      | (?P<word>AND\b|\(|\))
    )""",
    re.VERBOSE,
)
_STATE = re.compile(r'\s*state\s*=\s*"?(\w+)"?\s*', re.IGNORECASE)


def of_jobs(text: str) -> Predicate:
    """Raises Refusal."""
    if not text.strip():
        return lambda job: True
    tests: list[Predicate] = []
    depth, wants_term, position = 0, True, 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if match is None:
            raise invalid(f"invalid filter at {position}: {text!r}")
        position = match.end()
        word = match["word"]
        if word == "(" and wants_term:
            depth += 1
        elif word == ")" and not wants_term and depth:
            depth -= 1
        elif word == "AND" and not wants_term:
            wants_term = True
        elif word is None and wants_term:
            tests.append(_has_label(match["key"], match["value"]) if match["label"] else _is_since(match["since"]))
            wants_term = False
        else:
            raise invalid(f"invalid filter at {match.start()}: {text!r}")
    if depth or wants_term:
        raise invalid(f"incomplete filter: {text!r}")
    return lambda job: all(test(job) for test in tests)


def of_tasks(text: str) -> Predicate:
    """Raises Refusal."""
    if not text.strip():
        return lambda task: True
    match = _STATE.fullmatch(text)
    if match is None or match.group(1) not in TaskState.__members__:
        raise invalid(f"invalid filter: {text!r}")
    wanted = int(TaskState[match.group(1)])
    return lambda task: bool(task.status.state == wanted)


def _has_label(key: str, value: str) -> Predicate:
    return lambda job: bool(job.labels.get(key) == value)


def _is_since(text: str) -> Predicate:
    try:
        since = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(f"invalid time {text!r} in the filter") from None
    if since.tzinfo is None:
        raise invalid(f"the time {text!r} in the filter has no zone")
    seconds = since.timestamp()
    return lambda job: bool(job.create_time.seconds + job.create_time.nanos / 1e9 >= seconds)
