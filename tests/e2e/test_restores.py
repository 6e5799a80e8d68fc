"""etcd, or the database, is put back to what it was, step by step as docs/operations.md says: no job runs twice."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.domain import names, reasons
from controller.domain.errors import NotFound
from controller.domain.phases import Phase
from controller.kube import paths
from controller.kube.client import KubeClient
from dev.kubeapi import backups
from dev.stack import Stack
from tests.e2e.client import call, is_finished, submit, wait_for
from tests.e2e.conftest import make_stack


class Site:
    """A stack that is stopped and started on the same folder, and a note of each run of a job."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.data = folder / "data"
        self.lines: list[str] = []

    def script(self) -> str:
        return f"echo ran >> {self._folder}/$JENNAH_JOB_ID"

    def runs(self, job_id: str) -> int:
        noted = self._folder / job_id
        return len(noted.read_text().splitlines()) if noted.exists() else 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[tuple[Stack, KubeClient]]:
        stack = make_stack(self.data, self.lines)
        async with stack.running(), await stack.client() as kube:
            yield stack, kube

    @contextlib.asynccontextmanager
    async def without_operator(self) -> AsyncIterator[Stack]:
        stack = make_stack(self.data, self.lines)
        try:
            await stack.start_kubeapi()
            await stack.start_api()
            yield stack
        finally:
            await stack.stop()

    async def submit(self, stack: Stack, job_id: str) -> str:
        return await submit(stack.api_url, self.script(), job_id=job_id)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def status(stack: Stack, job_id: str) -> str:
    return str((await call(stack.api_url, "GetJob", {"job_id": job_id}))["job"]["status"])


def path_of(job_id: str) -> str:
    return paths.job("default", names.object_name("t", job_id))


async def delete(stack: Stack, kube: KubeClient, job_id: str) -> None:
    await call(stack.api_url, "DeleteJob", {"job_id": job_id})
    with contextlib.suppress(NotFound):
        while True:  # until the operator has let it go
            await kube.get(path_of(job_id))


async def test_an_older_etcd_runs_neither_what_has_run_nor_what_was_deleted(site: Site, tmp_path: Path) -> None:
    async with site.without_operator() as stack:
        for job_id in ("deleted", "done"):  # made, and not yet submitted
            await site.submit(stack, job_id)
    backups.save(site.data, tmp_path / "backup")
    async with site.running() as (stack, kube):
        await site.submit(stack, "later")
        await wait_for(kube, ["deleted", "done", "later"], is_finished, "finished")
        await delete(stack, kube, "deleted")
    backups.restore(site.data, tmp_path / "backup")
    async with site.running() as (stack, kube):
        jobs = await wait_for(kube, ["deleted", "done"], is_finished, "finished")
        deleted, done = jobs["deleted"].status, jobs["done"].status
        assert (deleted.phase, deleted.reason) == (Phase.FAILED, reasons.JOB_DELETED)
        assert done.phase is Phase.COMPLETED
        # The object of one that came after the backup is gone; the record knows it.
        assert await status(stack, "later") == "COMPLETED"
        assert await site.submit(stack, "later") == "later"
        with pytest.raises(NotFound):
            await kube.get(path_of("later"))
    assert [site.runs(job_id) for job_id in ("deleted", "done", "later")] == [1, 1, 1]
    assert not [line for line in site.lines if "Traceback" in line]


async def test_an_older_database_runs_nothing_again_whose_object_is_there(site: Site, tmp_path: Path) -> None:
    async with site.without_operator() as stack:
        await site.submit(stack, "early")  # recorded, and not yet submitted
    database, backup = site.data / "jennah.db", tmp_path / "backup.db"
    copy(database, backup)
    async with site.running() as (stack, kube):
        await site.submit(stack, "later")
        await wait_for(kube, ["early", "later"], is_finished, "finished")
    copy(backup, database)
    async with site.running() as (stack, kube):
        assert await site.submit(stack, "later") == "later"
        new = await site.submit(stack, "new")
        jobs = await wait_for(kube, ["early", "later", new], is_finished, "finished")
        assert {job.status.phase for job in jobs.values()} == {Phase.COMPLETED}
    assert [site.runs(job_id) for job_id in ("early", "later", "new")] == [1, 1, 1]
    assert not [line for line in site.lines if "Traceback" in line]


def copy(of: Path, to: Path) -> None:
    """A whole database into a file: what is in the write-ahead log as well."""
    with contextlib.closing(sqlite3.connect(of)) as source, contextlib.closing(sqlite3.connect(to)) as target:
        source.backup(target)
