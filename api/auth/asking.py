"""Asking another program about callers, so that those with made-up tokens cannot starve the others.

The answers count for a minute. One question about one thing is under way at a time, whoever waits for it. What was
good before has places of its own, so it waits for nothing that somebody makes up; what is new waits in a short queue,
of which one asker gets a part. Good answers and refusals are remembered apart: refusals push no good one out.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from api.connect.errors import Code, ConnectError
from controller.ports import Clock

ANSWER_SECONDS: Final = 60.0
"""How long an answer counts."""
REMEMBERED_MAX: Final = 10_000
"""So many good answers, and as many refusals."""
AT_ONCE: Final = 8
"""Questions about new things under way, and as many about known ones: they leave connections to other calls."""
WAITING_MAX: Final = 128
"""New things that are asked about or wait for that."""
WAITING_MAX_OF_ONE: Final = 64
"""The part of it that one asker may have."""
RETRY_SECONDS: Final = 2

Answer = TypeVar("Answer")


class Asking(Generic[Answer]):
    """Remembered questions. An answer of None is a refusal."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._good: OrderedDict[bytes, tuple[float, Answer]] = OrderedDict()
        """Kept beyond their time: what was good once has a place of its own."""
        self._refused: OrderedDict[bytes, float] = OrderedDict()
        self._under_way: dict[bytes, asyncio.Task[Answer | None]] = {}
        self._places = asyncio.Semaphore(AT_ONCE)
        self._places_of_known = asyncio.Semaphore(AT_ONCE)
        self._waiting: Counter[str] = Counter()

    async def about(self, key: bytes, asker: str, ask: Callable[[], Awaitable[Answer | None]]) -> Answer | None:
        """The remembered answer, else that of `ask`, whose errors are not remembered.

        Raises ConnectError `unavailable` where too many new things wait already.
        """
        now = self._clock.monotonic()
        good = self._good.get(key)
        if good is not None and now - good[0] < ANSWER_SECONDS:
            return good[1]
        if good is None and now - self._refused.get(key, -ANSWER_SECONDS) < ANSWER_SECONDS:
            return None
        task = self._under_way.get(key)
        if task is None:
            asking = self._ask_known(key, ask) if good else self._ask_new(key, self._admit(asker), ask)
            task = asyncio.create_task(asking)
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._end(key, done))
        return await asyncio.shield(task)  # a caller that gives up does not end it for the others

    async def close(self) -> None:
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask_known(self, key: bytes, ask: Callable[[], Awaitable[Answer | None]]) -> Answer | None:
        async with self._places_of_known:
            return self._remember(key, self._clock.monotonic(), await ask())

    def _admit(self, asker: str) -> str:
        if self._waiting.total() >= WAITING_MAX or self._waiting[asker] >= WAITING_MAX_OF_ONE:
            raise ConnectError(
                Code.UNAVAILABLE, "too many new callers are being checked, try again", retry_after=RETRY_SECONDS
            )
        self._waiting[asker] += 1
        return asker

    async def _ask_new(self, key: bytes, asker: str, ask: Callable[[], Awaitable[Answer | None]]) -> Answer | None:
        try:
            async with self._places:
                return self._remember(key, self._clock.monotonic(), await ask())
        finally:
            self._waiting[asker] -= 1
            if not self._waiting[asker]:
                del self._waiting[asker]

    def _remember(self, key: bytes, asked: float, answer: Answer | None) -> Answer | None:
        """`asked`: when; what changed since may not be in the answer."""
        self._good.pop(key, None)
        self._refused.pop(key, None)
        if answer is None:
            self._refused[key] = asked
        else:
            self._good[key] = (asked, answer)
        for kept in (self._good, self._refused):
            if len(kept) > REMEMBERED_MAX:
                kept.popitem(last=False)
        return answer

    def _end(self, key: bytes, done: asyncio.Task[Answer | None]) -> None:
        del self._under_way[key]
        if not done.cancelled():
            done.exception()  # told to who waits, if anybody still does
