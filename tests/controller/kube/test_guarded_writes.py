"""The operator's writes to JennahJobs, on a real API: each carries a version, and a stale one changes nothing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from controller.clock import SystemClock
from controller.domain import names
from controller.domain.errors import Conflict, NotFound, Unavailable
from controller.domain.job import Job
from controller.kube import paths
from controller.kube.client import KubeClient
from controller.kube.events import EventPoster
from controller.kube.resources import KubeJobResources
from tests.faulty_kube import FaultyKube, faulty_kube

Write = Callable[[KubeJobResources, Job], Awaitable[object]]

WRITES: dict[str, Write] = {
    "hold": lambda kube, job: kube.hold(job, {"a": "b"}),
    "release": lambda kube, job: kube.release(job),
    "the intent to submit": lambda kube, job: kube.write_status(job, {"submission": {"attempt": 1, "by": "us"}}),
    "a terminal phase": lambda kube, job: kube.write_status(job, {"phase": "Completed"}),
}


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[FaultyKube]:
    async with faulty_kube(tmp_path) as made:
        yield made


@pytest.fixture
async def kube(front: FaultyKube) -> AsyncIterator[KubeJobResources]:
    clock = SystemClock()
    async with KubeClient(front.configuration) as client:
        yield KubeJobResources(client, EventPoster(client, clock, "test"), clock)


async def create(front: FaultyKube, kube: KubeJobResources) -> Job:
    metadata = {"name": "job", "finalizers": ["example.com/other", names.FINALIZER]}
    body = {"apiVersion": "jennah.alphaus.cloud/v1", "kind": "JennahJob", "metadata": metadata}
    await front.client.post(paths.jobs("default"), {**body, "spec": {"image": "i"}})
    job = await kube.get("default", "job")
    assert job is not None
    return job


async def whole(front: FaultyKube) -> Any:
    return await front.client.get(paths.job("default", "job"))


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_on_an_old_version_is_a_conflict_and_changes_nothing(
    front: FaultyKube, kube: KubeJobResources, name: str
) -> None:
    job = await create(front, kube)
    await front.client.merge_patch(paths.job_status("default", "job"), {"status": {"phase": "Running"}})
    before = await whole(front)
    with pytest.raises(Conflict):
        await WRITES[name](kube, job)
    assert await whole(front) == before


@pytest.mark.parametrize("name", WRITES)
async def test_of_two_writes_on_one_version_one_gets_through(
    front: FaultyKube, kube: KubeJobResources, name: str
) -> None:
    job = await create(front, kube)
    both = await asyncio.gather(
        WRITES[name](kube, job), kube.write_status(job, {"phase": "Running"}), return_exceptions=True
    )
    assert sorted(isinstance(one, Conflict) for one in both) == [False, True]


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_never_meets_another_object_of_the_same_name(
    front: FaultyKube, kube: KubeJobResources, name: str
) -> None:
    job = await create(front, kube)
    await front.client.merge_patch(paths.job("default", "job"), {"metadata": {"finalizers": None}})
    await front.client.delete(paths.job("default", "job"))
    if name == "release":
        await kube.release(job)  # gone is what was wanted
    else:
        with pytest.raises(NotFound):
            await WRITES[name](kube, job)
    await create(front, kube)
    before = await whole(front)
    with pytest.raises(Conflict):
        await WRITES[name](kube, job)
    await kube.delete(job)
    assert await whole(front) == before


async def test_every_write_names_its_version_or_uid(front: FaultyKube, kube: KubeJobResources) -> None:
    sent: list[tuple[str, Any]] = []

    class Spy:
        def __getattr__(self, name: str) -> Any:
            async def call(path: str, *arguments: Any, **options: Any) -> Any:
                sent.append((name, arguments[0] if arguments else options))
                raise NotFound("enough")

            return call

    job = await create(front, kube)
    spied = KubeJobResources(Spy(), None, SystemClock())  # type: ignore[arg-type]
    for write in (*WRITES.values(), lambda kube, job: kube.delete(job)):
        try:
            await write(spied, job)
        except NotFound:
            continue
    version, uid = job.metadata.resource_version, job.metadata.uid
    guards = [options.get("metadata", {}).get("resourceVersion") or options.get("uid") for _, options in sent]
    assert guards == [version] * len(WRITES) + [uid]


async def test_release_takes_our_finalizer_and_leaves_the_others(front: FaultyKube, kube: KubeJobResources) -> None:
    await kube.release(await create(front, kube))
    assert (await whole(front))["metadata"]["finalizers"] == ["example.com/other"]


async def test_the_newest_version_is_that_of_the_last_write(front: FaultyKube, kube: KubeJobResources) -> None:
    job = await create(front, kube)
    newest = await kube.newest_version("default")
    assert newest >= int(job.metadata.resource_version)
    written = await kube.write_status(job, {"phase": "Running"})
    assert int(written.metadata.resource_version) > newest
    assert await kube.newest_version("default") >= int(written.metadata.resource_version)


async def test_an_api_that_lists_without_a_version_is_unavailable(kube: KubeJobResources, front: FaultyKube) -> None:
    class Odd:
        async def get(self, path: str, **query: str) -> Any:
            return {"metadata": {}}

    with pytest.raises(Unavailable, match="without its version"):
        await KubeJobResources(Odd(), None, SystemClock()).newest_version("default")  # type: ignore[arg-type]
