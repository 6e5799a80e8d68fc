"""``make run BATCH_PROVIDER=…``: the whole system on a cloud's stand-in, as a user sees it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.domain.phases import Phase
from dev.emulators import clouds
from dev.stack import Stack, free_port
from tests.e2e.client import call, is_finished, logs, submit, wait_for
from tests.recorder import Recorder


@pytest.fixture(params=sorted(clouds.STAND_INS))
async def stack(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stack]:
    lines: list[str] = []
    env = {"BATCH_PROVIDER": request.param, "OBSERVE_MIN_SECONDS": "0.2", "OBSERVE_MAX_SECONDS": "1"}
    async with Recorder("127.0.0.1").running() as proxy:
        env |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), f"http://{proxy.address}")
        made = Stack(tmp_path, api_port=free_port(0), kube_port=free_port(0), on_line=lines.append, env=env)
        async with made.running():
            yield made
            # Up to here: what kopf prints while its connections are being closed is no failure of ours.
            ran = [line for line in lines if "Traceback" in line]
        assert proxy.lines == [], "all of it is on loopback"
    left = [line for line in lines if "unexpected failure" in line or "secret-value" in line]
    assert not ran + left, "\n".join(lines)


async def test_jobs_come_to_their_ends_and_are_linked_to_the_console(stack: Stack) -> None:
    env = {"env_vars": {"TOKEN": "secret-value"}}
    good = await submit(stack.api_url, "sleep 0.2; exit 0", **env)
    async with await stack.client() as kube:
        jobs = await wait_for(kube, [good], is_finished, "finished")
        status = jobs[good].status
        assert (status.phase, status.exit_code) == (Phase.COMPLETED, 0)
        assert status.resource_path
        if status.provider == "kubernetes":  # it has no console, and its stand-in has logs
            assert await logs(stack.kubeconfig, good) == (0, "sh -c sleep 0.2; exit 0\n", "")
        else:
            assert status.console_url.startswith("https://")
        array = await submit(stack.api_url, "exit 0", env_vars={"JENNAH_TASK_COUNT": "4"})
        jobs = await wait_for(kube, [array], is_finished, "finished")
        assert (jobs[array].status.tasks.total, jobs[array].status.tasks.succeeded) == (4, 4)
    row = (await call(stack.api_url, "GetJob", {"job_id": good}))["job"]
    assert (row["status"], row["gcpBatchJobPath"]) == ("COMPLETED", status.resource_path)


async def test_a_job_that_runs_is_cancelled_and_another_deleted(stack: Stack) -> None:
    cancelled, deleted = await asyncio.gather(*(submit(stack.api_url, "sleep 600") for _ in range(2)))
    async with await stack.client() as kube:
        await wait_for(kube, [cancelled, deleted], lambda job: job.status.phase is Phase.RUNNING, "running")
        await call(stack.api_url, "CancelJob", {"job_id": cancelled})
        await call(stack.api_url, "DeleteJob", {"job_id": deleted})
        jobs = await wait_for(kube, [cancelled], is_finished, "finished")
        assert jobs[cancelled].status.phase is Phase.CANCELLED
        while [name for name in await _names(kube) if name == deleted]:
            await asyncio.sleep(0.1)
    listed = (await call(stack.api_url, "ListJobs", {}))["jobs"]
    assert [(job["jobId"], job["status"]) for job in listed] == [(cancelled, "CANCELLED")]


async def _names(kube: object) -> list[str]:
    listed = await kube.get("/apis/jennah.alphaus.cloud/v1/namespaces/default/jennahjobs")
    return [item["metadata"]["name"] for item in listed["items"]]
