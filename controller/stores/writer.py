"""Group commit: the transitions of many jobs in one transaction. Called by the reconciler's workers.

Batches form by themselves: while one commit is under way further callers gather, and the next commit takes
them all. A lone caller never waits for company.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from controller.domain.errors import Unavailable
from controller.domain.records import Recorded, Transition
from controller.ports import JobStore, RecordFailure

GROUP_ROWS = 200
"""The most transitions of one commit: it bounds how long the database's write lock is held."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Caller:
    transitions: Sequence[Transition]
    answer: asyncio.Future[Recorded]

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
    """`ports.JobWriter` over any store. One record() call at a time.

    - Each caller hears its own rows' result, whatever became of the others'.
    - A caller that is cancelled before its commit starts is left out of it; afterwards its rows may be written.
    - When a whole call fails, its callers are tried singly once, so that one cannot fail the rest;
      Unavailable is for all of them: nothing about a single caller would make the database reachable.
    """

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._waiting: deque[_Caller] = deque()
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    async def write(self, transitions: Sequence[Transition]) -> Recorded:
        """The truth after the last of them (at least one). Raises what made its own rows fail."""
        if not transitions:
            raise ValueError("nothing to write")
        if self._is_closed:
            raise Unavailable("the writer is closed")
        caller = _Caller(transitions=transitions, answer=asyncio.get_running_loop().create_future())
        self._waiting.append(caller)
        if self._task is None:
            self._task = asyncio.create_task(self._commit_all(), name="group-writer")
        return await caller.answer

    async def close(self) -> None:
        """Take no more, write what waits. The store stays open."""
        self._is_closed = True
        if self._task is not None:
            await asyncio.shield(self._task)

    async def _commit_all(self) -> None:
        group: list[_Caller] = []
        try:
            while group := self._next_group():
                await self._commit(group)
        finally:
            # Also when this task is cancelled with its event loop: nobody may wait for ever.
            for caller in (*group, *self._waiting):
                caller.answer.cancel()
            self._waiting.clear()
            self._task = None

    def _next_group(self) -> list[_Caller]:
        group: list[_Caller] = []
        rows = 0
        while self._waiting:
            if self._waiting[0].answer.done():
                self._waiting.popleft()
                continue
            rows += len(self._waiting[0].transitions)
            if group and rows > GROUP_ROWS:
                break
            group.append(self._waiting.popleft())
        return group

    async def _commit(self, group: Sequence[_Caller]) -> None:
        rows = [transition for caller in group for transition in caller.transitions]
        try:
            results = await self._store.record(rows)
            assert len(results) == len(rows), "one result for each transition"
        except Exception as error:
            await self._settle(group, error)
            return
        start = 0
        for caller in group:
            end = start + len(caller.transitions)
            caller.tell(results[start:end])
            start = end

    async def _settle(self, group: Sequence[_Caller], error: Exception) -> None:
        """What becomes of a group whose whole call failed."""
        if isinstance(error, Unavailable) or len(group) == 1:
            for caller in group:
                caller.fail(error)
            return
        for caller in group:
            await self._commit([caller])
