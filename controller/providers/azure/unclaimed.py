"""The jobs of this installation that nobody claims: from the unfinished tasks of its shared jobs.

What such a task says of itself is in its display name (`marker`), which the list has.
"""

from collections.abc import AsyncIterator, Set

from controller.cloud_settings import AzureSettings
from controller.domain.errors import NotFound
from controller.ports import Observation, OwnedJob
from controller.providers.azure import calls, marker, places
from controller.providers.azure.connection import AzureConnection
from controller.providers.azure.marker import Marker
from controller.providers.azure.observation import JOB_ENDS
from controller.providers.azure.places import Place
from controller.providers.azure.shared_jobs import SharedJobs
from controller.providers.azure.wire import Task

UNFINISHED = "state ne 'completed'"


class Unclaimed:
    """Looks for them."""

    def __init__(self, connection: AzureConnection, shared: SharedJobs, settings: AzureSettings) -> None:
        self._connection = connection
        self._shared = shared
        self._settings = settings

    async def look(self, claimed: Set[str]) -> list[OwnedJob]:
        """See `ports.BatchProvider.unclaimed`. Of a set one unfinished task is enough."""
        found: dict[Place, Marker] = {}
        for job in await self._shared.ours(None):
            if not JOB_ENDS.get(job.state, False):
                async for task in self._unfinished(job.id):
                    mark = marker.decode(task.display_name)
                    if mark.uid and mark.uid not in claimed:
                        found.setdefault(_place(job.id, task.id, mark), mark)
        return [self._owned(where, mark) for where, mark in found.items()]

    async def _unfinished(self, job_id: str) -> AsyncIterator[Task]:
        link = ""
        while True:
            try:
                page, _ = await self._connection.tasks(job_id, UNFINISHED, link)
            except (NotFound, calls.JobEnded):
                return
            for task in page.value:
                yield task
            link = page.next_link
            if not link:
                return

    def _owned(self, where: Place, mark: Marker) -> OwnedJob:
        # How it stands takes all tasks of a set: that it has not ended is all that is told here.
        seen = Observation(
            external_name=where.stem, uid=mark.uid, resource_path=places.path(self._settings, where), phase=None
        )
        return OwnedJob(
            seen=seen,
            namespace=mark.namespace,
            tenant_id=mark.tenant,
            job_id=mark.job,
            is_left_alone=mark.is_left_alone,
        )


def _place(job_id: str, task_id: str, mark: Marker) -> Place:
    member = places.set_member(task_id) if mark.tasks > 1 else None
    if member is None:
        return Place(job_id=job_id, stem=task_id)
    return Place(job_id=job_id, stem=member[0], count=mark.tasks, is_set=True)
