"""Calls that must not stop half-way: they go on when their caller has gone, and once more when a connection broke."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

from controller.domain.errors import Throttled, Unavailable
from controller.ports import Clock

LOG = logging.getLogger(__name__)

T = TypeVar("T")

AGAIN_SECONDS: Final = 0.2
MOST_SECONDS: Final = 5.0
"""Who is asked to wait for longer tells his caller, who has 30 s for all (contract §1)."""
CLOSE_SECONDS: Final = 20.0


class Completions:
    """Runs work to its end whatever becomes of who waits for it."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The work's result. A caller that is cancelled leaves; the work goes on."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for what is under way: a few calls with time limits of their own."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)


async def once_more(call: Callable[[], Awaitable[T]], clock: Clock) -> T:
    """The call's result, or that of a second try where the first did not get through, or was put off for a moment.

    Only for calls that may be made twice. Raises what the second one does.
    """
    try:
        return await call()
    except (Unavailable, Throttled) as error:
        if error.delay > MOST_SECONDS:
            raise
        LOG.info("trying once more: %s", error)
        pause = max(error.delay, AGAIN_SECONDS)
    await clock.sleep(pause)
    return await call()
