"""The workers of the queue, and how they stop: what is being worked on is finished, nothing new is begun."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from controller.ports import Leadership
from controller.reconcile.queue import WorkQueue

log = logging.getLogger(__name__)


class Workers:
    """That many tasks, each working on one key at a time, while we lead."""

    def __init__(
        self, queue: WorkQueue, work_on: Callable[[str], Awaitable[None]], count: int, leadership: Leadership
    ) -> None:
        self._queue = queue
        self._work_on = work_on
        self._count = count
        self._leadership = leadership
        self._busy: set[asyncio.Task[None]] = set()
        self._stopping = False

    @contextlib.asynccontextmanager
    async def running(self, grace_seconds: float) -> AsyncIterator[None]:
        """Work while the block runs. At its end keys in work get `grace_seconds`, then they are abandoned.

        Abandoning is safe at any point: the next pass finds what was done (design §3).
        """
        tasks = {asyncio.create_task(self._loop(), name=f"worker-{n}") for n in range(self._count)}
        try:
            yield
        finally:
            self._stopping = True
            for task in tasks - self._busy:
                task.cancel()
            if self._busy:
                await asyncio.wait(self._busy, timeout=grace_seconds)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _loop(self) -> None:
        me = asyncio.current_task()
        assert me is not None
        while not self._stopping:
            # Before a key is taken: who waits here is not busy, so a standby stops at once.
            await self._leadership.wait_until_leader()
            key = await self._queue.take()
            self._busy.add(me)
            try:
                await self._work_on(key)
            except Exception:
                # A worker that dies is missed by nobody until all are dead: it never does.
                log.exception("unexpected failure outside of a pass")
                self._queue.back_off(key)
            finally:
                self._busy.discard(me)
                self._queue.done(key)
