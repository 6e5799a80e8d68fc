"""Programs that run in the cluster, as the chart has installed them; the API is reached by kubectl's port-forward."""

import asyncio
import contextlib
import re

from controller.kube import paths
from controller.kube.client import KubeClient, Object
from tests.cluster.clusters import Cluster
from tests.cluster.kubectl import Kubectl
from tests.cluster.programs import LIMIT_SECONDS, Lease, is_surprise

API = "jennah-api"
OPERATOR = "jennah-controller"
ROLLOUT = "--timeout=180s"
_FORWARDING = re.compile(r"Forwarding from (127\.0\.0\.1:\d+) ")


async def job_namespace(cluster: Cluster, namespace: str) -> str:
    """Where the API that is installed in that namespace creates jobs."""
    return job_namespace_of(await cluster.client.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{API}"))


def job_namespace_of(api: Object) -> str:
    """By the API's Deployment."""
    [container] = [one for one in api["spec"]["template"]["spec"]["containers"] if one["name"] == "api"]
    return str(next(one["value"] for one in container["env"] if one["name"] == "JENNAH_NAMESPACE"))


class InstalledPrograms:
    """Two Deployments of one release."""

    has_operator = True

    def __init__(self, cluster: Cluster, namespace: str, *, lease: str) -> None:
        self._kubectl = Kubectl(cluster.kubeconfig, namespace)
        self._client: KubeClient = cluster.client
        self._namespace = namespace
        self._lease = Lease(cluster.client, paths.lease(namespace, lease))
        self._forwarding: asyncio.subprocess.Process | None = None
        self._output: asyncio.Task[None] | None = None
        self.api_url = ""

    async def start(self) -> None:
        """Until all pods are ready, and the API can be reached."""
        for deployment in (OPERATOR, API):
            await self._kubectl("rollout", "status", f"deployment/{deployment}", ROLLOUT)
        if self._forwarding is None or self._forwarding.returncode is not None:
            await self._forward()
        await self._lease.next_holder("")

    async def stop(self) -> None:
        """Of what is here: the programs in the cluster stay."""
        if self._forwarding is not None and self._forwarding.returncode is None:
            self._forwarding.terminate()
            await self._forwarding.wait()
        if self._output is not None:
            self._output.cancel()
            await asyncio.gather(self._output, return_exceptions=True)

    async def holder(self) -> str:
        return await self._lease.holder()

    async def next_holder(self, last: str) -> str:
        return await self._lease.next_holder(last)

    async def kill_leader(self) -> str:
        """Its pod is removed without grace; as whom it led."""
        holder = await self.holder()
        pod = holder.rpartition("_")[0]  # WORKER_ID: the pod's host name, which is its name
        await self._kubectl("delete", "pod", pod, "--force", "--grace-period=0", "--wait=false")
        return holder

    async def surprises(self) -> list[str]:
        """What no program of ours should print, of the pods that there are."""
        found = []
        for deployment in (OPERATOR, API):
            pods = f"app.kubernetes.io/component={'controller' if deployment == OPERATOR else 'api'}"
            output = await self._kubectl("logs", "--selector", pods, "--tail=-1", "--prefix", "--ignore-errors")
            found += [line for line in output.splitlines() if is_surprise(line)]
        return found

    async def _forward(self) -> None:
        """kubectl port-forward to a pod of the API, at a free port of ours."""
        self._forwarding = await self._kubectl.start("port-forward", f"service/{API}", ":8081")
        stdout = self._forwarding.stdout
        assert stdout is not None
        said = ""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LIMIT_SECONDS):
                while line := (await stdout.readline()).decode():
                    said += line
                    if match := _FORWARDING.search(line):
                        self.api_url = f"http://{match[1]}"
                        self._output = asyncio.create_task(_read_on(stdout))
                        return
        raise AssertionError(f"kubectl port-forward: {said}")


async def _read_on(stdout: asyncio.StreamReader) -> None:
    """So that the pipe does not fill up."""
    while await stdout.readline():
        pass
