"""One installation for the whole package, and what of it is skipped where."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.cluster import belongings, clusters, options
from tests.cluster.installation import Installation
from tests.cluster.setup import installed

HERE = Path(__file__).parent
LAST = "test_afterwards.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All share one event loop, as they share the programs. What looks back at the whole run comes last."""
    ours = [item for item in items if item.path.parent == HERE]
    for item in ours:
        item.add_marker(pytest.mark.asyncio(loop_scope="package"), append=False)
        if os.environ.get("E2E_KUBECONFIG"):
            item.add_marker(pytest.mark.timeout(900))
    ours.sort(key=lambda item: item.path.name == LAST)
    places = [index for index, item in enumerate(items) if item.path.parent == HERE]
    for index, item in zip(places, ours, strict=True):
        items[index] = item


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[clusters.Cluster]:
    chosen = options.read()
    made = (
        clusters.existing(chosen.kubeconfig)
        if chosen.kubeconfig
        else clusters.in_memory(tmp_path_factory.mktemp("kubeapi"))
    )
    async with made as cluster:
        if cluster.server is None:  # others come and go there
            yield cluster
            return
        before = await belongings.everything(cluster.client)
        yield cluster
        assert await belongings.everything(cluster.client) == before


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def running(cluster: clusters.Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    # On our own cluster the operators watch all namespaces, as they do by default; on another nothing but ours.
    confined = cluster.server is None
    async with installed(cluster, options.read(), tmp_path_factory.mktemp("jennah"), is_confined=confined) as made:
        yield made
        surprises = await made.programs.surprises()
    assert not surprises


@pytest_asyncio.fixture(loop_scope="package")
async def jennah(request: pytest.FixtureRequest, running: Installation) -> Installation:
    """The installation, with all of its programs running, whatever the test before did to them."""
    on_nodes = running.cluster.has_kubelet and running.options.provider == "kubernetes"
    lacking = {
        "kubelet": "" if on_nodes else "no containers run: that needs E2E_PROVIDER=kubernetes, and nodes with kubelets",
        "controllers": "" if running.cluster.has_controllers else "the cluster has no kube-controller-manager",
        "own_server": "" if running.cluster.server else "the API server is not ours",
        "local_programs": "the programs run in the cluster" if running.options.installed else "",
        "local_provider": "" if running.options.provider == "local" else "jobs are no processes of this machine",
    }
    for marker, reason in lacking.items():
        if reason and request.node.get_closest_marker(marker):
            pytest.skip(reason)
    await running.programs.start()
    return running
