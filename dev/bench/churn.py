"""The part churn: submissions at a steady rate, of jobs that run for a while. Neither backlog nor memory may grow."""

import asyncio
import statistics
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from dev.bench import callers, completions, usage
from dev.bench.callers import Connection
from dev.bench.completions import Completions
from dev.bench.installation import Cpu, Installation, installation
from dev.bench.results import percentiles
from dev.bench.turns import ENVIRONMENT
from dev.processes import Child

RUN_SECONDS = 10.0
CONNECTIONS = 50
SAMPLE_SECONDS = 1.0
AIMS = {"backlog_growth": "none", "rss_growth": "none but for the finished objects that Kubernetes keeps"}

Say = Callable[[str], None]


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands at a moment."""

    backlog: int
    """Jobs that were acknowledged and are not Completed."""
    completed: int
    controller_mib: float
    api_mib: float


class Load:
    """Submits at a steady rate, whatever becomes of it: who is late catches up."""

    def __init__(self, connections: list[Connection]) -> None:
        self._free: asyncio.Queue[Connection] = asyncio.Queue()
        for connection in connections:
            self._free.put_nowait(connection)
        self.acknowledged = 0
        self.milliseconds: list[float] = []

    async def run(self, rate: float, seconds: float) -> None:
        begin = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(int(rate * seconds)):
                due = begin + number / rate
                await asyncio.sleep(max(due - time.monotonic(), 0))
                group.create_task(self._submit(due))

    async def _submit(self, due: float) -> None:
        connection = await self._free.get()
        try:
            if not await connection.send(callers.request(str(uuid.uuid4()), **ENVIRONMENT)):
                raise RuntimeError("SubmitJob was refused")
        finally:
            self._free.put_nowait(connection)
        self.acknowledged += 1
        self.milliseconds.append((time.monotonic() - due) * 1000)


async def measure(
    *,
    rate: float,
    seconds: float,
    database: str,
    kubeconfig: Path | None,
    say: Say,
    settings: Mapping[str, str] = {},
) -> dict[str, object]:
    """The figures of one run. `settings`: of the operator, in place of the defaults."""
    async with installation(kubeconfig=kubeconfig, database=database) as made:
        await made.start_api()
        operator = await made.start_operator(settings, run_seconds=RUN_SECONDS)
        load = Load([await Connection.open(made.api_port) for _ in range(CONNECTIONS)])
        samples: list[Sample] = []
        async with completions.watching(made) as completed:
            cpu = Cpu(controller=operator.process.pid, api=made.api_pid, api_server=made.server_pid)
            sampling = asyncio.create_task(_sample(samples, made, operator, load, completed, say))
            await load.run(rate, seconds)
            shares = cpu.shares()
            sampling.cancel()
            await completed.wait_for(load.acknowledged)
    return figures(samples, load, rate, shares) | {"seconds": seconds, "database": database}


def figures(samples: list[Sample], load: Load, rate: float, shares: dict[str, float]) -> dict[str, object]:
    """The second quarter of the time beside the last: by then as many jobs end as begin."""
    quarter = max(len(samples) // 4, 1)
    early, late = samples[quarter : 2 * quarter] or samples, samples[-quarter:]
    finished = late[-1].completed - early[0].completed

    def means(of: Callable[[Sample], float]) -> dict[str, float]:
        return {name: round(statistics.fmean(map(of, some)), 1) for name, some in (("early", early), ("late", late))}

    grown = late[-1].controller_mib - early[0].controller_mib
    return {
        "submissions_per_second": rate,
        "run_seconds": RUN_SECONDS,
        "acknowledged": load.acknowledged,
        "ms_until_acknowledged": percentiles(load.milliseconds),
        "backlog": means(lambda one: one.backlog),
        "backlog_at_least": rate * RUN_SECONDS,
        "cpu_share": shares,
        "controller_rss_mib": means(lambda one: one.controller_mib),
        "api_rss_mib": means(lambda one: one.api_mib),
        "controller_kib_a_finished_object": round(grown * 1024 / finished, 2) if finished else None,
        "aims": AIMS,
    }


async def _sample(
    samples: list[Sample], made: Installation, operator: Child, load: Load, completed: Completions, say: Say
) -> None:
    while True:
        await asyncio.sleep(SAMPLE_SECONDS)
        samples.append(
            Sample(
                backlog=load.acknowledged - len(completed.at),
                completed=len(completed.at),
                controller_mib=usage.rss_mib(operator.process.pid),
                api_mib=usage.rss_mib(made.api_pid),
            )
        )
        if len(samples) % 30 == 0:
            say(f"churn: {samples[-1]}")
