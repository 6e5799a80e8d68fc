"""Bulk observation: the tasks of a shared job, by what changed since the last look (providers.md §3b).

What was seen of a task is kept for as long as it is asked for. A full list is read at the first look, after an error,
and every ten minutes: it has what a filter by time may have missed, and misses what was removed.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

import msgspec

from controller.domain.errors import NotFound
from controller.ports import Clock
from controller.providers.azure.connection import AzureConnection
from controller.providers.azure.observation import GONE
from controller.providers.azure.wire import Task

FULL_SECONDS = 600.0
"""The pause between two full lists of a shared job."""
OVERLAP = timedelta(seconds=60)
"""How much before the last look changes are asked for again: the service's machines do not agree on the time, and what
changed may come into the list late."""
FEW = 10
"""As many tasks, when no more are missing, are got singly; for more a full list is read."""


class Seen(msgspec.Struct, kw_only=True):
    """A shared job as it was at the last look."""

    tasks: dict[str, Task]
    state: str
    since: datetime | None = None
    """The service's time of the last look; None: the next one is full."""
    full_at: float = 0.0


class Listing:
    """What is known of the tasks that are asked for."""

    def __init__(self, connection: AzureConnection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._seen: dict[str, Seen] = {}

    async def look(self, job_id: str, wanted: Collection[str]) -> Seen:
        """The shared job with those of the wanted tasks that it has. Raises what a call raises: then the next look is
        full, and until then what was seen last is kept."""
        wanted = wanted if isinstance(wanted, (set, frozenset)) else frozenset(wanted)
        last = seen = self._seen.pop(job_id, None)
        now = self._clock.monotonic()
        is_full = seen is None or seen.since is None or now - seen.full_at >= FULL_SECONDS
        try:
            if seen is None or is_full:
                seen = await self._full(job_id, wanted)
            else:
                await self._changes(job_id, seen, wanted)
                missing = [task_id for task_id in wanted if task_id not in seen.tasks]
                if len(missing) > FEW:
                    seen = await self._full(job_id, wanted)
                else:
                    for task_id in missing:
                        task = await self._connection.task(job_id, task_id)
                        if task is not None:
                            seen.tasks[task_id] = task
        except NotFound:
            return Seen(tasks={}, state=GONE)
        except BaseException:
            if last is not None:
                last.since = None
                self._seen[job_id] = last
            raise
        if len(seen.tasks) > len(wanted):
            seen.tasks = {task_id: task for task_id, task in seen.tasks.items() if task_id in wanted}
        self._seen[job_id] = seen
        return seen

    def last(self, job_id: str) -> Seen | None:
        """As it was when it was last seen, for one that cannot be read now."""
        return self._seen.get(job_id)

    def forget_all_but(self, job_ids: Collection[str]) -> None:
        """Drop the shared jobs of which nothing is asked for any more."""
        self._seen = {job_id: seen for job_id, seen in self._seen.items() if job_id in job_ids}

    async def _full(self, job_id: str, wanted: Collection[str]) -> Seen:
        begun = self._clock.monotonic()
        job = await self._connection.job(job_id)
        if job is None:
            raise NotFound(job_id)
        seen = Seen(tasks={}, state=job.state, full_at=begun)
        seen.since = await self._read(job_id, "", seen, wanted)
        return seen

    async def _changes(self, job_id: str, seen: Seen, wanted: Collection[str]) -> None:
        assert seen.since is not None
        since = (seen.since - OVERLAP).strftime("%Y-%m-%dT%H:%M:%SZ")
        at = await self._read(job_id, f"stateTransitionTime ge datetime'{since}'", seen, wanted)
        seen.since = at

    async def _read(self, job_id: str, query: str, seen: Seen, wanted: Collection[str]) -> datetime | None:
        """All pages; the service's time of the first: what changes while the others are read is read again."""
        link, first = "", None
        while True:
            page, at = await self._connection.tasks(job_id, query, link)
            first = first or at
            for task in page.value:
                if task.id in wanted:
                    seen.tasks[task.id] = task
            link = page.next_link
            if not link:
                return first
