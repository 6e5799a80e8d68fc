"""A release on a cluster: Helm beside a stand-in of the nodes, and of the Job controller where none runs."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from controller.domain.errors import NotFound
from controller.kube.client import KubeClient, items_of
from dev.manifests import helm
from tests.cluster import belongings
from tests.manifests import chart
from tests.manifests.chart import Object, Values, merged

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CRD = f"{CRDS}/jennahjobs.jennah.alphaus.cloud"
_AT = "2026-01-01T00:00:00Z"


class Release:
    """A release of the chart in a namespace of its own."""

    def __init__(
        self, client: KubeClient, kubeconfig: Path, folder: Path, *, is_confined: bool, has_job_controller: bool = False
    ) -> None:
        """`is_confined`: to its own namespaces, so that others in the cluster notice neither it nor its policies.

        `has_job_controller`: a real one runs there.
        """
        self._has_job_controller = has_job_controller
        self._client = client
        self._folder = folder
        self._environment = {
            "KUBECONFIG": str(kubeconfig),
            **{f"HELM_{kind}_HOME": str(folder / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")},
        }
        self.name = f"jennah-{uuid.uuid4().hex[:8]}"
        self.jobs = f"{self.name}-jobs"
        self._confined = {"watchNamespaces": [self.jobs], "rbac": {"aggregate": False}} if is_confined else {}
        self.migrates = True
        """Whether migrations succeed."""
        self.migrations: list[bool] = []
        """Of each migration, whether the release's Deployments were there already."""

    async def helm(self, command: str, *arguments: str | Path) -> str:
        """Run Helm for this release. Raises HelmError."""
        given = (command, self.name, *arguments, "--namespace", self.name)
        return await asyncio.to_thread(lambda: helm.run(*given, environment=self._environment))

    async def install(self, values: Values, source: Path = chart.CHART) -> str:
        return await self.helm("install", source, "--create-namespace", "--values", self._file(values))

    async def upgrade(self, values: Values, source: Path = chart.CHART) -> str:
        return await self.helm("upgrade", source, "--values", self._file(values))

    def _file(self, values: Values) -> Path:
        path = self._folder / "values.json"
        path.write_text(json.dumps(merged(values, {"jobNamespace": {"name": self.jobs}}, self._confined)))
        return path

    async def status(self) -> str:
        """As Helm has it: deployed, failed, ..."""
        found: Object = json.loads(await self.helm("status", "--output", "json"))
        status: str = found["info"]["status"]
        return status

    async def get(self, group: str, plural: str, name: str) -> Object | None:
        """An object of the release's namespace."""
        try:
            return await self._client.get(f"/{group}/namespaces/{self.name}/{plural}/{name}")
        except NotFound:
            return None

    async def replicas(self) -> int:
        found = await self.get("apis/apps/v1", "deployments", f"{self.name}-controller")
        assert found is not None
        return int(found["spec"]["replicas"])

    @contextlib.asynccontextmanager
    async def job_controller(self) -> AsyncIterator[None]:
        """While the block runs, the migration's Jobs end."""
        task = asyncio.create_task(self._end_jobs())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _end_jobs(self) -> None:
        ended = ""
        while True:
            job = await self.get("apis/batch/v1", "jobs", f"{self.name}-migrate")
            if job is not None and job["metadata"]["uid"] != ended:
                ended = job["metadata"]["uid"]
                deployment = await self.get("apis/apps/v1", "deployments", f"{self.name}-controller")
                account = await self.get("api/v1", "serviceaccounts", f"{self.name}-migrate")
                assert account is not None
                self.migrations.append(deployment is not None)
                if self._has_job_controller:
                    await self._end_pods(job)
                else:
                    await self._client.merge_patch(f"{self._job}/status", {"status": _ended(self.migrates)})
            await asyncio.sleep(0.02)

    @property
    def _job(self) -> str:
        return f"/apis/batch/v1/namespaces/{self.name}/jobs/{self.name}-migrate"

    async def _end_pods(self, job: Object) -> None:
        """What a kubelet would do, where none does: its Pod ends. One that fails is not tried again here."""
        if not self.migrates:
            await self._client.merge_patch(self._job, {"spec": {"backoffLimit": 0}})
        pods = f"/api/v1/namespaces/{self.name}/pods"
        selector = f"batch.kubernetes.io/controller-uid={job['metadata']['uid']}"
        while not (found := items_of(await self._client.get(pods, labelSelector=selector))):
            await asyncio.sleep(0.02)
        for pod in found:
            status = {"phase": "Succeeded" if self.migrates else "Failed"}
            await self._client.merge_patch(f"{pods}/{pod['metadata']['name']}/status", {"status": status})

    async def uninstall(self) -> None:
        with contextlib.suppress(helm.HelmError):
            await self.helm("uninstall")

    async def remove_crds(self) -> None:
        """Those that are the release's; they outlive that by intention. Their objects go as well."""
        for found in items_of(await self._client.get(CRDS)):
            metadata = found["metadata"]
            if (metadata.get("annotations") or {}).get("meta.helm.sh/release-name") == self.name:
                await belongings.remove(self._client, f"{CRDS}/{metadata['name']}")
                await belongings.until_gone(self._client, f"{CRDS}/{metadata['name']}")


def _ended(well: bool) -> dict[str, Any]:
    """A Job's status at its end, with all that a real API server asks for."""
    kinds = ("SuccessCriteriaMet", "Complete") if well else ("FailureTarget", "Failed")
    conditions = [
        {
            "type": kind,
            "status": "True",
            "lastProbeTime": _AT,
            "lastTransitionTime": _AT,
            "reason": "" if well else "BackoffLimitExceeded",
            "message": "",
        }
        for kind in kinds
    ]
    none_left = {"active": 0, "ready": 0, "terminating": 0, "uncountedTerminatedPods": {}}
    status = {"startTime": _AT, "conditions": conditions, **none_left}
    return status | ({"succeeded": 1, "completionTime": _AT} if well else {"failed": 1})
