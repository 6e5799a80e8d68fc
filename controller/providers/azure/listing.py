"""Bulk observation: shared jobs and their tasks, by what changed since the last look (providers.md §3b).

What was seen of a task is kept for as long as it is asked for. A full list is read at the first look, after an error,
when the shared job was ended, and every ten minutes: it has what a filter by time may have missed, and misses what was
removed. The states of the shared jobs themselves come in one call for all of them.
"""

from collections.abc import Collection, Set
from datetime import datetime, timedelta

import msgspec

from controller.domain.errors import NotFound
from controller.ports import Clock
from controller.providers.azure import wire
from controller.providers.azure.connection import AzureConnection
from controller.providers.azure.observation import DELETING, JOB_ENDS
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

    job: wire.Job
    tasks: dict[str, Task]
    absent: dict[str, None]
    """Wanted tasks that the last full list did not have: hidden yet, or removed. Those that were got longest ago go
    first."""
    since: datetime | None = None
    """The service's time of the last look; None: the next one is full."""
    full_at: float = 0.0

    @property
    def state(self) -> str:
        """The shared job's. That it has ended is told once the list must have what its tasks did before: a task that
        still seems to wait then never starts."""
        changed = self.job.state_transition_time
        if not JOB_ENDS.get(self.job.state, False) or self.job.state == DELETING or changed is None:
            return self.job.state
        return self.job.state if self.since is not None and self.since - changed >= OVERLAP else ENDING


ENDING = "ending"
"""In place of a state: the shared job was ended just now."""


class Listing:
    """What is known of the tasks that are asked for. `prefix`: what the ids of our shared jobs begin with."""

    def __init__(self, connection: AzureConnection, clock: Clock, prefix: str) -> None:
        self._connection = connection
        self._clock = clock
        self._prefix = prefix
        self._seen: dict[str, Seen] = {}
        self._jobs_since: datetime | None = None

    async def look_at_jobs(self) -> None:
        """What became of the shared jobs since the last look, in one call: somebody may have disabled or ended one, or
        given it another pool. Raises what a call raises: then the next look goes back as far."""
        if self._jobs_since is None or not self._seen:
            return
        query = f"startswith(id,'{self._prefix}') and lastModified ge {_odata(self._jobs_since - OVERLAP)}"
        changed, at = await self._connection.jobs_and_time(query, in_round=True)
        self._jobs_since = at or self._jobs_since
        for job in changed:
            seen = self._seen.get(job.id)
            if seen is not None and _is_newer(job, seen.job):
                if job.state != seen.job.state and JOB_ENDS.get(job.state, False):
                    seen.since = None
                seen.job = job

    async def look(self, job_id: str, wanted: Set[str], to_come: Set[str] = frozenset()) -> Seen | None:
        """The shared job with those of the wanted tasks that it has, and of those to come that its lists showed; None
        where it is gone. Raises what a call raises: then the next look is full, and until then what was seen last is
        kept."""
        last = seen = self._seen.pop(job_id, None)
        now = self._clock.monotonic()
        is_full = seen is None or seen.since is None or now - seen.full_at >= FULL_SECONDS
        try:
            if seen is None or is_full:
                seen = await self._full(job_id, wanted, to_come)
            else:
                await self._changes(job_id, seen, wanted | to_come)
                if sum(task_id not in seen.tasks and task_id not in seen.absent for task_id in wanted) > FEW:
                    seen = await self._full(job_id, wanted, to_come)
                await self._get_missing(job_id, seen, wanted)
        except NotFound:
            return None
        except BaseException:
            if last is not None:
                last.since = None
                self._seen[job_id] = last
            raise
        if len(seen.tasks) > len(wanted):
            kept = wanted | to_come
            seen.tasks = {task_id: task for task_id, task in seen.tasks.items() if task_id in kept}
        self._seen[job_id] = seen
        return seen

    def last(self, job_id: str) -> Seen | None:
        """As it was when it was last seen, for one that cannot be read now."""
        return self._seen.get(job_id)

    def forget_all_but(self, job_ids: Collection[str]) -> None:
        """Drop the shared jobs of which nothing is asked for any more."""
        self._seen = {job_id: seen for job_id, seen in self._seen.items() if job_id in job_ids}

    async def _full(self, job_id: str, wanted: Set[str], to_come: Set[str]) -> Seen:
        begun = self._clock.monotonic()
        job = await self._connection.job(job_id, in_round=True)
        if job is None:
            raise NotFound(job_id)
        seen = Seen(job=job, tasks={}, absent={}, full_at=begun)
        seen.since = await self._read(job_id, "", seen, wanted | to_come)
        seen.absent = dict.fromkeys(task_id for task_id in wanted if task_id not in seen.tasks)
        self._jobs_since = self._jobs_since or seen.since
        return seen

    async def _changes(self, job_id: str, seen: Seen, wanted: Collection[str]) -> None:
        assert seen.since is not None
        query = f"stateTransitionTime ge {_odata(seen.since - OVERLAP)}"
        seen.since = await self._read(job_id, query, seen, wanted)

    async def _get_missing(self, job_id: str, seen: Seen, wanted: Collection[str]) -> None:
        """A few of those that no list has: the new ones, then those that are absent, in turn."""
        new = [task_id for task_id in wanted if task_id not in seen.tasks and task_id not in seen.absent]
        turn = [task_id for task_id in seen.absent if task_id not in seen.tasks and task_id in wanted]
        seen.absent = dict.fromkeys(turn)
        for task_id in (*new, *turn)[:FEW]:
            seen.absent.pop(task_id, None)
            task = await self._connection.task(job_id, task_id, in_round=True)
            if task is not None:
                seen.tasks[task_id] = task
            else:
                seen.absent[task_id] = None

    async def _read(self, job_id: str, query: str, seen: Seen, wanted: Collection[str]) -> datetime | None:
        """All pages; the service's time of the first: what changes while the others are read is read again."""
        link, first = "", None
        while True:
            page, at = await self._connection.tasks(job_id, query, link, in_round=True)
            first = first or at
            for task in page.value:
                if task.id in wanted:
                    seen.tasks[task.id] = task
            link = page.next_link
            if not link:
                return first


def _odata(at: datetime) -> str:
    return f"datetime'{at:%Y-%m-%dT%H:%M:%SZ}'"


def _is_newer(job: wire.Job, known: wire.Job) -> bool:
    """A list may be behind what was got singly."""
    if job.last_modified is None or known.last_modified is None:
        return True
    return job.last_modified >= known.last_modified
