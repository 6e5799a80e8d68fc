"""Somebody else's hands, with real processes: finalizers forced off, a namespace deleted, objects edited, made anew."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from controller.domain import names
from controller.domain.errors import Invalid, NotFound
from controller.domain.job import Job, parse, status_to_wire
from controller.domain.phases import Phase
from controller.kube import paths
from controller.kube.client import KubeClient
from dev import stack as stacks
from dev.stack import Stack
from tests.e2e.client import LIMIT_SECONDS, call, submit, wait_for

NAMESPACE = "team"


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """One that ends orphans, and looks for them all the time."""
    lines: list[str] = []
    env = {"ORPHANS": "cancel", "ORPHAN_SWEEP_SECONDS": "1"}
    ports = {"api_port": stacks.free_port(0), "kube_port": stacks.free_port(0)}
    made = Stack(tmp_path / "stack", **ports, on_line=lines.append, env=env)
    try:
        async with made.running():
            yield made
    finally:
        (tmp_path / "go").touch()  # jobs that a failed test left
    assert not [line for line in lines if "Traceback" in line or "unexpected failure" in line], lines


def script(folder: Path) -> str:
    """Lasts until it is ended, or told to go on by a file; leaves its pid, and a mark for each run."""
    return f"echo $$ > {folder}/$JENNAH_JOB_ID; echo $$ >> {folder}/runs; until [ -e {folder}/go ]; do sleep 0.1; done"


def is_alive(folder: Path, job_id: str) -> bool:
    return Path(f"/proc/{(folder / job_id).read_text().strip()}").exists()


async def until(holds: Callable[[], Any], what: str) -> None:
    """Until that is so, plain or awaited."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            held = holds()
            if await held if asyncio.iscoroutine(held) else held:
                return
            await asyncio.sleep(0.1)
    raise AssertionError(what)


async def force_away(kube: KubeClient, name: str, namespace: str = "default") -> None:
    """As ``kubectl patch … finalizers: null`` and ``kubectl delete``."""
    path = paths.job(namespace, name)
    await kube.delete(path)
    await kube.merge_patch(path, {"metadata": {"finalizers": None}})
    with pytest.raises(NotFound):
        await kube.get(path)


async def create(kube: KubeClient, name: str, folder: Path, namespace: str = "default", **spec: object) -> Job:
    body = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": name},
        "spec": {"image": "busybox", "command": ["sh", "-c", script(folder)], "tenantId": "t", **spec},
    }
    return parse(await kube.post(paths.jobs(namespace), body))


async def running(kube: KubeClient, name: str, namespace: str = "default") -> Job:
    async def runs() -> bool:
        return parse(await kube.get(paths.job(namespace, name))).status.phase is Phase.RUNNING

    await until(runs, f"{name} runs")
    return parse(await kube.get(paths.job(namespace, name)))


async def has_status(stack: Stack, job_id: str, status: str, tenant: str = "t") -> bool:
    return bool((await call(stack.api_url, "GetJob", {"job_id": job_id}, tenant))["job"]["status"] == status)


async def test_cloud_jobs_of_objects_that_were_forced_away_end_and_the_gateway_sees_it(
    stack: Stack, tmp_path: Path
) -> None:
    """One while the operator watches, one while it is down, and one that is to be left to itself."""
    watched, unseen = [await submit(stack.api_url, script(tmp_path), name=name) for name in ("a", "b")]
    async with await stack.client() as kube:
        await wait_for(kube, [watched, unseen], lambda job: job.status.phase is Phase.RUNNING, "running")
        left = await create(kube, "left", tmp_path, deletionPolicy="Orphan")
        await running(kube, "left")
        await force_away(kube, watched)
        await stack.operator.stop()  # whatever it has begun to do about it by now
        await force_away(kube, unseen)
        await force_away(kube, "left")
        assert await has_status(stack, unseen, "RUNNING")
        await stack.start_operator()
        for job_id in (watched, unseen):
            await until(lambda job_id=job_id: has_status(stack, job_id, "CANCELLED"), "ended")
            assert not is_alive(tmp_path, job_id)
            job = (await call(stack.api_url, "GetJob", {"job_id": job_id}))["job"]
            assert "its JennahJob was gone" in job["errorMessage"]
    assert is_alive(tmp_path, left.job_id)
    assert await has_status(stack, left.job_id, "RUNNING")
    (tmp_path / "go").touch()
    await until(lambda: has_status(stack, left.job_id, "COMPLETED"), "completed")
    assert len((tmp_path / "runs").read_text().split()) == 3


