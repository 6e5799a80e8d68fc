"""What there is in Kubernetes, read in pages of metadata."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.clock import SystemClock
from controller.domain import names
from controller.kube import paths
from controller.kube.client import KubeClient
from controller.kube.events import EventPoster
from controller.kube.resources import LIST_PAGE, KubeJobResources
from tests.kubeapi import serving


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[KubeClient]:
    async with serving(tmp_path) as client:
        yield client


async def create(client: KubeClient, name: str, namespace: str = "default") -> str:
    body = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": name},
        "spec": {"image": "i", "args": ["x" * 100]},
    }
    return str((await client.post(paths.jobs(namespace), body))["metadata"]["uid"])


def resources(client: KubeClient) -> KubeJobResources:
    return KubeJobResources(client, EventPoster(client, SystemClock(), "test"), SystemClock())


async def test_the_uids_are_those_of_the_namespaces_that_are_asked_for(client: KubeClient) -> None:
    for namespace in ("a", "b", "c"):
        await client.post(
            "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        )
    uids = {namespace: await create(client, "job", namespace) for namespace in ("a", "b", "c")}
    assert await resources(client).uids(()) == set(uids.values())
    assert await resources(client).uids(("a", "c")) == {uids["a"], uids["c"]}
    await client.delete(paths.job("a", "job"))
    assert await resources(client).uids(("a", "c")) == {uids["c"]}


async def test_all_uids_are_read_where_there_are_more_than_a_page_has(client: KubeClient) -> None:
    left = iter(range(LIST_PAGE + 1))
    made: set[str] = set()

    async def work() -> None:
        for number in left:
            made.add(await create(client, f"job-{number}"))

    await asyncio.gather(*(work() for _ in range(16)))
    assert len(made) == LIST_PAGE + 1
    assert await resources(client).uids(()) == made


async def test_a_page_has_the_metadata_and_nothing_else(client: KubeClient) -> None:
    await create(client, "job")
    page = await client.get_metadata(paths.jobs(), limit=1)
    assert [set(item) for item in page["items"]] == [{"apiVersion", "kind", "metadata"}]
