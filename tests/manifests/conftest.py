"""The clusters that rendered objects are shown to: an in-memory API server, and E2E_KUBECONFIG's where it is set."""

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import pytest
from kubernetes.aio import client as kube
from kubernetes.aio import config as kube_config

from controller.kube.client import KubeClient
from dev.kubeapi.server import KubeApiServer
from tests.cluster import belongings, clusters

CLUSTERS = ["in-memory", *(["E2E_KUBECONFIG"] if os.environ.get("E2E_KUBECONFIG") else [])]


@pytest.fixture(scope="module", params=CLUSTERS)
def kubeconfig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of a cluster. The in-memory one lives for a module, and has nothing in it at first."""
    if request.param == "E2E_KUBECONFIG":
        yield Path(os.environ["E2E_KUBECONFIG"])
        return
    with _serving(tmp_path_factory.mktemp("kubeapi")) as path:
        yield path


@pytest.fixture
async def client(kubeconfig: Path) -> AsyncIterator[KubeClient]:
    async with connected(kubeconfig) as client:
        yield client


@contextlib.asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[KubeClient]:
    configuration = kube.Configuration()
    await kube_config.load_kube_config(config_file=str(kubeconfig), client_configuration=configuration)
    async with KubeClient(configuration) as client:
        yield client


async def remove_namespaces(kubeconfig: Path, names: Iterable[str]) -> None:
    """Those that a test made, with all that is in them, also where nothing but an API server runs."""
    async with clusters.existing(kubeconfig) as cluster:
        await belongings.remove_namespaces(cluster, names)


def is_somebodys(kubeconfig: Path) -> bool:
    """Whether it is a cluster that others use as well."""
    return str(kubeconfig) == os.environ.get("E2E_KUBECONFIG")


@contextlib.contextmanager
def _serving(data_dir: Path) -> Iterator[Path]:
    """A server on a thread and an event loop of its own, so that Helm and kubectl can be waited for."""
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        thread = threading.Thread(target=loop.run_forever, name="kubeapi")
        thread.start()
        server = KubeApiServer(data_dir)
        try:
            asyncio.run_coroutine_threadsafe(server.start(), loop).result()
            yield server.kubeconfig
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
