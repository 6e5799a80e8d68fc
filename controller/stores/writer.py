"""Group commit: the transitions of many jobs in one transaction. Called by the reconciler's workers and by the API.

Groups form by themselves: while a commit is under way further callers gather, for at most 20 ms or 200 rows, and are
committed together. A lone caller never waits for company.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from controller import metrics
from controller.domain.errors import Retryable, Unavailable
from controller.domain.records import Recorded, Transition
from controller.ports import JobRecord, RecordFailure

GROUP_ROWS = 200
"""The most transitions of one commit: it bounds how long the rows' locks are held."""
GATHER_SECONDS = 0.01
"""How long callers gather while other commits are under way; with none under way they do not wait at all. The promise
is 20 ms: the rest is for an event loop that is busy."""
MAX_COMMITS = 4
"""The most commits at once: a database that is slow to answer is asked by several groups, not by each caller."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Caller:
    transitions: Sequence[Transition]
    answer: asyncio.Future[Recorded]
    since: float
    """When it called, in the event loop's time."""

    def tell(self, results: Sequence[Recorded | RecordFailure]) -> None:
        """Its first failure, or the truth after its last transition. A cancelled caller hears nothing."""
        failure = next((result for result in results if isinstance(result, RecordFailure)), None)
        last = results[-1]
        if failure is not None:
            self.fail(failure.error)
        elif not self.answer.done() and isinstance(last, Recorded):
            self.answer.set_result(last)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
            self.answer.exception()  # seen: a caller that is being cancelled at this moment will not look


class GroupWriter:
    """`ports.JobWriter` over any store.

    - Each caller hears its own rows' result, whatever became of the others'.
    - A caller that is cancelled before its commit starts is left out of it; afterwards its rows may be written, also
      after those of a later call (an older number is then dropped: `ports.JobStore`).
    - When a whole call fails, its group is split in halves and tried again, until who made it fail is alone.
      Retryable is for all of them: nothing about a single caller would bring the database back.
    """

    def __init__(self, store: JobRecord) -> None:
        self._store = store
        self._waiting: deque[_Caller] = deque()
        self._rows = 0  # of those that wait
        self._commits: set[asyncio.Task[None]] = set()
        self._is_starting = False
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def write(self, transitions: Sequence[Transition]) -> Recorded:
        """The truth after the last of them (at least one). Raises what made its own rows fail."""
        if not transitions:
            raise ValueError("nothing to write")
        if self._is_closed:
            raise Unavailable("the writer is closed")
        loop = asyncio.get_running_loop()
        caller = _Caller(transitions=transitions, answer=loop.create_future(), since=loop.time())
        self._waiting.append(caller)
        self._rows += len(transitions)
        self._start_if_due()
        return await caller.answer

    async def close(self) -> None:
        """Take no more, write what waits. The store stays open."""
        self._is_closed = True
        while self._commits:
            await asyncio.wait(self._commits)
            await asyncio.sleep(0)  # the ends of commits start the next ones

    def _start_if_due(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._waiting or self._is_starting or len(self._commits) >= MAX_COMMITS:
            return  # asked again when a commit has started or ended
        loop = asyncio.get_running_loop()
        due = self._waiting[0].since + GATHER_SECONDS
        if self._commits and self._rows < GROUP_ROWS and loop.time() < due:
            self._timer = loop.call_at(due, self._start_if_due)
            return
        # The task takes its group when it runs: who calls in this same moment is still in.
        self._is_starting = True
        commit = asyncio.create_task(self._commit_next(), name="group-writer")
        self._commits.add(commit)
        commit.add_done_callback(self._ended)

    def _ended(self, commit: asyncio.Task[None]) -> None:
        self._commits.discard(commit)
        if commit.cancelled():  # with its event loop: nobody may wait for ever
            self._is_starting = False
            for caller in self._waiting:
                caller.answer.cancel()
            self._waiting.clear()
            self._rows = 0
        else:
            self._start_if_due()

    async def _commit_next(self) -> None:
        group = self._next_group()
        self._is_starting = False
        self._start_if_due()
        try:
            if group:
                await self._commit(group)
        finally:
            for caller in group:
                caller.answer.cancel()  # of use only where this task was cancelled: the others have their answer

    def _next_group(self) -> list[_Caller]:
        group: list[_Caller] = []
        rows = 0
        while self._waiting:
            caller = self._waiting[0]
            if not caller.answer.done():
                rows += len(caller.transitions)
                if group and rows > GROUP_ROWS:
                    break
                group.append(caller)
            self._waiting.popleft()
            self._rows -= len(caller.transitions)
        return group

    async def _commit(self, group: Sequence[_Caller]) -> None:
        rows = [transition for caller in group for transition in caller.transitions]
        try:
            results = await self._store.record(rows)
            assert len(results) == len(rows), "one result for each transition"
        except Exception as error:
            metrics.RECORD_COMMITS.labels(type(error).__name__).inc()
            await self._settle(group, error)
            return
        metrics.RECORD_COMMITS.labels("ok").inc()
        start = 0
        for caller in group:
            end = start + len(caller.transitions)
            caller.tell(results[start:end])
            start = end

    async def _settle(self, group: Sequence[_Caller], error: Exception) -> None:
        """What becomes of a group whose whole call failed."""
        if isinstance(error, Retryable) or len(group) == 1:
            for caller in group:
                caller.fail(error)
            return
        middle = len(group) // 2
        await self._commit(group[:middle])
        await self._commit(group[middle:])
