"""A user of the stack: calls, and waits that end as soon as what they wait for is there."""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import aiohttp

from controller.domain.job import Job, parse
from controller.domain.phases import Phase
from controller.kube import paths
from controller.kube.client import KubeClient, items_of

RPC = "/jennah.v1.DeploymentService/"
LIMIT_SECONDS = 40.0


async def logs(kubeconfig: Path, *arguments: str) -> tuple[int, str, str]:
    """``jennah logs``: its exit code, and what it writes to stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "api.cli", "logs", *arguments),
        env={"KUBECONFIG": str(kubeconfig), "PATH": os.environ["PATH"]},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def call(url: str, method: str, request: dict[str, Any], tenant: str = "t") -> dict[str, Any]:
    """One call of the API; fails the test for an error."""
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}{RPC}{method}", json=request, headers={"X-Tenant-Id": tenant}) as response,
    ):
        reply: dict[str, Any] = await response.json()
        assert response.status == 200, reply
        return reply


async def submit(url: str, script: str, **more: Any) -> str:
    """Submit a shell script; the job's id."""
    request = {"image_uri": "busybox", "commands": ["sh", "-c", script], **more}
    return str((await call(url, "SubmitJob", request))["jobId"])


def until_told(marks: Path) -> str:
    """A script that notes each of its runs, and runs until `let_go`: however slow the machine is."""
    return f"echo ran >> {marks}/$JENNAH_JOB_ID; until [ -e {marks}/go ]; do sleep 0.1; done"


def let_go(marks: Path) -> None:
    """Have the scripts of `until_told` end."""
    (marks / "go").touch()


async def wait_for(
    kube: KubeClient,
    names: Iterable[str],
    condition: Callable[[Job], bool],
    what: str,
    namespace: str = "default",
    limit: float = LIMIT_SECONDS,
) -> dict[str, Job]:
    """The jobs of those job ids, or names where kubectl made them, once the condition holds for all of them."""
    wanted, end, jobs = set(names), time.monotonic() + limit, {}
    while time.monotonic() < end:
        listed = await kube.get(paths.jobs(namespace))
        found = {job.spec.job_id or job.metadata.name: job for job in map(parse, items_of(listed))}
        jobs = {name: job for name, job in found.items() if name in wanted}
        if len(jobs) == len(wanted) and all(map(condition, jobs.values())):
            return jobs
        await asyncio.sleep(0.1)
    raise AssertionError(f"not {what} in {limit:g} s: {[(n, j.status.phase) for n, j in jobs.items()]}")


def is_finished(job: Job) -> bool:
    return job.is_finished


def is_running(job: Job) -> bool:
    return job.status.phase is Phase.RUNNING
