"""The hunt for duplicates: jobs on a cloud's stand-in that loses replies, while controllers are killed at random.

``python -m dev.chaos --provider aws --jobs 500 --kills 10 --seed 7``. Prints the seed; the same seed makes the same
choices (which jobs, which faults, when which controller is killed).
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec

from controller.domain import names
from controller.domain.job import Job, parse
from controller.kube import paths
from controller.kube.client import KubeClient
from controller.stores.sqlite import SqliteStore
from dev.chaos.ledgers import Verdict, cloud_ledger, compare
from dev.emulators import clouds
from dev.emulators.faults import Faults
from dev.processes import Child
from dev.stack import Stack, free_port

TENANT = "hunt"
CREATES_AT_ONCE = 20


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is done in a run. Times in seconds."""

    provider: str
    jobs: int = 500
    kills: int = 5
    controllers: int = 2
    """They share a lease (of the stack's short times): one acts, and is followed when it is killed."""
    faults: Faults
    seed: int
    settle: float = 4.0
    """SUBMIT_SETTLE_SECONDS; must be more than `faults.hidden_seconds`."""
    patience: float = 240.0
    """Until all jobs must have ended."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A run: what was done, what came of it."""

    plan: Plan
    kills: int
    seconds: float
    verdict: Verdict


async def hunt(plan: Plan, folder: Path, say: Callable[[str], None]) -> Outcome:
    """Run it in that folder. Raises TimeoutError where jobs have not ended in time."""
    dice = random.Random(plan.seed)
    begun = time.monotonic()
    stack = Stack(folder, api_port=free_port(0), kube_port=free_port(0), on_line=lambda line: None)
    try:
        await stack.start_kubeapi()
        async with _cloud(plan) as (settings, control), await stack.client() as kube:
            controllers = Controllers(plan, stack, settings, say)
            await controllers.start()
            try:
                creating = asyncio.create_task(_create(kube, plan, random.Random(plan.seed + 1)))
                killing = asyncio.create_task(controllers.kill_at_random(dice))
                async with asyncio.timeout(plan.patience):
                    await creating
                    await killing
                    jobs = await _until_all_ended(kube, plan, say)
            finally:
                await controllers.stop()
            verdict = await _verdict(stack, jobs, control)
    finally:
        await stack.stop()
    return Outcome(plan=plan, kills=controllers.kills, seconds=round(time.monotonic() - begun, 1), verdict=verdict)


class Controllers:
    """The controllers' processes."""

    def __init__(self, plan: Plan, stack: Stack, settings: dict[str, str], say: Callable[[str], None]) -> None:
        self._plan = plan
        self._say = say
        self._env = {
            **stack.env,
            **settings,
            "BATCH_PROVIDER": plan.provider,
            "SUBMIT_SETTLE_SECONDS": str(plan.settle),
            "DUPLICATE_WATCH_SECONDS": str(2 * plan.settle),
            "OBSERVE_MIN_SECONDS": "0.5",
            "OBSERVE_MAX_SECONDS": "2",
        }
        self._running: list[Child] = []
        self.kills = 0

    async def start(self) -> None:
        for number in range(self._plan.controllers):
            self._running.append(await self._start(number))

    async def kill_at_random(self, dice: random.Random) -> None:
        """Kill one and start it again, so many times."""
        while self.kills < self._plan.kills:
            await asyncio.sleep(dice.uniform(0.2, 7.0))  # some right after a takeover, some long after
            number = dice.randrange(self._plan.controllers)
            await self._running[number].kill()
            self.kills += 1
            self._running[number] = await self._start(number)

    async def stop(self) -> None:
        for child in self._running:
            await child.stop()

    async def _start(self, number: int) -> Child:
        env = {**self._env, "WORKER_ID": f"controller-{number}"}
        arguments = ["-m", "api.cli", "operator"]
        return await Child.start(
            f"controller-{number}", arguments, env=env, on_line=self._on_line, ready_text="Watching JennahJobs"
        )

    def _on_line(self, line: str) -> None:
        if "Traceback" in line or "unexpected failure" in line or "second job" in line:
            self._say(line)


@contextlib.asynccontextmanager
async def _cloud(plan: Plan) -> AsyncIterator[tuple[dict[str, str], str]]:
    """The stand-in with its faults: the operator's settings for it, and its side door."""
    stand_in = clouds.STAND_INS[plan.provider]
    ready: list[str] = []
    faults = [text for name, value in msgspec.to_builtins(plan.faults).items() for text in (_option(name), str(value))]
    child = await Child.start(
        plan.provider,
        ["-m", stand_in.module, "--seed", str(plan.seed), *faults],
        env={},
        on_line=lambda line: ready.append(line) if line.startswith("ready:") else None,
        ready_text="ready:",
    )
    try:
        yield stand_in.settings(ready[0]), clouds.control(ready[0])
    finally:
        await child.stop()


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


async def _create(kube: KubeClient, plan: Plan, dice: random.Random) -> None:
    turns = asyncio.Semaphore(CREATES_AT_ONCE)

    async def create(number: int, script: str) -> None:
        async with turns:
            await kube.post(paths.jobs("default"), _object(number, script))

    scripts = [f"sleep {dice.uniform(0.2, 3):.1f}; exit {dice.choice((0, 0, 0, 3))}" for _ in range(plan.jobs)]
    await asyncio.gather(*(create(number, script) for number, script in enumerate(scripts)))


def _object(number: int, script: str) -> dict[str, Any]:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": f"hunt-{number}", "namespace": "default"},
        "spec": {"image": "busybox", "args": ["sh", "-c", script], "tenantId": TENANT, "backoffLimit": 0},
    }


async def _until_all_ended(kube: KubeClient, plan: Plan, say: Callable[[str], None]) -> list[Job]:
    """All jobs, once they have ended and nothing is in doubt any more."""
    told = -1
    while True:
        jobs = [parse(raw) for raw in (await kube.get(paths.jobs("default")))["items"]]
        ended = sum(job.is_finished for job in jobs)
        doubts = sum(job.status.submission is not None for job in jobs)
        if ended == plan.jobs and not doubts:
            return jobs
        if ended * 10 // plan.jobs != told:
            told = ended * 10 // plan.jobs
            say(f"{ended} of {plan.jobs} jobs have ended, {doubts} submissions are or were in doubt")
        await asyncio.sleep(0.5)


async def _verdict(stack: Stack, jobs: list[Job], control: str) -> Verdict:
    store = SqliteStore(stack.database)
    await store.open()
    try:
        rows = {row.job_id: row for row in (await store.list_jobs(TENANT)).jobs}
        audits = {job.job_id: await store.transitions(TENANT, job.job_id) for job in jobs}
    finally:
        await store.close()
    return compare(jobs, rows, audits, await cloud_ledger(control))
