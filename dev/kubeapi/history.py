"""The recent changes of one kind, in order: what watches read and old lists are reconstructed from."""

import asyncio
from bisect import bisect_right
from dataclasses import dataclass
from operator import attrgetter

from .objects import Key, Stored


@dataclass(frozen=True, slots=True)
class Event:
    type: str
    """ADDED, MODIFIED or DELETED."""
    version: int
    stored: Stored
    """The object after the change; of a deletion, its last state with the deletion's resourceVersion."""
    previous: Stored | None


class History:
    """A bounded log. Watchers keep a position in it instead of a queue of their own.

    So a slow watcher holds back nobody and costs no memory; one that falls out of the log is told so.
    """

    def __init__(self, start_version: int, limit: int) -> None:
        self._events: list[Event] = []
        self._dropped = 0
        self._limit = limit
        self._oldest_version = start_version
        self._wakeups: set[asyncio.Event] = set()
        self.beginnings = 0
        """How often it was begun anew: a watch ends with that."""

    def append(self, event: Event) -> None:
        self._events.append(event)
        # Trimming half at a time makes it cost nothing per event.
        if len(self._events) >= 2 * self._limit:
            self._oldest_version = self._events[self._limit - 1].version
            del self._events[: self._limit]
            self._dropped += self._limit
        self.wake_all()

    def begin_anew(self, version: int) -> None:
        """Forget all until that version; whoever watches has to begin again."""
        self._dropped += len(self._events)
        self._events.clear()
        self._oldest_version = version
        self.beginnings += 1
        self.wake_all()

    @property
    def end(self) -> int:
        """The position behind the last event."""
        return self._dropped + len(self._events)

    def position_after(self, version: int) -> int | None:
        """Where the events after `version` begin; None where they are no longer all known."""
        if version < self._oldest_version:
            return None
        return self._dropped + bisect_right(self._events, version, key=attrgetter("version"))

    def since(self, position: int) -> list[Event] | None:
        """The events from `position` on; None where they are no longer all known."""
        return None if position < self._dropped else self._events[position - self._dropped :]

    def before_changes_since(self, version: int) -> dict[Key, Stored | None] | None:
        """What every object changed after `version` was at that time; None where that is not known."""
        position = self.position_after(version)
        if position is None:
            return None
        changed: dict[Key, Stored | None] = {}
        for event in self._events[position - self._dropped :]:
            changed.setdefault(event.stored.key, event.previous)
        return changed

    def add_wakeup(self, wakeup: asyncio.Event) -> None:
        self._wakeups.add(wakeup)

    def remove_wakeup(self, wakeup: asyncio.Event) -> None:
        self._wakeups.discard(wakeup)

    def wake_all(self) -> None:
        for wakeup in self._wakeups:
            wakeup.set()
