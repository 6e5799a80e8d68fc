"""The newest version that we know of each JennahJob: from the watch, and from the replies to our own writes."""

from collections import OrderedDict
from collections.abc import Iterator

from controller.domain.job import Job

REMEMBERED = 4096
"""Uids of removed objects that are kept, against replies that come late."""


class JobCache:
    """Jobs by uid. An older version never replaces a newer one."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._gone: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs.values())

    def get(self, key: str) -> Job | None:
        return self._jobs.get(key)

    def put(self, job: Job) -> bool:
        """Take in a version; whether it is news. Versions are ordered numbers (Kubernetes 1.35 API concepts)."""
        if job.key in self._gone:
            return False  # the reply to our own write, overtaken by the object's end
        old = self._jobs.get(job.key)
        if old is not None and version_of(old) >= version_of(job):
            return False
        self._jobs[job.key] = job
        return True

    def remove(self, key: str) -> Job | None:
        """Forget an object for good: its uid never comes back."""
        self._gone[key] = None
        while len(self._gone) > REMEMBERED:
            self._gone.popitem(last=False)
        return self._jobs.pop(key, None)


def version_of(job: Job) -> int:
    """The object's resourceVersion as the ordered number that it is."""
    version = job.metadata.resource_version
    return int(version) if version.isdecimal() else 0
