"""The jobs of this installation that nobody claims: from the unfinished tasks of its shared jobs.

What such a task says of itself is in its display name (`marker`), which the list has.
"""

from collections.abc import AsyncIterator, Set
from datetime import UTC, datetime

from controller.cloud_settings import AzureSettings
from controller.domain.errors import NotFound
from controller.ports import Observation, OwnedJob
from controller.providers.azure import calls, marker, places
from controller.providers.azure.connection import AzureConnection
from controller.providers.azure.marker import Marker
from controller.providers.azure.observation import JOB_ENDS
from controller.providers.azure.places import Place
from controller.providers.azure.shared_jobs import SharedJobs
from controller.providers.azure.wire import Job, Task

COMPLETED = "completed"
UNFINISHED = "state ne 'completed'"


class Unclaimed:
    """Looks for them."""

    def __init__(self, connection: AzureConnection, shared: SharedJobs, settings: AzureSettings) -> None:
        self._connection = connection
        self._shared = shared
        self._settings = settings

    async def look(self, claimed: Set[str], ended_since: datetime | None) -> list[OwnedJob]:
        """See `ports.BatchProvider.unclaimed`. Of a set one unfinished task is enough."""
        found: dict[Place, OwnedJob] = {}
        jobs = await self._shared.ours(None)
        for job in jobs:
            if not JOB_ENDS.get(job.state, False):
                await self._take_in(found, job.id, claimed, ended_since=None)
        for job in jobs if ended_since else ():
            if not _was_over(job, ended_since):
                await self._take_in(found, job.id, claimed, ended_since=ended_since)
        return list(found.values())

    async def _take_in(
        self, found: dict[Place, OwnedJob], job_id: str, claimed: Set[str], *, ended_since: datetime | None
    ) -> None:
        have_ended = ended_since is not None
        query = _finished(ended_since) if ended_since is not None else UNFINISHED
        async for task in self._tasks(job_id, query):
            mark = marker.decode(task.display_name)
            if (task.state == COMPLETED) is not have_ended:
                continue  # which the filter has said already
            at = task.state_transition_time
            if ended_since is not None and at is not None and at < ended_since:
                continue
            if mark.uid and mark.uid not in claimed:
                where = _place(job_id, task.id, mark)
                if where not in found:
                    found[where] = self._owned(where, mark, has_ended=have_ended)

    async def _tasks(self, job_id: str, query: str) -> AsyncIterator[Task]:
        link = ""
        while True:
            try:
                page, _ = await self._connection.tasks(job_id, query, link)
            except (NotFound, calls.JobEnded):
                return
            for task in page.value:
                yield task
            link = page.next_link
            if not link:
                return

    def _owned(self, where: Place, mark: Marker, *, has_ended: bool) -> OwnedJob:
        # How it stands takes all tasks of a set: whether it has ended is all that is told here.
        seen = Observation(
            external_name=where.stem, uid=mark.uid, resource_path=places.path(self._settings, where), phase=None
        )
        return OwnedJob(
            seen=seen,
            has_ended=has_ended,
            namespace=mark.namespace,
            tenant_id=mark.tenant,
            job_id=mark.job,
            is_left_alone=mark.is_left_alone,
        )


def _was_over(job: Job, since: datetime | None) -> bool:
    """Whether a shared job had ended before, and all of its tasks with it: those of months are kept."""
    if job.state != COMPLETED or job.state_transition_time is None or since is None:
        return False
    return job.state_transition_time < since


def _finished(since: datetime) -> str:
    return f"state eq 'completed' and stateTransitionTime ge datetime'{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}'"


def _place(job_id: str, task_id: str, mark: Marker) -> Place:
    member = places.set_member(task_id) if mark.tasks > 1 else None
    if member is None:
        return Place(job_id=job_id, stem=task_id)
    return Place(job_id=job_id, stem=member[0], count=mark.tasks, is_set=True)
