"""What only Kubernetes Jobs have, through the whole stack: the cluster's troubles, and an end that nobody saw."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller.domain import conditions, reasons
from controller.domain.job import Job
from controller.domain.phases import Phase
from controller.domain.records import JobRow
from controller.kube import paths
from controller.kube.client import KubeClient
from controller.stores.sqlite import SqliteStore
from dev.emulators.kubernetes.objects import FAULT
from dev.stack import Stack, free_port
from tests.e2e.client import is_finished, wait_for

HOLD = "example.com/hold"


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    lines: list[str] = []
    env = {"BATCH_PROVIDER": "kubernetes", "UNSCHEDULED_AFTER_SECONDS": "0"}
    made = Stack(tmp_path, api_port=free_port(0), kube_port=free_port(0), on_line=lines.append, env=env)
    async with made.running():
        yield made
    left = [line for line in lines if "Traceback" in line or "unexpected failure" in line]
    assert not left, "\n".join(lines)


async def create(kube: KubeClient, name: str, **spec: Any) -> None:
    body = {
        "apiVersion": "jennah.alphaus.cloud/v1",
        "kind": "JennahJob",
        "metadata": {"name": name},
        "spec": {"image": "busybox", "command": ["sleep", "0.1"], "backoffLimit": 0, **spec},
    }
    await kube.post(paths.jobs("default"), body)


def scheduled(job: Job) -> tuple[str, str]:
    found = conditions.find(job.status.conditions, conditions.SCHEDULED)
    return (found.status, found.reason) if found else ("", "")


async def test_the_clusters_troubles_are_told_and_a_deadline_ends_what_waits(stack: Stack) -> None:
    ends = {"OOMKilled": reasons.OUT_OF_MEMORY, "Evicted": reasons.EVICTED, "Preempted": reasons.COMPLETED}
    waits = {"ImagePullBackOff": reasons.IMAGE_PULL_FAILED, "Unschedulable": reasons.WAITING_FOR_CAPACITY}
    async with await stack.client() as kube:
        for fault in (*ends, *waits):
            await create(kube, fault.lower(), labels={FAULT: fault})
        jobs = await wait_for(kube, map(str.lower, ends), is_finished, "finished")
        assert {name: job.status.reason for name, job in jobs.items()} == {
            fault.lower(): reason for fault, reason in ends.items()
        }
        assert (jobs["oomkilled"].status.phase, jobs["oomkilled"].status.exit_code) == (Phase.FAILED, 137)
        for fault, reason in waits.items():
            await wait_for(kube, [fault.lower()], lambda job, why=reason: scheduled(job) == ("False", why), "told")
        await create(kube, "late", labels={FAULT: "Unschedulable"}, pendingDeadlineSeconds=1)
        late = (await wait_for(kube, ["late"], is_finished, "finished"))["late"]
        assert (late.status.phase, late.status.reason) == (Phase.FAILED, reasons.PENDING_DEADLINE_EXCEEDED)


async def record_of(stack: Stack, job: Job) -> tuple[JobRow, list[str]]:
    """The row of the database, and the phases that the job went through."""
    store = SqliteStore(stack.data_dir / "jennah.db")
    await store.open()
    try:
        tenant = job.status.tenant_id or ""
        row = await store.get_job(tenant, job.job_id)
        assert row is not None
        return row, [one.to_status for one in await store.transitions(tenant, job.job_id)]
    finally:
        await store.close()


async def pods_of(kube: KubeClient, job: Job) -> list[dict[str, Any]]:
    listed = (await kube.get("/api/v1/namespaces/default/pods"))["items"]
    return [pod for pod in listed if pod["metadata"]["labels"].get("jennah.alphaus.cloud/uid") == job.key]


async def test_a_task_that_must_not_run_again_does_not_though_retries_are_left(stack: Stack) -> None:
    """A stand-in's Job controller makes the next Pod ten seconds after the last one, as a real one does."""
    spec: dict[str, dict[str, Any]] = {
        "hangs": {"activeDeadlineSeconds": 1, "command": ["sleep", "600"]},
        "hanging-array": {"activeDeadlineSeconds": 1, "command": ["sleep", "600"], "completions": 2},
        "sidecar": {"activeDeadlineSeconds": 3, "labels": {FAULT: "SidecarRunsOn"}},
        "no-image": {"labels": {FAULT: "InvalidImageName"}},
        "preempted": {"preemptionLimit": 0, "labels": {FAULT: "PreemptedEachTime"}},
        "fails": {"command": ["sh", "-c", "sleep 0.3; exit 3"], "backoffLimit": 0},
    }
    async with await stack.client() as kube:
        for name, fields in spec.items():
            await create(kube, name, **{"backoffLimit": 3, **fields})
        jobs = await wait_for(kube, spec, is_finished, "finished")
        for name, job in jobs.items():
            assert (job.status.phase, job.status.retries) == (Phase.FAILED, None), name
            assert len(await pods_of(kube, job)) == (2 if name == "hanging-array" else 1), name
    assert {name: job.status.reason for name, job in jobs.items()} == {
        "hangs": reasons.DEADLINE_EXCEEDED,
        "hanging-array": reasons.DEADLINE_EXCEEDED,
        "sidecar": reasons.DEADLINE_EXCEEDED,
        "no-image": reasons.IMAGE_PULL_FAILED,
        "preempted": reasons.PREEMPTED,
        "fails": reasons.NON_ZERO_EXIT,
    }
    for name, job in jobs.items():
        row, path = await record_of(stack, job)
        assert row.retry_count == 0, name
        assert path == sorted(path, key=[phase.wire for phase in Phase].index), f"{name} went back"
    assert "the program ended with exit code 0" in (jobs["sidecar"].status.message or "")
    assert (jobs["sidecar"].status.exit_code, jobs["preempted"].status.preemptions) == (None, 1)


