"""kopf on its own thread: what the reconciler hears, and what it does not notice when kopf ends."""

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Any

import kopf
import pytest

from controller import handlers, logs
from controller import watching as module
from controller.backoff import Backoff
from controller.domain.job import Job
from controller.kube import paths
from controller.watching import Watch, watching
from tests.faulty_kube import HANG, faulty_kube
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


async def test_a_surprise_at_one_object_does_not_end_the_watch_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, whole = Sink(), handlers.take_in

    def take_in(event: Any, *sinks: Any) -> None:
        if event["object"]["metadata"]["name"] == "strange":
            raise LookupError("strange")
        whole(event, *sinks)

    monkeypatch.setattr(handlers, "take_in", take_in)
    body: dict[str, Any] = {"apiVersion": "jennah.alphaus.cloud/v1", "kind": "JennahJob", "spec": {"image": "i"}}
    async with serving(tmp_path) as client:
        await client.post(paths.jobs("default"), {**body, "metadata": {"name": "strange"}})
        configuration = await configuration_of(tmp_path)
        async with watching(Watch(configuration, (), upsert=sink.upsert, remove=sink.remove)):
            await client.post(paths.jobs("default"), {**body, "metadata": {"name": "usual"}})
            assert await sink.next() == "usual None"


async def test_kopf_is_started_again_when_it_ends_and_tasks_of_ours_live_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts, whole = 0, kopf.operator

    async def operator(**options: Any) -> None:
        nonlocal starts
        starts += 1
        if starts < 3:
            raise RuntimeError("it ends")
        await whole(**options)

    monkeypatch.setattr(kopf, "operator", operator)
    monkeypatch.setattr(module, "BACKOFF", Backoff(first=0, cap=0))
    sink = Sink()
    async with serving(tmp_path):
        watch = Watch(await configuration_of(tmp_path), (), upsert=sink.upsert, remove=sink.remove)
        async with watching(watch):
            ours = asyncio.create_task(asyncio.Event().wait())
            await asyncio.wait_for(watch.ready.wait(), 30)
    assert starts == 3
    assert not ours.done(), "the end of kopf cancels tasks of its own loop only"
    ours.cancel()


async def test_a_list_that_takes_long_to_take_in_is_no_reason_to_begin_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first page shows that the CRD is served. The watch comes after the last, however late that is."""
    monkeypatch.setattr(module, "LIST_WITHIN_SECONDS", 1.0)
    monkeypatch.setattr(handlers, "LIST_PAGE", 1)
    starts, whole = 0, kopf.operator

    async def operator(**options: Any) -> None:
        nonlocal starts
        starts += 1
        await whole(**options)

    monkeypatch.setattr(kopf, "operator", operator)
    body: dict[str, Any] = {"apiVersion": "jennah.alphaus.cloud/v1", "kind": "JennahJob", "spec": {"image": "i"}}
    sink = Sink()
    async with faulty_kube(tmp_path) as front:
        for n in range(2):
            await front.client.post(paths.jobs("default"), {**body, "metadata": {"name": f"job-{n}"}})
        front.rule = lambda request: HANG if "continue" in request.query else None
        watch = Watch(front.configuration, (), upsert=sink.upsert, remove=sink.remove)
        async with watching(watch):
            assert await sink.next() == "job-0 None"
            with pytest.raises(TimeoutError):  # much longer than a list may take to begin
                await asyncio.wait_for(watch.ready.wait(), 3)
            assert starts == 1


@pytest.mark.parametrize("passed", range(12))
async def test_a_stop_in_the_midst_of_a_start_is_quick_and_quiet(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, passed: int
) -> None:
    """After each of the requests that a start consists of: kopf alone waits for 5 s then, and complains."""
    logs.drop_unwanted()
    body: dict[str, Any] = {"apiVersion": "jennah.alphaus.cloud/v1", "kind": "JennahJob", "spec": {"image": "i"}}
    async with faulty_kube(tmp_path) as front:
        for n in range(20):
            await front.client.post(paths.jobs("default"), {**body, "metadata": {"name": f"job-{n}"}})
        sink = Sink()
        watch = Watch(front.configuration, (), upsert=sink.upsert, remove=sink.remove)
        watch.start()
        with contextlib.suppress(TimeoutError):  # a start has fewer requests, then
            await asyncio.wait_for(front.until(lambda: len(front.requests) > passed), 1)
        await asyncio.wait_for(watch.stop(), 4)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
