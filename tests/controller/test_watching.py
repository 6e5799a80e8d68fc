"""kopf on its own thread: what the reconciler hears, and what it does not notice when kopf ends."""

import asyncio
from pathlib import Path
from typing import Any

import kopf
import pytest
from kubernetes.aio import client as kube

from controller import watching as module
from controller.domain.job import Job
from controller.kube import paths
from controller.watching import Watch, watching
from tests.kubeapi import configuration_of, serving


class Sink:
    def __init__(self) -> None:
        self.seen: asyncio.Queue[str] = asyncio.Queue()

    def upsert(self, job: Job) -> None:
        self.seen.put_nowait(f"{job.metadata.name} {job.status.phase}")

    def remove(self, key: str, last: Job | None) -> None:
        self.seen.put_nowait("removed")

    async def next(self) -> str:
        return await asyncio.wait_for(self.seen.get(), 15)


async def test_objects_that_are_there_come_first_then_each_change_and_the_end(tmp_path: Path) -> None:
    sink = Sink()
    body: dict[str, Any] = {"apiVersion": "jennah.alphaus.cloud/v1", "kind": "JennahJob", "spec": {"image": "i"}}
    async with serving(tmp_path) as client:
        await client.post(paths.jobs("default"), {**body, "metadata": {"name": "early"}})
        configuration = await configuration_of(tmp_path)
        async with watching(Watch(configuration, (), upsert=sink.upsert, remove=sink.remove)):
            assert await sink.next() == "early None"
            await client.merge_patch(paths.job_status("default", "early"), {"status": {"phase": "Running"}})
            assert await sink.next() == "early Running"
            await client.delete(paths.job("default", "early"))
            assert await sink.next() == "removed"


async def test_kopf_is_started_again_when_it_ends_and_tasks_of_ours_live_on(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = 0

    async def operator(*, ready_flag: asyncio.Event, stop_flag: asyncio.Event, **_: Any) -> None:
        nonlocal starts
        starts += 1
        if starts < 3:
            raise RuntimeError("410 Gone")
        ready_flag.set()
        await stop_flag.wait()

    monkeypatch.setattr(kopf, "operator", operator)
    monkeypatch.setattr(module, "PAUSES_SECONDS", (0,))
    sink = Sink()
    watch = Watch(kube.Configuration(), (), upsert=sink.upsert, remove=sink.remove)
    async with watching(watch):
        ours = asyncio.create_task(asyncio.Event().wait())
        await asyncio.wait_for(watch.ready.wait(), 10)
    assert starts == 3
    assert not ours.done(), "the end of kopf cancels tasks of its own loop only"
    ours.cancel()
