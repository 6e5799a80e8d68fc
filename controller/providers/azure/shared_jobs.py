"""The Azure jobs that JennahJobs share: made when first needed, ended when they are old and all their tasks have ended.

Which one a JennahJob belongs in follows from the JennahJob alone (`places.SharedJob`), so any number of processes can
do this at once: creating by an id that exists is "exists", and what exists is taken if its metadata is ours.

A shared job that somebody ended takes no tasks any more. Its next generation then takes its place (``-g1``, ``-g2``,
…), and a submission looks for its task in the earlier ones first: a job that has ended takes no task that is still on
its way to it, so what is not in it will never be.
"""

import asyncio
import logging
from collections import OrderedDict, defaultdict
from collections.abc import Set
from datetime import UTC, date, datetime, timedelta

from azure.batch import models

from controller.cloud_settings import AzureSettings
from controller.domain import reasons
from controller.domain.errors import AlreadyExists, NotFound, Permanent, Throttled, Unavailable
from controller.ports import Clock
from controller.providers.azure import calls, places, wire
from controller.providers.azure.connection import AzureConnection
from controller.providers.azure.observation import ENDED, JOB_ENDS
from controller.providers.azure.places import SharedJob

log = logging.getLogger(__name__)

INSTANCE, POOL, DAY, PRIORITY = "jennah-instance", "jennah-pool", "jennah-day", "jennah-priority"
"""Our metadata of a shared job."""

KNOWN = 1000
"""Shared jobs that are remembered at most."""
MOST_GENERATIONS = 100
OLD_AFTER = timedelta(days=1)
"""From the end of its day, and from its making, until a shared job is ended: until then late submissions may go to
it."""
ENDED_REASON = "JennahAllTasksEnded"
LOOK_AGAIN_SECONDS = 600.0
"""The pause between two looks for old shared jobs."""


