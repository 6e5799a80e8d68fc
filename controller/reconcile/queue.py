"""The keyed work queue between events and workers. Its contract:

- A key that is added several times before a worker takes it is worked on once.
- A key is worked on by one worker at a time; added meanwhile, it comes again when that worker is done.
- A key that is put off comes when its time is over, or earlier when it is added.
- `back_off` puts a key off for longer each time, with jitter and a cap; `forget` resets that.
"""

import asyncio
import heapq
import random
from collections import deque

from controller.backoff import Backoff
from controller.clock import wait_for_event
from controller.ports import Clock

BACKOFF_BASE_SECONDS = 0.2
BACKOFF_CAP_SECONDS = 60.0


class WorkQueue:
    """See the module's contract. Not thread-safe: one event loop."""

    def __init__(self, clock: Clock, jitter: random.Random | None = None) -> None:
        self._clock = clock
        self._backoff = Backoff(first=BACKOFF_BASE_SECONDS, cap=BACKOFF_CAP_SECONDS, jitter=jitter)
        self._ready: deque[str] = deque()
        self._queued: set[str] = set()
        self._working: set[str] = set()
        self._again: set[str] = set()
        self._delayed: list[tuple[float, str]] = []
        self._due: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._wake = asyncio.Event()
        self._waiters: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        """Keys that wait for a worker now."""
        return len(self._ready)

    def add(self, key: str) -> None:
        """Have the key worked on as soon as possible."""
        self._due.pop(key, None)
        if key in self._working:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._ready.append(key)
            self._release_one()

    def add_after(self, key: str, seconds: float) -> None:
        """Have the key worked on in that many seconds, unless it is due earlier anyway."""
        due = self._clock.monotonic() + max(seconds, 0.0)
        if key in self._queued or self._due.get(key, due + 1) <= due:
            return
        self._due[key] = due
        heapq.heappush(self._delayed, (due, key))
        if len(self._delayed) > 2 * len(self._due) + 64:
            # Mostly times that were superseded: keep only those that count.
            self._delayed = [(due, key) for key, due in self._due.items()]
            heapq.heapify(self._delayed)
        self._wake.set()

    def back_off(self, key: str, least: float = 0.0) -> float:
        """Put a key off after a failure; the seconds it waits, at least `least`."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        seconds = max(self._backoff.pause(failures), least)
        self.add_after(key, seconds)
        return seconds

    def forget(self, key: str) -> None:
        """The key was worked on without a failure."""
        self._failures.pop(key, None)

    def drop(self, key: str) -> None:
        """The key's object is gone: nothing of it is kept."""
        self._failures.pop(key, None)
        self._due.pop(key, None)
        self._again.discard(key)

    async def take(self) -> str:
        """The next key. The caller must call `done` for it. Cancelling loses no key."""
        while True:
            while self._ready:
                key = self._ready.popleft()
                self._queued.discard(key)
                self._working.add(key)
                return key
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
                elif self._ready:
                    self._release_one()

    def done(self, key: str) -> None:
        """The worker is finished with the key."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    async def run_timer(self) -> None:
        """Move keys whose time is over to the workers. Runs until it is cancelled."""
        while True:
            self._wake.clear()
            now = self._clock.monotonic()
            while self._delayed and self._delayed[0][0] <= now:
                due, key = heapq.heappop(self._delayed)
                if self._due.get(key) == due:
                    self.add(key)
            pause = self._delayed[0][0] - now if self._delayed else None
            await wait_for_event(self._wake, pause, self._clock)

    def _release_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
