"""What the service's status events tell: times, exit codes, and the texts that say more than a change of state. Pure.

Events of a job have no state field: their text is all there is (providers.md §1c). The texts are the service's to
change, so every reading here has a fallback, and none of them decides a phase. What the texts mean is in `failure`.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

STATUS_CHANGED = "STATUS_CHANGED"
_CHANGE = re.compile(r"\bstate is (?:set|updated) from (\w+) to (\w+)", re.IGNORECASE)
_EXIT_CODE = re.compile(r"\bexit code (\d+)")
_RETRY = re.compile(r"preempt|retr(?:y|ied)|exit code", re.IGNORECASE)
_TASK_CHANGE = re.compile(r"\bTask state is (?:set|updated) from (\S+) to (\w+)", re.IGNORECASE)
_PATH = re.compile(r"\S*/\S*")
_BARE_CHANGE = re.compile(r"^Job state is set from \w+ to \w+ for job \S+$")


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """When a job came into its states, as far as its events tell."""

    scheduled_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


def times(events: Iterable[Any]) -> Times:
    """The first time that the job was scheduled and that it ran, and the last time that it ended."""
    scheduled: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    for event in events:
        change = _change(event)
        if change == "SCHEDULED":
            scheduled = _earlier(scheduled, at(event))
        elif change == "RUNNING":
            started = _earlier(started, at(event))
        elif change in ("SUCCEEDED", "FAILED", "CANCELLED"):
            ended = max(filter(None, (ended, at(event))), default=None)
    return Times(scheduled_at=scheduled, started_at=started, ended_at=ended)


def why_it_waits(events: Sequence[Any]) -> str | None:
    """The newest event that is more than a change of state: why a job gets no machine."""
    told = [event for event in _in_order(events) if _change(event) is None and event.description]
    return str(told[-1].description) if told else None


def why_it_failed(events: Sequence[Any]) -> str | None:
    """The newest event that says more than that the state changed; else the last one."""
    return next(iter(telling(events)), None)


def telling(events: Sequence[Any]) -> list[str]:
    """The texts that say more than that the state changed, the newest first; else the last one alone."""
    texts = [str(event.description) for event in reversed(_in_order(events)) if event.description]
    return [text for text in texts if not _BARE_CHANGE.match(text)] or texts[:1]


def exit_code_in(text: str | None) -> int | None:
    """The exit code that a text speaks of."""
    match = _EXIT_CODE.search(text or "")
    return int(match.group(1)) if match else None


def hints_at_retries(events: Iterable[Any]) -> bool:
    """Whether a job's own events say that some task did not succeed the first time."""
    return any(_RETRY.search(without_names(event.description)) for event in events)


def without_names(text: str) -> str:
    """The text without paths, whose words are the user's: a job called quota-report has not exceeded one."""
    return _PATH.sub(" ", text)


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of a task that failed."""

    exit_code: int | None
    had_begun: bool
    """Whether the program had: where the event says nothing of it, it had."""
    text: str


def failed_attempts(task_events: Sequence[Any]) -> list[Attempt]:
    """The attempts of one task that failed, in their order."""
    found = []
    for event in _in_order(task_events):
        change = _TASK_CHANGE.search(event.description)
        if event.HasField("task_execution") or (change and change.group(2).upper() == "FAILED"):
            # A code of 0 is no failure's: then the text may have it.
            code = (event.task_execution.exit_code if event.HasField("task_execution") else 0) or exit_code_in(
                event.description
            )
            began = change is None or change.group(1).upper() not in ("PENDING", "ASSIGNED")
            found.append(Attempt(exit_code=code, had_begun=began, text=event.description))
    return found


def at(event: Any) -> datetime | None:
    """The event's time; None where it has none."""
    return moment(event.event_time) if event.HasField("event_time") else None


def moment(timestamp: Any) -> datetime:
    """A protobuf Timestamp as a datetime in UTC, to the microsecond."""
    found: datetime = timestamp.ToDatetime(tzinfo=UTC)
    return found


def _change(event: Any) -> str | None:
    """The state that the event says was reached; None for every other event."""
    match = _CHANGE.search(event.description)
    return match.group(2).upper() if match else None


def _in_order(events: Sequence[Any]) -> list[Any]:
    """By time; nothing is said about the order in which the service lists them."""
    return sorted(events, key=lambda event: (event.event_time.seconds, event.event_time.nanos))


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min(filter(None, (one, other)), default=None)
