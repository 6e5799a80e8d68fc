"""What a job waited for is still told once it was ended for waiting too long: status, record and notification."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.domain import conditions, reasons
from controller.domain.job import Job
from controller.domain.phases import Phase
from controller.kube import paths
from dev.emulators.faults import Dice, Faults
from dev.emulators.gcp.jobs import NO_QUOTA_SCHEDULED_MACHINE, Delays
from dev.emulators.gcp.messages import JobState
from dev.emulators.gcp.server import BatchServer
from dev.emulators.gcp.service import BatchService
from dev.stack import Stack, free_port
from tests.e2e.client import call, is_finished, wait_for

NAME, ENDING_SECONDS = "waits", 3600.0


class Cloud:
    """The service, which takes an hour to end a job: until the test moves its time."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.service = BatchService(
            Dice(Faults(), seed=1), delays=Delays(cancel=ENDING_SECONDS), now=lambda: time.time() + self.ahead
        )
        self.server = BatchServer(self.service)


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    made = Cloud()
    async with made.server.serving():
        yield made


@pytest.fixture
async def stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cloud: Cloud) -> AsyncIterator[Stack]:
    monkeypatch.setenv("GCP_BATCH_ENDPOINT", cloud.server.endpoint)
    env = {
        "BATCH_PROVIDER": "gcp",
        "BATCH_PROJECT_ID": "acme",
        "BATCH_REGION": "us-central1",
        "OBSERVE_MIN_SECONDS": "0.2",
        "OBSERVE_MAX_SECONDS": "1",
        "UNSCHEDULED_AFTER_SECONDS": "0",
    }
    made = Stack(tmp_path, api_port=free_port(0), kube_port=free_port(0), on_line=lambda line: None, env=env)
    async with made.running():
        yield made


async def test_the_quota_that_a_job_waited_for_is_told_to_its_end(stack: Stack, cloud: Cloud) -> None:
    spec = {"image": "busybox", "machineType": NO_QUOTA_SCHEDULED_MACHINE, "pendingDeadlineSeconds": 5}
    manifest = {
        "apiVersion": "jennah.alphaus.cloud/v1",
        "kind": "JennahJob",
        "metadata": {"name": NAME},
        "spec": {**spec, "tenantId": "t"},
    }
    async with await stack.client() as kube:
        await kube.post(paths.jobs("default"), manifest)
        await wait_for(kube, [NAME], _is_being_ended, "being ended")
        assert cloud.service.ledger()[0].state == JobState.CANCELLATION_IN_PROGRESS.name
        seen = cloud.server.calls["ListJobs"]
        while cloud.server.calls["ListJobs"] < seen + 3:  # so that it was observed in that state
            await asyncio.sleep(0.1)
        job = (await wait_for(kube, [NAME], _is_being_ended, "being ended"))[NAME]
        assert _told(job) == ("False", reasons.QUOTA_EXCEEDED)
        cloud.ahead = ENDING_SECONDS
        job = (await wait_for(kube, [NAME], is_finished, "finished"))[NAME]
    assert _told(job) == ("False", reasons.QUOTA_EXCEEDED)
    assert (job.status.phase, job.status.reason) == (Phase.FAILED, reasons.PENDING_DEADLINE_EXCEEDED)
    assert "Quota 'CPUS' exceeded" in str(job.status.message)
    row = (await call(stack.api_url, "GetJob", {"job_id": job.status.job_id}))["job"]
    assert "Quota 'CPUS' exceeded" in row["errorMessage"]
    (notification,) = (await call(stack.api_url, "ListNotifications", {}))["notifications"]
    assert "Quota 'CPUS' exceeded" in notification["errorMessage"]


def _is_being_ended(job: Job) -> bool:
    return conditions.is_true(job.status.conditions, conditions.CANCELLING)


def _told(job: Job) -> tuple[str, str]:
    found = conditions.find(job.status.conditions, conditions.SCHEDULED)
    return (found.status, found.reason) if found else ("", "")
