"""The in-memory API server inside a test's own process, with the CRDs installed."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import yaml
from kubernetes.aio import client as kube
from kubernetes.aio import config as kube_config

from controller.domain.errors import Throttled
from controller.kube import paths
from controller.kube.client import KubeClient
from dev.kubeapi.server import KubeApiServer

CRDS = Path(__file__).parents[1] / "crds"


@contextlib.asynccontextmanager
async def serving(data_dir: Path) -> AsyncIterator[KubeClient]:
    """A client of a server that lives as long as the block."""
    server = KubeApiServer(data_dir)
    await server.start()
    try:
        async with KubeClient(await configuration_of(data_dir)) as client:
            path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
            for crd in sorted(CRDS.glob("*.yaml")):
                await client.post(path, yaml.safe_load(crd.read_text()))
            for kind in (paths.jobs(), paths.tenants()):
                with contextlib.suppress(Throttled):  # the first list of a kind comes too early
                    await client.get(kind, limit="1")
            yield client
    finally:
        await server.stop()


async def configuration_of(data_dir: Path) -> kube.Configuration:
    """How to reach the server of that folder."""
    configuration = kube.Configuration()
    path = str(data_dir / "kubeconfig")
    await kube_config.load_kube_config(config_file=path, client_configuration=configuration)
    return configuration
