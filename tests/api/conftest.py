"""Fixtures of the API's tests. One in-memory Kubernetes server for all of them, wiped after each; the rest is fresh."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import yaml

from controller.kube.client import KubeClient, load_configuration
from controller.stores.sqlite import SqliteStore
from dev.kubeapi.server import KubeApiServer
from tests.api.harness import Api, serving, wipe

CRD = Path(__file__).parents[2] / "crds" / "jennahjob.yaml"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The server with our CRD, on a thread and an event loop of its own: tests have a loop each."""
    folder = tmp_path_factory.mktemp("kubernetes")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="kubeapi")
    thread.start()
    server = KubeApiServer(folder)
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(30)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("KUBECONFIG", str(server.kubeconfig))
        asyncio.run(_install_crd())
    yield server.kubeconfig
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(30)
    loop.close()


@pytest.fixture
async def kube(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KubeClient]:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    async with KubeClient(await load_configuration()) as client:
        yield client
        await wipe(client)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "jennah.db")
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def api(kube: KubeClient, store: SqliteStore) -> AsyncIterator[Api]:
    async with serving(kube, store) as running:
        yield running


async def _install_crd() -> None:
    async with KubeClient(await load_configuration()) as client:
        await client.post(CRDS, yaml.safe_load(CRD.read_text()))
