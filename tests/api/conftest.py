"""Fixtures of the API's tests. One in-memory Kubernetes server for all of them, wiped after each; the rest is fresh."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from kubernetes.aio.client import Configuration

from controller.domain import names
from controller.domain.errors import Throttled
from controller.kube import paths
from controller.kube.client import KubeClient, load_configuration
from controller.stores.sqlite import SqliteStore
from dev.kubeapi.server import KubeApiServer
from tests.api.harness import Api, serving, wipe

CRD_FOLDER = Path(__file__).parents[2] / "crds"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(autouse=True)
def no_logging_left_behind() -> Iterator[None]:
    """A program that a test runs in this process logs to a stream that pytest closes afterwards: each line that others
    log would be a traceback."""
    yield
    root = logging.getLogger()
    for handler in [one for one in root.handlers if type(one) is logging.StreamHandler]:
        root.removeHandler(handler)


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The server with our CRD, on a thread and an event loop of its own: tests have a loop each."""
    folder = tmp_path_factory.mktemp("kubernetes")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="kubeapi")
    thread.start()
    server = KubeApiServer(folder)
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(30)
    asyncio.run_coroutine_threadsafe(install_crds(server.kubeconfig), loop).result(30)
    yield server.kubeconfig
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(30)
    loop.close()


@pytest.fixture
async def kube(kubeconfig: Path) -> AsyncIterator[KubeClient]:
    async with connected(kubeconfig) as client:
        yield client


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with opened(tmp_path) as store:
        yield store


@pytest.fixture
async def api(kube: KubeClient, store: SqliteStore) -> AsyncIterator[Api]:
    async with serving(kube, store) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_api(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """One API for the many tests of a module that leave nothing behind."""
    folder = tmp_path_factory.mktemp("shared")
    async with connected(kubeconfig) as client, opened(folder) as store, serving(client, store) as running:
        yield running


@contextlib.asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[KubeClient]:
    async with KubeClient(await configuration_of(kubeconfig)) as client:
        try:
            yield client
        finally:
            await wipe(client)


async def configuration_of(kubeconfig: Path) -> Configuration:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("KUBECONFIG", str(kubeconfig))
        return await load_configuration()


@contextlib.asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(folder / "jennah.db")
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def install_crds(kubeconfig: Path) -> None:
    async with KubeClient(await configuration_of(kubeconfig)) as client:
        for crd in sorted(CRD_FOLDER.glob("*.yaml")):
            await client.post(CRDS, yaml.safe_load(crd.read_text()))
        for kind in (paths.jobs(), paths.tenants()):
            with contextlib.suppress(Throttled):  # the first list of a kind comes too early
                await client.get(kind, limit="1")
        # What most tests name has a list of its own elsewhere: here everything may be named.
        await client.post(paths.tenants(), trusted("default"))


def trusted(name: str) -> dict[str, Any]:
    """A JennahTenant that may name everything."""
    kind = {"apiVersion": names.API_VERSION, "kind": "JennahTenant", "metadata": {"name": name}}
    return {**kind, "spec": {"trusted": True}}
