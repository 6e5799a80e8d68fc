"""N jobs through the whole of Jennah: SubmitJob, the operator, the database, until all are Completed in both.

The API and the operator are the real programs; the batch service is `InstantProvider`, in the operator's process.
"""

import asyncio
import time
import uuid

from dev.bench import callers, completions
from dev.bench.callers import Connection
from dev.bench.installation import Cpu, Installation
from dev.bench.turns import ENVIRONMENT, Turn

CALLERS = 10
WARM_UP_JOBS = 50
OBSERVE = {"OBSERVE_MIN_SECONDS": "0.2", "OBSERVE_MAX_SECONDS": "1"}
"""A service that takes no time is looked at often: what is measured is not how long we wait for it."""


async def take_turn(made: Installation, jobs: int, count: int = CALLERS) -> Turn:
    """Start the programs, submit so many jobs by so many callers, and wait for their end."""
    await made.start_api()
    operator = await made.start_operator(OBSERVE)
    connections = [await Connection.open(made.api_port) for _ in range(count)]
    async with completions.watching(made) as completed:
        await submit(connections, [str(uuid.uuid4()) for _ in range(WARM_UP_JOBS)])
        await completed.wait_for(WARM_UP_JOBS)
        await asyncio.sleep(1.0)  # the warm-up's events
        cpu = Cpu(controller=operator.process.pid, api=made.api_pid, api_server=made.server_pid)
        version, calls = await made.version(), await made.operator_calls()
        names = [str(uuid.uuid4()) for _ in range(jobs)]
        begin = time.monotonic()
        times = await submit(connections, names)
        await completed.wait_for(WARM_UP_JOBS + jobs)
        seconds = time.monotonic() - begin
        cpu_ms = cpu.ms_a_job(jobs)
    writes, after = await made.version() - version, await made.operator_calls()
    recorded = await made.completed_in_database()
    if recorded != WARM_UP_JOBS + jobs:
        raise RuntimeError(f"{recorded} jobs are COMPLETED in the database, and {jobs + WARM_UP_JOBS} in Kubernetes")
    submitted = (await made.provider_stats())["submitted"]
    for connection in connections:
        connection.close()
    sent = {name: at for name, (at, _) in times.items()}
    return Turn(
        jobs=jobs,
        seconds=seconds,
        milliseconds={
            "acknowledged": [(done - at) * 1000 for at, done in times.values()],
            "submitted_to_the_cloud": [(submitted[name] - at) * 1000 for name, at in sent.items()],
            "completed": [(completed.at[callers.object_name(name)] - at) * 1000 for name, at in sent.items()],
        },
        cpu_ms_a_job=cpu_ms,
        counts_a_job={
            "kubernetes_writes": writes / jobs,
            "kubernetes_writes_beyond_create_and_secret": writes / jobs - 2,
            "status_patches": (after["PATCH"] - calls["PATCH"]) / jobs,
            **{
                f"controller_{method}": (after[method] - calls.get(method, 0)) / jobs
                for method in ("GET", "PATCH", "POST")
            },
        },
    )


async def submit(connections: list[Connection], names: list[str]) -> dict[str, tuple[float, float]]:
    """Submit jobs of those ids, one after the other on each connection; when each was sent and acknowledged."""
    times: dict[str, tuple[float, float]] = {}
    left = iter(names)

    async def caller(connection: Connection) -> None:
        for name in left:
            begin = time.time()
            if not await connection.send(callers.request(name, **ENVIRONMENT)):
                raise RuntimeError(f"SubmitJob refused {name}")
            times[name] = begin, time.time()

    await asyncio.gather(*map(caller, connections))
    return times
