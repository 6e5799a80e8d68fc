"""--without-controllers: an API server with nothing beside it, as kube-apiserver is without kube-controller-manager."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.domain.errors import JennahError, NotFound
from controller.kube import paths
from controller.kube.client import KubeClient
from dev.kubeapi.server import KubeApiServer
from tests.kubeapi import configuration_of

NAMESPACES = "/api/v1/namespaces"
NAMESPACE = f"{NAMESPACES}/n"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[KubeClient]:
    server = KubeApiServer(tmp_path, has_rbac=True, has_controllers=False)
    await server.start()
    try:
        async with KubeClient(await configuration_of(tmp_path)) as client:
            await client.post(NAMESPACES, {"metadata": {"name": "n"}})
            yield client
    finally:
        await server.stop()


async def test_a_deleted_namespace_stays_until_somebody_finalizes_it(client: KubeClient) -> None:
    await client.post(paths.secrets("n"), {"metadata": {"name": "s"}})
    await client.delete(NAMESPACE)
    terminating = await client.get(NAMESPACE)
    assert terminating["status"]["phase"] == "Terminating"
    assert await client.get(paths.secret("n", "s"))
    await client.call("DELETE", paths.secrets("n"))
    # Not by a plain update: its finalizers are another subresource's.
    await client.call("PUT", NAMESPACE, body={**terminating, "spec": {}})
    assert (await client.get(NAMESPACE))["spec"]["finalizers"] == ["kubernetes"]
    with pytest.raises(JennahError):
        await client.merge_patch(f"{NAMESPACE}/finalize", {"spec": {"finalizers": []}})
    await client.call("PUT", f"{NAMESPACE}/finalize", body={**terminating, "spec": {"finalizers": []}})
    with pytest.raises(NotFound):
        await client.get(NAMESPACE)


async def test_dependents_stay_and_namespaces_have_no_account(client: KubeClient) -> None:
    owner = await client.post(paths.secrets("n"), {"metadata": {"name": "owner"}})
    reference = {"apiVersion": "v1", "kind": "Secret", "name": "owner", "uid": owner["metadata"]["uid"]}
    await client.post(paths.secrets("n"), {"metadata": {"name": "dependent", "ownerReferences": [reference]}})
    await client.delete(paths.secret("n", "owner"))
    await client.post(paths.secrets("n"), {"metadata": {"name": "later"}})
    assert await client.get(paths.secret("n", "dependent"))
    assert (await client.get(f"{NAMESPACE}/serviceaccounts"))["items"] == []
