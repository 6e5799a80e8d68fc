"""Where jobs are: ids of shared jobs and of tasks, our resource paths, and the pages on which people look at a job.

An account may have 100 to 300 active Azure jobs (providers.md §3g), so JennahJobs share them: one for each pool,
installation, band of priorities and day of the JennahJob's creation. All of that is known before the first call and
never changes, so every try of a submission, in every process, aims at the same task id in the same shared job.
"""

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from urllib.parse import quote, urlsplit

import msgspec

from controller.cloud_settings import AzureSettings

ID_MAX = 64
"""Of a job id and of a task id (providers.md §3a)."""
PRIORITY_BAND = 20
"""Priorities are a matter of the Azure job there: spec.priority counts in steps of this, so that there are at most five
shared jobs for a pool and day."""

_STEM_MAX = 57  # with "-" and the six digits of an index: ID_MAX
_SET_TASK = re.compile(r"(.+)-(\d{1,6})")
_PATH = re.compile(r"/jobs/([\w-]{1,64})/tasks/([\w-]{1,64})(?:\[0-(\d{1,6})\])?")


class SharedJob(msgspec.Struct, frozen=True, kw_only=True):
    """Which Azure job a JennahJob belongs in."""

    instance: str
    pool: str
    priority: int
    """The service's: -1000 to 1000, higher goes first."""
    day: date
    """UTC."""

    def id(self, generation: int) -> str:
        """Its id: at most 64 characters, unique without regard to case. A shared job that somebody ended takes no
        tasks any more; the next generation takes its place."""
        key = f"{self.instance}/{self.pool.lower()}/{self.priority}"
        digest = hashlib.sha256(key.encode()).hexdigest()[:8]
        slug = re.sub(r"[^a-z0-9]+", "-", self.pool.lower())[:14].strip("-")
        suffix = f"-g{generation}" if generation else ""
        return f"jennah-{_slug(self.instance)}-{slug}-{digest}-{self.day:%Y%m%d}{suffix}"


def _slug(instance: str) -> str:
    return instance[:16].strip("-")


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The tasks of one JennahJob."""

    job_id: str
    stem: str
    """The task's id; of a set: what is in front of the index."""
    count: int = 1
    is_set: bool = False

    @property
    def task_ids(self) -> Iterator[str]:
        """In order of their index."""
        if not self.is_set:
            return iter((self.stem,))
        return (f"{self.stem}-{index}" for index in range(self.count))

    @property
    def query(self) -> str:
        """The $filter of a list of its shared job's tasks that leaves out most others."""
        return f"startswith(id,'{self.stem}')"

    @property
    def last_id(self) -> str:
        """The task that is made last."""
        return f"{self.stem}-{self.count - 1}" if self.is_set else self.stem


def prefix(settings: AzureSettings) -> str:
    """What the ids of all shared jobs of the installation begin with (those of others may, too)."""
    return f"jennah-{_slug(settings.instance)}-"


def place(job_id: str, external_name: str, completions: int) -> Place:
    """Where the tasks of that JennahJob are in that shared job."""
    if completions == 1:
        return Place(job_id=job_id, stem=external_name)
    return Place(job_id=job_id, stem=stem_of(external_name), count=completions, is_set=True)


def stem_of(external_name: str) -> str:
    """What the task ids of a set begin with: the end of the name, which has the whole uid, so that it is unique."""
    return external_name[-_STEM_MAX:].lstrip("-")


def set_member(task_id: str) -> tuple[str, int] | None:
    """Stem and index, for an id that may be that of a task of a set."""
    match = _SET_TASK.fullmatch(task_id)
    return (match[1], int(match[2])) if match else None


def day_of(created_at: datetime) -> date:
    """The day that tells shared jobs apart, in UTC."""
    return created_at.astimezone(UTC).date()


def shared_job(settings: AzureSettings, pool: str, priority: int | None, created_at: datetime) -> SharedJob:
    """The shared job for a JennahJob of that priority, created then."""
    band = (priority or 0) // PRIORITY_BAND * PRIORITY_BAND
    return SharedJob(instance=settings.instance, pool=pool, priority=band, day=day_of(created_at))


def path(settings: AzureSettings, where: Place) -> str:
    """The resource path: the task's URL; of a set with the span of its indexes. All later calls need nothing else."""
    span = f"[0-{where.count - 1}]" if where.is_set else ""
    return f"{settings.endpoint}/jobs/{where.job_id}/tasks/{where.stem}{span}"


def parse(resource_path: str, settings: AzureSettings) -> Place | None:
    """The inverse of `path`; None for a path of another account or another service."""
    url, home = urlsplit(resource_path), urlsplit(settings.endpoint)
    return place_in(url.path) if url.hostname and url.hostname == home.hostname else None


def place_in(url_path: str) -> Place | None:
    """The tasks that such a path speaks of."""
    match = _PATH.fullmatch(url_path)
    if match is None:
        return None
    job_id, stem, last = match.groups()
    if last is None:
        return Place(job_id=job_id, stem=stem)
    return Place(job_id=job_id, stem=stem, count=int(last) + 1, is_set=True)


def console_url(settings: AzureSettings) -> str:
    """The portal's page of the account. It has no documented links to a task."""
    account = (
        f"/subscriptions/{quote(settings.subscription_id)}/resourceGroups/{quote(settings.resource_group)}"
        f"/providers/Microsoft.Batch/batchAccounts/{quote(settings.account)}"
    )
    return f"https://portal.azure.com/#resource{account}/overview"


def output_folder(where: Place, task_id: str) -> str:
    """The virtual directory in the output container that a task's stdout.txt and stderr.txt go to."""
    return f"{where.job_id}/{task_id}"


def logs_url(settings: AzureSettings, where: Place) -> str | None:
    """Where the output is kept, without the signature; None where it stays on the node."""
    if not settings.output_url:
        return None
    url = urlsplit(settings.output_url)
    return f"{url.scheme}://{url.netloc}{url.path.rstrip('/')}/{where.job_id}/{where.stem}"