async def test_why_a_job_waited_is_in_its_last_message_also_where_its_end_takes_a_while(stack: Stack) -> None:
    async with await stack.client() as kube:
        await create(kube, "typo", labels={FAULT: "ImagePullBackOff"}, pendingDeadlineSeconds=3)
        await wait_for(kube, ["typo"], lambda job: scheduled(job) == ("False", reasons.IMAGE_PULL_FAILED), "told")
        batch = (await wait_for(kube, ["typo"], lambda job: bool(job.status.resource_path), "sent"))["typo"]
        path = batch.status.resource_path
        await kube.merge_patch(path, {"metadata": {"finalizers": [HOLD]}})
        is_asked = lambda job: conditions.is_true(job.status.conditions, conditions.CANCELLING)  # noqa: E731
        held = (await wait_for(kube, ["typo"], is_asked, "asked to end"))["typo"]
        assert scheduled(held) == ("False", reasons.IMAGE_PULL_FAILED)
        await kube.merge_patch(path, {"metadata": {"finalizers": None}})
        ended = (await wait_for(kube, ["typo"], is_finished, "finished"))["typo"]
        assert ended.status.reason == reasons.PENDING_DEADLINE_EXCEEDED
        assert "ImagePullFailed" in (ended.status.message or "")


async def test_a_cancelled_job_whose_job_went_while_no_operator_ran_is_cancelled(stack: Stack) -> None:
    async with await stack.client() as kube:
        await create(kube, "j", command=["sleep", "600"])
        job = (await wait_for(kube, ["j"], lambda job: job.status.phase is Phase.RUNNING, "running"))["j"]
        batch = job.status.resource_path
        await kube.merge_patch(batch, {"metadata": {"finalizers": [HOLD]}})
        await kube.merge_patch(paths.job("default", "j"), {"spec": {"cancel": True}})
        is_asked = lambda job: conditions.is_true(job.status.conditions, conditions.CANCELLING)  # noqa: E731
        await wait_for(kube, ["j"], is_asked, "asked to end")
        await stack.operator.kill()
        await kube.merge_patch(batch, {"metadata": {"finalizers": None}})
        listed = batch.rpartition("/")[0]
        while (await kube.get(listed))["items"]:
            pass
        await stack.start_operator()
        ended = (await wait_for(kube, ["j"], is_finished, "finished"))["j"]
        assert (ended.status.phase, ended.status.reason) == (Phase.CANCELLED, reasons.CANCELLED)
