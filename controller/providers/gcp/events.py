"""What the service's status events say, as words and times of ours: pure tables over its texts.

Events of a job have no state field: their text is all there is (providers.md §1c). The texts are the service's to
change, so every reading here has a fallback, and none of them decides a phase.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from controller.domain import reasons

STATUS_CHANGED = "STATUS_CHANGED"
_CHANGE = re.compile(r"\bstate is (?:set|updated) from (\w+) to (\w+)", re.IGNORECASE)
_EXIT_CODE = re.compile(r"\bexit code (\d+)")
_RETRY = re.compile(r"preempt|retr(?:y|ied)|exit code", re.IGNORECASE)
_PATH = re.compile(r"\S*/\S*")  # names in a text are the user's: a job called quota-report has not exceeded one
_BARE_CHANGE = re.compile(r"^Job state is set from \w+ to \w+ for job \S+$")

EXIT_CODES = {
    50001: (reasons.PREEMPTED, "the cloud took the spot VM back"),
    50002: (reasons.FAILED, "the VM stopped reporting"),
    50003: (reasons.FAILED, "the VM was rebooted while the task ran"),
    50004: (reasons.FAILED, "the VM and the task became unresponsive"),
    50005: (reasons.DEADLINE_EXCEEDED, "the task ran longer than its limit"),
    50006: (reasons.FAILED, "the VM was made anew while the task ran"),
    50000: (reasons.FAILED, "the task failed for a reason that the service does not name"),
}
"""The service's own exit codes. 50000 and 50001 are documented in the SDK; the meaning of the others, known to be
reserved, is UNCONFIRMED."""

_WORDS = (
    (re.compile(r"(?<!-)quota(?!-)", re.IGNORECASE), reasons.QUOTA_EXCEEDED),  # with a hyphen it is of a name
    (
        re.compile(
            r"RESOURCE_POOL_EXHAUSTED|STOCKOUT|stock-?out|(?:enough|insufficient|no available) (?:resources|capacity)"
            r"|currently unavailable in .{0,80}\bzone\b",
            re.IGNORECASE,
        ),
        reasons.WAITING_FOR_CAPACITY,
    ),
    (re.compile(r"\bpreempt|\b50001\b", re.IGNORECASE), reasons.PREEMPTED),
    (
        re.compile(
            r"\b50005\b|max_?run_?duration|maximum run ?(?:time|duration)|exceeded .{0,40}(?:duration|timeout)",
            re.IGNORECASE,
        ),
        reasons.DEADLINE_EXCEEDED,
    ),
    (
        re.compile(
            r"pull(?:ing)? (?:the )?(?:\S+ )?image|image pull|pull access denied|manifest unknown", re.IGNORECASE
        ),
        reasons.IMAGE_PULL_FAILED,
    ),
    (re.compile(r"out of memory|\bOOM", re.IGNORECASE), reasons.OUT_OF_MEMORY),
    (re.compile(r"executable file not found", re.IGNORECASE), reasons.COMMAND_NOT_FOUND),
)
"""In this order: the first that occurs in a text is its reason."""


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


def reason_of(text: str) -> str | None:
    """The reason that a text speaks of; None where it speaks of none that is known."""
    plain = _PATH.sub(" ", text)
    return next((reason for words, reason in _WORDS if words.search(plain)), None)


def why_it_waits(events: Sequence[Any]) -> str | None:
    """The newest event that is more than a change of state: why a job gets no machine."""
    told = [event for event in _in_order(events) if _change(event) is None and event.description]
    return str(told[-1].description) if told else None


def why_it_failed(events: Sequence[Any]) -> str | None:
    """The newest event that says more than that the state changed; else the last one."""
    texts = [str(event.description) for event in _in_order(events) if event.description]
    telling = [text for text in texts if not _BARE_CHANGE.match(text)]
    return next(reversed(telling or texts), None)


def exit_code_in(text: str | None) -> int | None:
    """The exit code that a text speaks of."""
    match = _EXIT_CODE.search(text or "")
    return int(match.group(1)) if match else None


def hints_at_retries(events: Iterable[Any]) -> bool:
    """Whether a job's own events say that some task did not succeed the first time."""
    return any(_RETRY.search(_PATH.sub(" ", event.description)) for event in events)


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