class SharedJobs:
    """Those of one installation in one account."""

    def __init__(self, connection: AzureConnection, settings: AzureSettings, clock: Clock) -> None:
        self._connection = connection
        self._settings = settings
        self._clock = clock
        self._open: OrderedDict[str, int] = OrderedDict()
        """By the id of the first generation, which pays no regard to the case of the pool's."""
        self._making: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._quota: tuple[float, str] = (0.0, "")
        self._begun: dict[str, float] = {}
        self._looked_at: float | None = None
        self._old: list[wire.Job] = []

    async def generation(self, shared: SharedJob) -> int:
        """The generation that takes tasks now; it exists. Raises Throttled where a quota has no room for it,
        Permanent(NAME_TAKEN) where it is another's."""
        key = shared.id(0)
        known = self._open.get(key)
        if known is not None:
            return known
        lock = self._making[key]
        try:
            async with lock:
                known = self._open.get(key)
                return await self._find_or_make(shared) if known is None else known
        finally:
            if not lock.locked():
                self._making.pop(key, None)

    def ended(self, shared: SharedJob, generation: int) -> None:
        """The service says that this one takes no tasks any more, or has gone."""
        if self._open.get(shared.id(0)) == generation:
            del self._open[shared.id(0)]

    async def ours(self, created_at: datetime | None, pool: str | None = None) -> list[wire.Job]:
        """The shared jobs of this installation that a JennahJob that was created then, for that pool, may be in, ended
        ones too, the newest first; all of them where that is not known."""
        query = f"startswith(id,'{places.prefix(self._settings)}')"
        if created_at is not None:
            day = places.day_of(created_at)
            query += f" and creationTime ge datetime'{day - timedelta(days=1)}T00:00:00Z'"  # our clocks may differ
        found = [job for job in await self._connection.jobs(query) if self._is_ours(job)]
        if created_at is not None:
            found = [job for job in found if job.marks.get(DAY) == day.isoformat()]
        if pool is not None:
            found = [job for job in found if _is_for(job, pool)]
        return sorted(found, key=lambda job: job.creation_time or _LONG_AGO, reverse=True)

    def begin(self, job_id: str) -> None:
        """A submission is about to go to that one: it is not ended before a round knows of its tasks."""
        now = self._clock.monotonic()
        self._begun = {key: at for key, at in self._begun.items() if now - at < LOOK_AGAIN_SECONDS}
        self._begun[job_id] = now

    async def end_an_old_one(self, kept: Set[str]) -> None:
        """Have at most one old shared job end whose tasks have all ended, and look for such only now and then. `kept`:
        those with sets that get more tasks.

        The service could be told to end it with its last task, and would not take that back (providers.md §3d): but a
        set whose tasks have all ended may still get its next ones.
        """
        now = self._clock.monotonic()
        if self._looked_at is None:
            self._looked_at = now  # what the process before this one was submitting is gone on with first
        if not self._old:
            if now - self._looked_at < LOOK_AGAIN_SECONDS:
                return
            self._looked_at = now
            query = f"startswith(id,'{places.prefix(self._settings)}') and state eq 'active'"
            found = await self._connection.jobs(query, in_round=True)
            self._old = [job for job in found if self._is_old(job)]
        if self._old:
            await self._end(self._old.pop(), kept)

    async def _find_or_make(self, shared: SharedJob) -> int:
        for generation in range(MOST_GENERATIONS):
            job = await self._connection.job(shared.id(generation))
            if job is None:
                if await self._connection.job(shared.id(generation + 1)) is not None:
                    continue  # somebody removed an ended one: it must not come back below those after it
                job = await self._make(shared, generation)
            if not self._is_ours(job) or not _is_for(job, shared.pool):
                raise Permanent(
                    f"the Azure job {job.id!r} exists already and is not of this installation and pool",
                    reason=reasons.NAME_TAKEN,
                )
            if not JOB_ENDS.get(job.state, False):
                self._open[shared.id(0)] = generation
                while len(self._open) > KNOWN:
                    self._open.popitem(last=False)
                return generation
        raise Unavailable(f"{MOST_GENERATIONS} Azure jobs such as {shared.id(0)!r} were ended by somebody")

    async def _make(self, shared: SharedJob, generation: int) -> wire.Job:
        until, words = self._quota
        if self._clock.monotonic() < until:
            raise Throttled(words, delay=until - self._clock.monotonic())
        asked = _create_options(shared, generation)
        try:
            await self._connection.create_job(asked)
        except (AlreadyExists, calls.Conflict):
            job = await self._connection.job(asked.id)
            if job is None:
                raise Unavailable(f"the Azure job {asked.id!r} exists and cannot be read yet") from None
            return job
        except Throttled as error:
            if error.delay >= calls.QUOTA_SECONDS:
                self._quota = (self._clock.monotonic() + error.delay, str(error))
            raise
        log.info("made the Azure job %s", asked.id)
        return wire.Job(id=asked.id, state="active", metadata=_metadata(shared))

    async def _end(self, job: wire.Job, kept: Set[str]) -> None:
        try:
            page, _ = await self._connection.tasks(job.id, "state ne 'completed'", "", in_round=True)
            since = self._clock.monotonic() - self._begun.get(job.id, -LOOK_AGAIN_SECONDS)
            if _has_unfinished(page) or job.id in kept or since < LOOK_AGAIN_SECONDS:
                return
            await self._connection.terminate_job(job.id, ENDED_REASON)
        except (NotFound, calls.JobEnded):
            return
        log.info("the Azure job %s is old and all its tasks have ended: it ends", job.id)

    def _is_ours(self, job: wire.Job) -> bool:
        return job.marks.get(INSTANCE) == self._settings.instance

    def _is_old(self, job: wire.Job) -> bool:
        day, now = _day(job.marks.get(DAY, "")), self._clock.now()
        if not self._is_ours(job) or day is None or job.creation_time is None or JOB_ENDS.get(job.state, False):
            return False
        ends = datetime.combine(day, datetime.min.time(), UTC) + timedelta(days=1)
        return now - ends >= OLD_AFTER and now - job.creation_time >= OLD_AFTER


_LONG_AGO = datetime.fromtimestamp(0, UTC)


def _is_for(job: wire.Job, pool: str) -> bool:
    """Whether it was made for that pool: somebody may have given it another since."""
    return job.marks.get(POOL, "").lower() == pool.lower()


def _create_options(shared: SharedJob, generation: int) -> models.BatchJobCreateOptions:
    return models.BatchJobCreateOptions(
        id=shared.id(generation),
        display_name=f"Jennah: jobs of {shared.day} on {shared.pool}",
        priority=shared.priority,
        pool_info=models.BatchPoolInfo(pool_id=shared.pool),
        # Sets have moments in which all their tasks have ended and the next ones are to come.
        all_tasks_complete_mode=models.BatchAllTasksCompleteMode.NO_ACTION,
        task_failure_mode=models.BatchTaskFailureMode.NO_ACTION,
        metadata=[models.BatchMetadataItem(name=item.name, value=item.value) for item in _metadata(shared)],
    )


def _metadata(shared: SharedJob) -> list[wire.MetadataItem]:
    marks = {
        INSTANCE: shared.instance,
        POOL: shared.pool,
        DAY: shared.day.isoformat(),
        PRIORITY: str(shared.priority),
    }
    return [wire.MetadataItem(name=name, value=value) for name, value in marks.items()]


def _has_unfinished(page: wire.TaskPage) -> bool:
    """Whether that page of unfinished tasks has any, or may be followed by some: the filter may have been ignored."""
    return bool(page.next_link) or any(task.state != ENDED for task in page.value)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
