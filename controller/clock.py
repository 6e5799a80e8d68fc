"""The real clock, and waiting by any clock. What needs time takes a `ports.Clock`; only composition roots make one."""

import asyncio
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

from controller.ports import Clock

T = TypeVar("T")


class SystemClock:
    """`ports.Clock` on the machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def wait_for_event(event: asyncio.Event, seconds: float | None, clock: Clock) -> None:
    """Until the event is set, or that time is over (None: no limit)."""
    if seconds is None:
        await event.wait()
        return
    waiting = asyncio.ensure_future(event.wait())
    sleeping = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait((waiting, sleeping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (waiting, sleeping):
            task.cancel()
        await asyncio.gather(waiting, sleeping, return_exceptions=True)


async def within(seconds: float, call: Coroutine[Any, Any, T], clock: Clock) -> T:
    """The call's result. Raises TimeoutError when that time is over first; the call is cancelled then."""
    calling = asyncio.ensure_future(call)
    sleeping = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait((calling, sleeping), return_when=asyncio.FIRST_COMPLETED)
        if not calling.done():
            raise TimeoutError
        return calling.result()
    finally:
        for task in (calling, sleeping):
            task.cancel()
        await asyncio.gather(calling, sleeping, return_exceptions=True)
