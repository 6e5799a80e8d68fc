"""An API server behind a connection with faults on demand, where nobody plays Jobs but the test itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import yaml

from controller.clock import SystemClock
from controller.domain.errors import Unavailable
from controller.ports import JobRef, Observation, SubmitRequest
from controller.providers.kubernetes import places
from controller.providers.kubernetes.provider import KubernetesProvider
from tests.controller.providers.kubernetes.harness import at, condition, settings
from tests.faulty_kube import FaultyKube, faulty_kube

NAMESPACE = "team-a"
DONE = (condition("SuccessCriteriaMet"), condition("Complete"))


class Service:
    """The API server, and adapters for it."""

    def __init__(self, front: FaultyKube, kubeconfig: Path) -> None:
        self.front = front
        self.client = front.client
        self._kubeconfig = kubeconfig
        self.made: list[KubernetesProvider] = []

    def provider(self, **other: Any) -> KubernetesProvider:
        made = KubernetesProvider(settings(kubeconfig=str(self._kubeconfig), **other), SystemClock())
        self.made.append(made)
        return made

    async def jobs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.client.get(places.jobs()))["items"]
        return found

    async def secrets(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.client.get(places.secrets(NAMESPACE)))["items"]
        return found

    async def complete(self, request: SubmitRequest) -> None:
        """As the Job controller writes it."""
        status = {"succeeded": 1, "startTime": at(1), "completionTime": at(9), "conditions": list(DONE)}
        await self.client.merge_patch(f"{path_of(request)}/status", {"status": status})

    async def make_pod(
        self, request: SubmitRequest, name: str = "p", meta: dict[str, Any] | None = None, **status: Any
    ) -> None:
        """A Pod of the Job in that state."""
        job = await self.client.get(path_of(request))
        owner = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": job["metadata"]["name"],
            "uid": job["metadata"]["uid"],
        }
        template = job["spec"]["template"]
        metadata = {
            "name": name,
            "labels": template["metadata"]["labels"],
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
            **(meta or {}),
        }
        path = places.pods(NAMESPACE)
        await self.client.post(path, {"metadata": metadata, "spec": template["spec"]})
        await self.client.merge_patch(f"{path}/{name}/status", {"status": status})


def path_of(request: SubmitRequest) -> str:
    return places.Place(NAMESPACE, places.job_name(request.external_name)).path


def ref_of(request: SubmitRequest) -> JobRef:
    return JobRef(external_name=request.external_name, uid=request.uid, namespace=request.namespace)


async def until(
    provider: KubernetesProvider, request: SubmitRequest, holds: Callable[[Observation | None], bool]
) -> Observation | None:
    """What the watch tells, once that holds."""
    changed = asyncio.Event()
    provider.on_change(changed.set)
    async with asyncio.timeout(30):
        while True:
            changed.clear()
            with contextlib.suppress(Unavailable):  # a test may have broken the watch: it heals
                seen = (await provider.observe([ref_of(request)])).get(request.external_name)
                if holds(seen):
                    return seen
            await changed.wait()


@contextlib.asynccontextmanager
async def serving_jobs(folder: Path) -> AsyncIterator[Service]:
    async with faulty_kube(folder) as front:
        configuration = front.configuration
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": configuration.host}}],
            "users": [{"name": "u", "user": {"token": configuration.api_key["BearerToken"].removeprefix("Bearer ")}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        kubeconfig = folder / "through-the-front"
        kubeconfig.write_text(yaml.safe_dump(config))
        await front.client.post("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        made = Service(front, kubeconfig)
        try:
            yield made
        finally:
            for provider in made.made:
                await provider.close()
