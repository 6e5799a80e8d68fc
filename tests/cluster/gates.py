"""Jobs that last as long as a test wants, however slow the machine is, and how often each of them ran."""

from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from controller.domain.job import Job
from controller.kube.client import KubeClient, Object, items_of
from controller.providers.kubernetes import labels, places


class Gate(Protocol):
    """Jobs with its script last until it is opened."""

    script: str

    def open(self) -> None: ...

    async def runs(self, job: Job) -> int:
        """How often the service has run that job."""

    async def is_alive(self, job: Job) -> bool:
        """Whether it still runs there."""


class LocalGate:
    """With local processes: by files in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.script = f"echo $$ >> {folder}/$JENNAH_JOB_ID; until [ -e {folder}/go ]; do sleep 0.1; done"

    def open(self) -> None:
        (self.folder / "go").touch()

    async def runs(self, job: Job) -> int:
        return len(self.pids(job.job_id))

    def pids(self, job_id: str) -> list[int]:
        """One a run."""
        marks = self.folder / job_id
        return [int(line) for line in marks.read_text().split()] if marks.exists() else []

    async def is_alive(self, job: Job) -> bool:
        return Path(f"/proc/{self.pids(job.job_id)[-1]}").exists()


class KubernetesGate:
    """With batch/v1 Jobs: nothing of ours is in their containers, so they last for a fixed time."""

    script = "sleep 15"

    def __init__(self, client: KubeClient, namespaces: Collection[str]) -> None:
        self._client = client
        self._namespaces = namespaces

    def open(self) -> None:
        """They end by themselves."""

    async def runs(self, job: Job) -> int:
        return len(await self._jobs_of(job))

    async def is_alive(self, job: Job) -> bool:
        return any("completionTime" not in each.get("status", {}) for each in await self._jobs_of(job))

    async def _jobs_of(self, job: Job) -> list[Object]:
        """The batch/v1 Jobs that were made for it and are there."""
        found: list[Object] = []
        for namespace in self._namespaces:
            listed = await self._client.get(places.jobs(namespace), labelSelector=f"{labels.UID}={job.metadata.uid}")
            found += items_of(listed)
        return found
