"""Jobs of the local provider as tests want them, and waits for what becomes of them."""

import asyncio
import os
import signal
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from controller.clock import SystemClock
from controller.domain.job import JobSpec
from controller.domain.resources import ResourceSet
from controller.ports import JobRef, Observation, SubmitRequest
from controller.providers.local.folder import JobFolder
from controller.providers.local.provider import LocalProvider

PATIENCE = 10.0  # seconds
UID = str(uuid.UUID(int=7))
NAME = f"job-{uuid.UUID(UID).hex}"
REF = JobRef(external_name=NAME, uid=UID)


async def end_of_runner(job: JobFolder, *, kill: bool = False) -> None:
    """Until the job's runner has ended, and with `kill` what it ran too."""
    if kill:
        await until(lambda: job.state() is not None or not job.has_runner())
        if job.has_runner():
            os.kill(job.state().runner, signal.SIGKILL)
    await until(lambda: not job.has_runner())
    job.tend(SystemClock().now())


def sh(script: str, *, seconds: int = 60, env: dict[str, str] | None = None, **spec: object) -> SubmitRequest:
    return request_for(("sh", "-c", script), seconds=seconds, env=env, **spec)


def request_for(
    command: tuple[str, ...] | None, *, seconds: int = 60, env: dict[str, str] | None = None, **spec: object
) -> SubmitRequest:
    return SubmitRequest(
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        external_name=NAME,
        uid=UID,
        job_id="my-job",
        tenant_id="my-tenant",
        spec=JobSpec(image="busybox", command=command, **{"backoff_limit": 0, **spec}),
        resources=ResourceSet(max_run_duration_seconds=seconds),
        env=env or {},
    )


def lives(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < give_up, "it did not come"
        await asyncio.sleep(0.01)


async def seen(provider: LocalProvider, holds: Callable[[Observation], bool]) -> Observation:
    """The first observation of which that holds."""
    give_up = time.monotonic() + PATIENCE
    while True:
        observed = await provider.get(REF)
        if observed is not None and holds(observed):
            return observed
        assert time.monotonic() < give_up, f"it did not come; last seen: {observed}"
        await asyncio.sleep(0.01)


async def ended(provider: LocalProvider) -> Observation:
    return await seen(provider, lambda observed: observed.phase.is_terminal)


async def run(provider: LocalProvider, request: SubmitRequest) -> Observation:
    await provider.submit(request)
    return await ended(provider)


def pids_in(file: Path) -> list[int]:
    return [int(word) for word in file.read_text().split()] if file.exists() else []
