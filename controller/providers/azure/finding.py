"""Single jobs: where the tasks of a name are, and how they stand, asked of the service each time."""

from collections.abc import Iterator, Sequence

from controller.cloud_settings import AzureSettings
from controller.domain.errors import NotFound, Permanent
from controller.ports import JobRef
from controller.providers.azure import marker, places, pools
from controller.providers.azure.connection import AzureConnection
from controller.providers.azure.places import Place
from controller.providers.azure.shared_jobs import SharedJobs
from controller.providers.azure.wire import Task

FEW = 20
"""Tasks of a set that are got singly; for more the shared job is listed."""


class Finding:
    """Looks singly."""

    def __init__(self, connection: AzureConnection, shared: SharedJobs, settings: AzureSettings) -> None:
        self._connection = connection
        self._shared = shared
        self._settings = settings

    async def place(self, ref: JobRef) -> Place | None:
        """Where the tasks of a job are whose path is not known: in the shared job that follows from its spec and its
        pool, of the generations that there are, or else in another of that pool; where the pool was not written down,
        in any of ours (the settings may have been others then)."""
        tried = set()
        for job_id in self._likely(ref):
            if await self._connection.job(job_id) is None:
                break
            tried.add(job_id)
            found = await self._in(job_id, ref)
            if found is not None:
                return found
        for job in await self._shared.ours(ref.created_at, _noted_pool(ref)):
            if job.id not in tried:
                found = await self._in(job.id, ref)
                if found is not None:
                    return found
        return None

    async def tasks(self, where: Place) -> Sequence[Task | None] | None:
        """The tasks by index, None for one that is not there. None: there is no such shared job."""
        if where.count <= FEW:
            return [await self._connection.task(where.job_id, task_id) for task_id in where.task_ids]
        mine = set(where.task_ids)
        found: dict[str, Task] = {}
        link = ""
        while True:
            try:
                page, _ = await self._connection.tasks(where.job_id, where.query, link)
            except NotFound:
                return None
            found.update((task.id, task) for task in page.value if task.id in mine)
            link = page.next_link
            if not link:
                return [found.get(task_id) for task_id in where.task_ids]

    def _likely(self, ref: JobRef) -> Iterator[str]:
        if ref.spec is None or ref.created_at is None:
            return
        try:
            pool = _noted_pool(ref) or pools.choose(ref.spec, self._settings)
        except Permanent:
            return
        shared = places.shared_job(self._settings, pool, ref.spec.priority, ref.created_at)
        yield from (shared.id(generation) for generation in range(10))

    async def _in(self, job_id: str, ref: JobRef) -> Place | None:
        """Whether it is in that shared job: as a task, or as a set of which at least the first exists."""
        if ref.spec is None or ref.spec.completions == 1:
            task = await self._connection.task(job_id, ref.external_name)
            if task is not None:
                return Place(job_id=job_id, stem=ref.external_name)
        if ref.spec is None or ref.spec.completions > 1:
            stem = places.stem_of(ref.external_name)
            first = await self._connection.task(job_id, f"{stem}-0")
            if first is not None:
                count = marker.decode(first.display_name).tasks
                return Place(job_id=job_id, stem=stem, count=count, is_set=True)
        return None


def _noted_pool(ref: JobRef) -> str | None:
    return ref.destination.pool if ref.destination is not None else None
