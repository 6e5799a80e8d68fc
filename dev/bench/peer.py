"""The same jobs by `plain_kopf`: submitted through the same API, until all are Completed in Kubernetes."""

import asyncio
import time
import uuid

from dev.bench import completions
from dev.bench.callers import Connection, object_name
from dev.bench.installation import Cpu, Installation
from dev.bench.life import CALLERS, WARM_UP_JOBS, submit
from dev.bench.turns import Turn


async def take_turn(made: Installation, jobs: int) -> Turn:
    """As `life.take_turn`, with the plain operator."""
    await made.start_api()
    operator = await made.start_peer()
    connections = [await Connection.open(made.api_port) for _ in range(CALLERS)]
    async with completions.watching(made) as completed:
        await submit(connections, [str(uuid.uuid4()) for _ in range(WARM_UP_JOBS)])
        await completed.wait_for(WARM_UP_JOBS)
        await asyncio.sleep(1.0)
        cpu = Cpu(controller=operator.process.pid, api=made.api_pid, api_server=made.server_pid)
        version, begin = await made.version(), time.monotonic()
        times = await submit(connections, [str(uuid.uuid4()) for _ in range(jobs)])
        await completed.wait_for(WARM_UP_JOBS + jobs)
        seconds = time.monotonic() - begin
        cpu_ms = cpu.ms_a_job(jobs)
    for connection in connections:
        connection.close()
    return Turn(
        jobs=jobs,
        seconds=seconds,
        milliseconds={"completed": [(completed.at[object_name(name)] - at) * 1000 for name, (at, _) in times.items()]},
        cpu_ms_a_job=cpu_ms,
        counts_a_job={"kubernetes_writes": (await made.version() - version) / jobs},
    )
