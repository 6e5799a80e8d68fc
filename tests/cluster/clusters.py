"""The cluster that the suite runs on: an in-memory API server that it starts, or the one of a kubeconfig."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from kubernetes.aio import client as kube
from kubernetes.aio import config as kube_config

from controller.domain.errors import JennahError
from controller.domain.nulls import without_nulls
from controller.kube.client import KubeClient, items_of
from dev.emulators.kubernetes import detection
from dev.processes import Child
from dev.stack import free_port

WATCHES_END_WITHIN_SECONDS = 10
"""Of the in-memory server, so that many of its watches end while something happens."""


class Cluster:
    """An API server, and what there is beside it."""

    def __init__(self, kubeconfig: Path, client: KubeClient) -> None:
        self.kubeconfig = kubeconfig
        """Of somebody who may do all that an installation needs."""
        self.client = client
        self.has_kubelet = False
        self.has_controllers = False
        """Whether somebody collects garbage and empties namespaces that are deleted."""
        self.has_job_controller = False
        """Whether somebody makes the Pods of Jobs, and tells their end."""
        self.server: Server | None = None
        """The server itself, where it is ours."""


class Server:
    """The in-memory API server as a process."""

    def __init__(self, folder: Path, *more: str) -> None:
        """`more`: of its options."""
        self.kubeconfig = folder / "kubeconfig"
        self.audit_log = folder / "audit.log"
        self.lines: list[str] = []
        self._folder = folder
        self._more = more
        self._port = free_port(0)
        self._child: Child | None = None

    async def start(self) -> None:
        """With what it had at its last stop, at the same port."""
        arguments = ["-m", "dev.kubeapi", "--port", str(self._port), "--data-dir", str(self._folder)]
        arguments += ["--authorization", "rbac", "--audit-log", str(self.audit_log)]
        arguments += ["--watches-end-within", str(WATCHES_END_WITHIN_SECONDS), *self._more]
        self._child = await Child.start("kubeapi", arguments, env={}, on_line=self.lines.append, ready_text="ready:")

    async def stop(self) -> None:
        if self._child is not None:
            await self._child.stop()


@contextlib.asynccontextmanager
async def in_memory(folder: Path, *, has_controllers: bool = True) -> AsyncIterator[Cluster]:
    """A server of our own while the block runs; without controllers as an API server is with nothing beside it."""
    server = Server(folder, *([] if has_controllers else ["--without-controllers"]))
    try:
        await server.start()
        async with KubeClient(await configuration_of(server.kubeconfig)) as client:
            cluster = Cluster(server.kubeconfig, client)
            cluster.server, cluster.has_controllers = server, has_controllers
            yield cluster
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def existing(kubeconfig: Path) -> AsyncIterator[Cluster]:
    """The cluster of that kubeconfig, which stays as it is."""
    async with KubeClient(await configuration_of(kubeconfig)) as client:
        cluster = Cluster(kubeconfig, client)
        cluster.has_kubelet = await has_kubelet(client)
        cluster.has_controllers = cluster.has_job_controller = await detection.has_controllers(client)
        yield cluster


async def configuration_of(kubeconfig: Path) -> kube.Configuration:
    configuration = kube.Configuration()
    await kube_config.load_kube_config(config_file=str(kubeconfig), client_configuration=configuration)
    configuration.connection_pool_maxsize = 64
    return configuration


async def has_kubelet(client: KubeClient) -> bool:
    """Whether a node is ready, with a container runtime and a kubelet that answers: a Node may be an object alone."""
    for node in map(without_nulls, items_of(await client.get("/api/v1/nodes"))):
        status = node.get("status", {})
        is_ready = ("Ready", "True") in [(each["type"], each["status"]) for each in status.get("conditions", ())]
        if is_ready and status.get("nodeInfo", {}).get("containerRuntimeVersion"):
            with contextlib.suppress(JennahError):
                await client.get_text(f"/api/v1/nodes/{node['metadata']['name']}/proxy/healthz")
                return True
    return False
