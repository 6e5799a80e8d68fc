"""The API with a real controller beside it (`jennah operator`, local provider): a job's whole life by calls."""

import asyncio
import contextlib
import os
import sys
import uuid
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from controller.domain.errors import NotFound
from controller.kube.client import KubeClient
from controller.stores.sqlite import SqliteStore
from tests.api.harness import IMAGE, TENANT, Api, api_settings, serving

ROOT = Path(__file__).parents[2]
LONG = ["sleep", "60"]


@pytest.fixture
async def api(kube: KubeClient, store: SqliteStore, kubeconfig: Path, tmp_path: Path) -> AsyncIterator[Api]:
    async with operator(kubeconfig, tmp_path), serving(kube, store, api_settings(cancel_wait_seconds=10.0)) as running:
        yield running
        for item in await running.objects():  # so that the controller ends the processes
            await running.call("DeleteJob", {"job_id": item["spec"].get("jobId", item["metadata"]["uid"])})
        await until(lambda: nothing_left(running))


@contextlib.asynccontextmanager
async def operator(kubeconfig: Path, folder: Path) -> AsyncIterator[None]:
    environment = os.environ | {
        "KUBECONFIG": str(kubeconfig),
        "BATCH_PROVIDER": "local",
        "JENNAH_ALLOW_LOCAL_PROVIDER": "true",
        "JENNAH_DATA_DIR": str(folder),
        "DB_PROVIDER": "sqlite",
        "DB_ENDPOINT": str(folder / "jennah.db"),
        "LOG_LEVEL": "warning",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "api.cli", "operator"),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            while not (await process.stdout.readline()).startswith(b"Watching"):
                assert process.returncode is None
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait_for(process.wait(), 10)


async def test_a_jobs_whole_life(api: Api) -> None:
    ok, fails, long = (str(uuid.uuid4()) for _ in range(3))
    shell = ["sh", "-c"]
    replies = await asyncio.gather(
        api.submit(
            job_id=ok, commands=[*shell, 'test "$GREETING" = "hello world"'], env_vars={"GREETING": "hello world"}
        ),
        api.submit(job_id=fails, commands=[*shell, "exit 3"]),
        api.submit(job_id=long, commands=LONG),
    )
    assert {reply.json["status"] for reply in replies} == {"PENDING"}
    await until(lambda: has_status(api, ok, "COMPLETED"))
    await until(lambda: has_status(api, long, "RUNNING"))
    assert (await api.call("CancelJob", {"job_id": long})).json["status"] == "CANCELLED"
    assert (await api.call("CancelJob", {"job_id": long})).json["status"] == "CANCELLED"
    assert (await api.call("CancelJob", {"job_id": ok})).code == "invalid_argument"
    again = await api.submit(job_id=long, commands=LONG)
    assert again.json["status"] == "CANCELLED"
    job = (await api.call("GetJob", {"job_id": ok})).json["job"]
    assert job["gcpBatchJobPath"]
    assert datetime.fromisoformat(job["createdAt"]) <= datetime.fromisoformat(job["completedAt"])
    await until(lambda: has_status(api, fails, "FAILED"))
    notes = (await api.call("ListNotifications")).json
    assert {note["jobId"]: note["finalStatus"] for note in notes["notifications"]} == {
        ok: "COMPLETED",
        fails: "FAILED",
        long: "CANCELLED",
    }


async def test_a_running_job_that_is_deleted_leaves_nothing(api: Api) -> None:
    job_id = str(uuid.uuid4())
    await api.submit(job_id=job_id, commands=LONG, env_vars={"A": "1"})
    await until(lambda: has_status(api, job_id, "RUNNING"))
    assert (await api.call("DeleteJob", {"job_id": job_id})).status == 200
    assert (await api.call("GetJob", {"job_id": job_id})).code == "not_found"
    await until(lambda: nothing_left(api))
    assert await api.store.get_job(TENANT, job_id) is None
    assert (await api.call("ListJobs")).json == {}


async def test_a_job_of_kubectl_is_a_job_like_any_other(api: Api) -> None:
    item = await api.apply("by-kubectl", tenantId=TENANT, args=LONG)
    job_id = item["metadata"]["uid"]
    await until(lambda: has_status(api, job_id, "RUNNING"))
    (listed,) = (await api.call("ListJobs")).json["jobs"]
    assert (listed["jobId"], listed["name"], listed["imageUri"]) == (job_id, "by-kubectl", IMAGE)
    assert (await api.call("CancelJob", {"job_id": job_id})).json["status"] == "CANCELLED"
    assert (await api.call("DeleteJob", {"job_id": job_id})).status == 200


async def has_status(api: Api, job_id: str, status: str) -> bool:
    reply = await api.call("GetJob", {"job_id": job_id})
    return reply.status == 200 and reply.json["job"]["status"] == status


async def nothing_left(api: Api) -> bool:
    with contextlib.suppress(NotFound):
        return await api.count() == (0, 0, 0)
    return False


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.02)