async def test_a_namespace_that_is_deleted_takes_its_jobs_with_it(stack: Stack, tmp_path: Path) -> None:
    async with await stack.client() as kube:
        await kube.post(
            "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        )
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "env"}, "stringData": {"A": "1"}}
        await kube.post(paths.secrets(NAMESPACE), secret)
        env = [{"secretRef": {"name": "env"}}]
        jobs = [await create(kube, f"job-{n}", tmp_path, NAMESPACE, envFrom=env, tenantId=NAMESPACE) for n in range(3)]
        held = await create(kube, "held", tmp_path, NAMESPACE, suspend=True, tenantId=NAMESPACE)
        for job in jobs:
            await running(kube, job.metadata.name, NAMESPACE)
        await until(lambda: has_status(stack, held.job_id, "PENDING", NAMESPACE), "recorded")
        await kube.delete(paths.namespace(NAMESPACE))

        async def is_gone() -> bool:
            try:
                await kube.get(paths.namespace(NAMESPACE))
            except NotFound:
                return True
            return False

        await until(is_gone, "the namespace goes")
    for job in jobs:
        assert not is_alive(tmp_path, job.job_id)
    for job in (*jobs, held):
        assert await has_status(stack, job.job_id, "CANCELLED", NAMESPACE)


async def test_a_running_job_that_is_edited_stays_what_it_is(stack: Stack, tmp_path: Path) -> None:
    async with await stack.client() as kube:
        await create(kube, "job", tmp_path)
        other = await create(kube, "other", tmp_path)
        job, other = await running(kube, "job"), await running(kube, "other")
        for spec in ({"image": "other"}, {"command": ["true"]}, {"tenantId": "u"}, {"deletionPolicy": "Orphan"}):
            with pytest.raises(Invalid, match="immutable"):
                await kube.merge_patch(paths.job("default", "job"), {"spec": spec})
        edits: list[dict[str, object]] = [
            {"phase": "Completed"},
            {"phase": "Failed", "completedAt": "2026-01-01T00:00:00Z", "transition": 9},
            {"resourcePath": other.status.resource_path, "externalName": other.status.external_name},
            {"conditions": None},
            dict.fromkeys(status_to_wire(job.status)),
        ]
        for edit in edits:
            await kube.merge_patch(paths.job_status("default", "job"), {"status": edit})

            async def is_repaired() -> bool:
                status = parse(await kube.get(paths.job("default", "job"))).status
                return (status.phase, status.resource_path, bool(status.conditions), status.completed_at) == (
                    Phase.RUNNING,
                    job.status.resource_path,
                    True,
                    None,
                )

            await until(is_repaired, f"{edit} is repaired")
        (tmp_path / "go").touch()
        for one in (job, other):
            await until(lambda one=one: has_status(stack, one.job_id, "COMPLETED"), "completed")
    assert len((tmp_path / "runs").read_text().split()) == 2


async def test_an_object_made_anew_under_its_old_name_has_a_cloud_job_of_its_own(stack: Stack, tmp_path: Path) -> None:
    async with await stack.client() as kube:
        old = await create(kube, "job", tmp_path)
        await running(kube, "job")
        await force_away(kube, "job")
        new = await create(kube, "job", tmp_path)
        await running(kube, "job")
        await until(lambda: has_status(stack, old.job_id, "CANCELLED"), "the old one ends")
        assert not is_alive(tmp_path, old.job_id)
        assert is_alive(tmp_path, new.job_id)
        await kube.delete(paths.job("default", "job"))
        await until(lambda: has_status(stack, new.job_id, "CANCELLED"), "the new one ends")
    assert len((tmp_path / "runs").read_text().split()) == 2
