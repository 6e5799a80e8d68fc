"""Writes the first transition of submitted jobs, and keeps at it in the background while the database is down.

A submission is acknowledged when Kubernetes has it (design §6): what is lost here, the controller repeats.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from controller.domain.errors import JennahError, Permanent
from controller.domain.records import Recorded, Transition
from controller.ports import Clock, JobWriter

LOG = logging.getLogger(__name__)

RECORD_SECONDS: Final = 5.0
"""How long a caller waits for the database."""
PENDING_MAX: Final = 1000
"""How many jobs are remembered for another attempt; the controller records the others."""
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0

IsWanted = Callable[[Transition], Awaitable[bool]]


class SubmissionRecorder:
    """One background task while there is something to repeat; none otherwise."""

    def __init__(self, writer: JobWriter, clock: Clock, is_wanted: IsWanted) -> None:
        """`is_wanted` tells whether the object of a transition still exists: a deleted one's row must not come back."""
        self._writer = writer
        self._clock = clock
        self._is_wanted = is_wanted
        self._pending: dict[str, Transition] = {}
        self._task: asyncio.Task[None] | None = None

    async def record(self, transition: Transition) -> Recorded | None:
        """The truth in the database afterwards; None where it has to wait. Raises Permanent for what is never taken."""
        try:
            return await self._write(transition)
        except Permanent as error:
            LOG.error("job %s cannot be recorded: %s", transition.row.job_id, error)
            raise
        except (JennahError, TimeoutError) as error:
            LOG.warning("job %s is not recorded yet: %s", transition.row.job_id, error or "the database is too slow")
            self._remember(transition)
        return None

    def forget(self, uid: str) -> None:
        """Do not record the job of that object any more: it was deleted."""
        self._pending.pop(uid, None)

    async def close(self) -> None:
        """Stop trying. What is still pending is the controller's."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def pending(self) -> int:
        return len(self._pending)

    async def _write(self, transition: Transition) -> Recorded:
        async with asyncio.timeout(RECORD_SECONDS):
            return await self._writer.write([transition])

    def _remember(self, transition: Transition) -> None:
        if len(self._pending) >= PENDING_MAX:
            return
        self._pending[transition.uid] = transition
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._repeat())

    async def _repeat(self) -> None:
        wait = _FIRST_WAIT
        while self._pending:
            await self._clock.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)
            for uid, transition in list(self._pending.items()):
                if not await self._settle(transition):
                    break  # the database is still down: ask again later, with one call
                self._pending.pop(uid, None)
                wait = _FIRST_WAIT

    async def _settle(self, transition: Transition) -> bool:
        """Whether there is nothing more to do for that job."""
        try:
            if await self._is_wanted(transition) and transition.uid in self._pending:
                await self._write(transition)
        except Permanent as error:
            LOG.error("job %s cannot be recorded: %s", transition.row.job_id, error)
        except (JennahError, TimeoutError):
            return False
        return True
