"""The whole system on moto's server: AWS Batch as others understand it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.domain import conditions, reasons
from controller.domain.phases import Phase
from dev import stack as stacks
from dev.stack import Stack
from tests.contract import moto_batch
from tests.e2e.client import call, is_finished, submit, wait_for


@pytest.fixture
async def moto() -> AsyncIterator[str]:
    with moto_batch.serving() as url:
        yield url


@pytest.fixture
async def stack(moto: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stack]:
    monkeypatch.setenv("AWS_BATCH_ENDPOINT", moto)  # so that no stand-in of ours is started
    queue, _ = moto_batch.make_queues(moto)
    env = {
        "BATCH_PROVIDER": "aws",
        "BATCH_REGION": moto_batch.REGION,
        "AWS_JOB_QUEUE": queue,
        "AWS_CALLS_PER_SECOND": "100",
        "OBSERVE_MIN_SECONDS": "0.2",
        "OBSERVE_MAX_SECONDS": "1",
        "CANCEL_WAIT_SECONDS": "0.1",
    }
    lines: list[str] = []
    made = Stack(tmp_path, api_port=stacks.free_port(0), kube_port=stacks.free_port(0), on_line=lines.append, env=env)
    async with made.running():
        yield made
    left = [line for line in lines if "Traceback" in line or "unexpected failure" in line]
    assert not left, "\n".join(lines)


async def test_jobs_complete_fail_and_are_cancelled(stack: Stack, moto: str) -> None:
    good = [await submit(stack.api_url, "exit 0") for _ in range(4)]
    array = await submit(stack.api_url, "exit 0", env_vars={"JENNAH_TASK_COUNT": "3"})
    async with await stack.client() as kube:
        jobs = await wait_for(kube, [*good, array], is_finished, "finished")
        assert {job.status.phase for job in jobs.values()} == {Phase.COMPLETED}
        assert len({job.status.resource_path for job in jobs.values()}) == 5
        assert (jobs[array].status.tasks.total, jobs[array].status.tasks.succeeded) == (3, 3)
        moto_batch.play(moto, has_docker=True)
        cancelled, failed = [await submit(stack.api_url, "sleep 600") for _ in range(2)]
        await wait_for(kube, [cancelled, failed], lambda job: bool(job.status.resource_path), "submitted")
        await call(stack.api_url, "CancelJob", {"job_id": cancelled})
        await wait_for(
            kube,
            [cancelled],
            lambda job: conditions.find(job.status.conditions, conditions.CANCELLING) is not None,
            "being cancelled",
        )
        moto_batch.fail_waiting(moto)
        jobs = await wait_for(kube, [cancelled, failed], is_finished, "finished")
    assert jobs[cancelled].status.phase is Phase.CANCELLED
    assert (jobs[failed].status.phase, jobs[failed].status.reason) == (Phase.FAILED, reasons.FAILED)
    listed = moto_batch.client(moto, "batch").describe_jobs(jobs=[])["jobs"]
    assert len([job for job in listed if ":" not in job["jobId"]]) == 7, "each was submitted once"
