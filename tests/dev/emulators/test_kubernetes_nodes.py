"""The stand-in beside a real Job controller: its Pods are played, Jobs are left to it; and how one is noticed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller.domain.errors import NotFound
from controller.kube.client import KubeClient
from dev.emulators.kubernetes import detection, objects
from dev.emulators.kubernetes.nodes import Nodes
from dev.emulators.kubernetes.watching import OWNED
from tests.kubeapi import serving

JOBS = "/apis/batch/v1/namespaces/default/jobs"
PODS = "/api/v1/namespaces/default/pods"
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[KubeClient]:
    async with serving(tmp_path) as client:
        yield client


async def make_job(client: KubeClient, name: str) -> str:
    """Its uid."""
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
    made = await client.post(JOBS, {"metadata": {"name": name}, "spec": {"template": template}})
    return str(made["metadata"]["uid"])


async def make_pod(client: KubeClient, name: str, uid: str, script: str = "exit 0", fault: str = "") -> None:
    """As the Job controller would."""
    labels = {OWNED: uid, objects.INDEX: "0", **({objects.FAULT: fault} if fault else {})}
    container = {"name": "c", "image": "i", "command": ["sh", "-c", script]}
    spec = {"restartPolicy": "Never", "containers": [container]}
    await client.post(PODS, {"metadata": {"name": name, "labels": labels}, "spec": spec})


async def until_phase(client: KubeClient, name: str, *phases: str) -> Any:
    async with asyncio.timeout(10):
        while (pod := await client.get(f"{PODS}/{name}"))["status"]["phase"] not in phases:
            await asyncio.sleep(0.01)
    return pod


async def test_pods_are_played_and_jobs_are_not(client: KubeClient) -> None:
    async with Nodes(client, step_seconds=0.01).running() as nodes:
        uid = await make_job(client, "j")
        await make_pod(client, "first", uid, "exit 3")
        await until_phase(client, "first", "Failed")
        await make_pod(client, "second", uid)
        await until_phase(client, "second", "Succeeded")
        [entry] = nodes.ledger()
        assert (entry.id, entry.state, entry.exit_code) == (uid, "Active", None), "the Job has not ended"
        assert entry.ran_seconds > 0
        assert "startTime" not in (await client.get(f"{JOBS}/j"))["status"], "its status is another's to write"
        await client.delete(f"{JOBS}/j")
        async with asyncio.timeout(10):
            while nodes.ledger()[0].state != "Deleted":
                await asyncio.sleep(0.01)


async def test_a_pod_that_is_deleted_ends_and_one_that_is_preempted_is_so_once(client: KubeClient) -> None:
    async with Nodes(client, step_seconds=0.01).running() as nodes:
        uid = await make_job(client, "j")
        await make_pod(client, "p1", uid, fault="Preempted")
        pod = await until_phase(client, "p1", "Failed", "Succeeded")
        assert "DisruptionTarget" in {one["type"] for one in pod["status"]["conditions"]}
        await make_pod(client, "p2", uid, "sleep 600", fault="Preempted")
        await until_phase(client, "p2", "Running")
        assert nodes.ledger()[0].ran_seconds >= 1, "it runs"
        await client.delete(f"{PODS}/p2")
        async with asyncio.timeout(10):
            while nodes.ledger()[0].ran_seconds >= 1:
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def telling_jobs_that_they_are_suspended(client: KubeClient) -> AsyncIterator[None]:
    """What a Job controller does with a Job that is made suspended."""

    async def tell() -> None:
        while True:
            for job in (await client.get(JOBS))["items"]:
                status = {"conditions": [objects.condition("Suspended", reason="JobSuspended")]}
                with contextlib.suppress(NotFound):
                    await client.merge_patch(f"{JOBS}/{job['metadata']['name']}/status", {"status": status})
            await asyncio.sleep(0.01)

    task = asyncio.create_task(tell())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_who_runs_is_known_by_what_is_done(client: KubeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease is neither needed nor looked at: kube-controller-manager may run without one."""
    monkeypatch.setattr(detection, "LOOK_SECONDS", 0.01)
    assert not await detection.has_controllers(client), "nobody has ever made an account"
    assert (await client.get(JOBS))["items"] == []
    await client.post(ACCOUNTS, {"metadata": {"name": "default"}})
    async with telling_jobs_that_they_are_suspended(client):
        assert await detection.has_controllers(client)
    assert (await client.get(JOBS))["items"] == []
    monkeypatch.setattr(detection, "WITHIN_SECONDS", 0.05)
    assert not await detection.has_controllers(client), "it ran once, and does no more"
    assert (await client.get(JOBS))["items"] == []
