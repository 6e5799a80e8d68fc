"""What only Kubernetes Jobs have, through the whole stack: the cluster's troubles, and an end that nobody saw."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller.domain import conditions, reasons
from controller.domain.job import Job
from controller.domain.phases import Phase
from controller.kube import paths
from controller.kube.client import KubeClient
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
