"""An installation on a cluster as its users have it: calls of the API, kubectl, objects. `setup.py` makes one."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from controller.databases import make_store
from controller.domain import names
from controller.domain.job import Job, parse
from controller.kube import paths
from controller.kube.client import KubeClient, Object, items_of
from controller.ports import JobStore
from controller.settings import read_database
from controller.variables import Environment
from tests.cluster import belongings
from tests.cluster.clusters import Cluster
from tests.cluster.gates import Gate, KubernetesGate, LocalGate
from tests.cluster.kubectl import Kubectl
from tests.cluster.local import LocalPrograms, Program
from tests.cluster.options import Options
from tests.cluster.programs import Programs
from tests.e2e import client as users

LIMIT_SECONDS = 60.0


class Installation:
    """What tests call. `instance` is in all names, so that a run meets nobody else's, nor another run's."""

    def __init__(
        self, cluster: Cluster, options: Options, folder: Path, *, instance: str, system: str, jobs: str
    ) -> None:
        """`system`, `jobs`: the namespaces of the programs, and in which the API creates jobs."""
        self.cluster = cluster
        self.options = options
        self.folder = folder
        self.instance = instance
        self.system = system
        self.namespace = jobs
        self.team = f"jennah-{instance}-team"
        """The namespace of kubectl's jobs. Its label makes them `team_tenant`'s."""
        self.leaving = f"jennah-{instance}-leaving"
        """For a test that deletes a namespace."""
        self.tenant, self.team_tenant, self.leaver = instance, f"{instance}-team", f"{instance}-leaver"
        """The tenants of the API's caller, and of the jobs in those two namespaces."""
        self.kubectl = Kubectl(cluster.kubeconfig, self.team, options.limit)
        self.programs: Programs
        self.env: Mapping[str, str] = {}
        """What both programs are told; not known of programs in the cluster."""
        self.granted: list[Object] = []
        """What gives the programs' accounts their rights."""
        self._gates = itertools.count()

    @property
    def kube(self) -> KubeClient:
        """As the cluster's administrator."""
        return self.cluster.client

    @property
    def job_namespaces(self) -> list[str]:
        return [self.namespace, self.team]

    @property
    def tenants(self) -> list[str]:
        return [self.tenant, self.team_tenant, self.leaver]

    @property
    def runs_commands(self) -> bool:
        """Whether what jobs are told to run is run: stand-ins of services only look at it."""
        return self.options.provider == "local" or self.cluster.has_kubelet

    # --- as a caller of the API -------------------------------------------------------------------------

    async def call(self, method: str, request: Mapping[str, Any], tenant: str = "") -> dict[str, Any]:
        return await users.call(self.programs.api_url, method, dict(request), tenant or self.tenant)

    async def submit(self, script: str, **more: Any) -> str:
        """Submit a shell script; the job's id."""
        request = {"image_uri": "busybox:1.36", "commands": ["sh", "-c", script], **more}
        return str((await self.call("SubmitJob", request))["jobId"])

    async def get(self, job_id: str, tenant: str = "") -> dict[str, Any]:
        """As GetJob tells it."""
        job: dict[str, Any] = (await self.call("GetJob", {"job_id": job_id}, tenant))["job"]
        return job

    async def rows(self, tenant: str = "") -> dict[str, dict[str, Any]]:
        """As ListJobs tells them, by job id."""
        return {job["jobId"]: job for job in (await self.call("ListJobs", {}, tenant)).get("jobs", [])}

    # --- as a user of Kubernetes ------------------------------------------------------------------------

    async def create(self, name: str, script: str, namespace: str = "", **spec: object) -> Job:
        """A JennahJob of a shell script, as kubectl makes it; in the API's namespace by default, for its caller."""
        if not namespace:
            spec.setdefault("tenantId", self.tenant)
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": name},
            "spec": {"image": "busybox:1.36", "command": ["sh", "-c", script], **spec},
        }
        return parse(await self.kube.post(paths.jobs(namespace or self.namespace), body))

    async def job(self, name: str, namespace: str = "") -> Job:
        return parse(await self.kube.get(paths.job(namespace or self.namespace, name)))

    async def jobs(self, namespace: str) -> list[Job]:
        """Those of this run."""
        found = [parse(item) for item in items_of(await self.kube.get(paths.jobs(namespace)))]
        return [job for job in found if namespace != self.namespace or job.spec.tenant_id == self.tenant]

    async def wait_for(
        self, names: Iterable[str], condition: Callable[[Job], bool], what: str, namespace: str = ""
    ) -> dict[str, Job]:
        """The jobs of those job ids, or names where kubectl made them, once the condition holds for all of them; in the
        API's namespace by default."""
        limit = self.options.limit
        return await users.wait_for(self.kube, names, condition, what, namespace or self.namespace, limit)

    def path_of(self, job_id: str, name: str = "") -> str:
        """The object of a job that the API made; `name`: what the job is called."""
        return paths.job(self.namespace, names.object_name(self.tenant, job_id, name))

    async def until_gone(self, path: str) -> None:
        await belongings.until_gone(self.kube, path)

    @property
    def local(self) -> LocalPrograms:
        """The programs, of tests with the mark `local_programs`."""
        assert isinstance(self.programs, LocalPrograms)
        return self.programs

    @contextlib.asynccontextmanager
    async def another_api(self, **variables: str) -> AsyncIterator[str]:
        """The URL of one more API with those settings, while the block runs."""
        api = Program("another API", "api", self.local.api.env | variables)
        try:
            await api.start()
            yield f"http://127.0.0.1:{api.port}"
        finally:
            await api.stop()

    # --- beside them ------------------------------------------------------------------------------------

    def gate(self) -> Gate:
        """For jobs that last as long as the test wants."""
        if self.options.provider == "local":
            return LocalGate(self.folder / f"gate-{next(self._gates)}")
        return KubernetesGate(self.kube, self.job_namespaces)

    @contextlib.asynccontextmanager
    async def store(self) -> AsyncIterator[JobStore]:
        """The database, as the programs know it."""
        settings = Environment(self.env)
        store = make_store(read_database(settings, self.folder))
        settings.done()
        await store.open()
        try:
            yield store
        finally:
            await store.close()

    async def end_jobs(self) -> None:
        """Delete all jobs of this run, and give the operators time to end them."""
        for namespace in self.job_namespaces:
            for job in await self.jobs(namespace):
                await belongings.remove(self.kube, paths.job(namespace, job.metadata.name))
        end = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < end and self.programs.has_operator:
            if not [job for namespace in self.job_namespaces for job in await self.jobs(namespace)]:
                return
            await asyncio.sleep(0.2)
