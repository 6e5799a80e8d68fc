"""Is what a new leader knows of an object the newest? Asked before the first thing that Kubernetes does not guard.

A watch lags. A leader before us may have submitted, finished and purged a job that our cache still has as Pending: the
service and the database would take it once more. Writes to Kubernetes carry a version and need none of this.
"""

from controller.domain.errors import Conflict, NotFound
from controller.domain.job import Job
from controller.ports import JobResources
from controller.reconcile.cache import version_of


class Freshness:
    """Objects that were last written before our term are read once; all others are news, which nobody else wrote."""

    def __init__(self, resources: JobResources) -> None:
        self._resources = resources
        self._term = 0
        self._begin: int | None = None
        """The version that all objects were at when we had begun to lead, once it was asked for."""
        self._read: dict[str, int] = {}
        """Older versions that were read since, and were the newest."""
        self._first: dict[str, int] = {}
        """The version at which this process first saw an object, by uid. A later one says nothing of its age: an object
        that somebody edits has a new version, too."""
        self._accepted: set[str] = set()
        """Uids of objects that had a status at some time, as far as this process has seen."""

    def take_over(self) -> None:
        """We lead from now on."""
        self._term += 1
        self._begin = None
        self._read.clear()

    def see(self, job: Job) -> None:
        """Take note of a version of an object."""
        self._first.setdefault(job.key, version_of(job))
        if job.is_accepted:
            self._accepted.add(job.key)

    def forget(self, key: str) -> None:
        """The object is gone."""
        self._accepted.discard(key)
        self._first.pop(key, None)

    def is_new(self, job: Job) -> bool:
        """Whether Kubernetes alone tells that the job was never sent: its object was made in our term, it has never had
        a status, and no object before it can have had its job id. After `confirm`."""
        first = self._first.get(job.key, version_of(job))
        is_ours = self._begin is not None and first > self._begin
        return is_ours and job.has_new_id and job.key not in self._accepted

    async def confirm(self, job: Job) -> None:
        """Nothing, where that is the newest version of the object. Raises Conflict, NotFound, and what reading does."""
        version = version_of(job)
        if self._read.get(job.key) == version:
            return
        if self._begin is None:
            term, begin = self._term, await self._resources.newest_version(job.metadata.namespace)
            if term == self._term:
                self._begin = begin
        if self._begin is not None and version > self._begin:
            return
        newest = await self._resources.get(job.metadata.namespace, job.metadata.name)
        if newest is None or newest.key != job.key:
            raise NotFound("the object is gone, the watch is late")
        if version_of(newest) != version:
            raise Conflict("the object has changed, the watch is late")
        self._read[job.key] = version
