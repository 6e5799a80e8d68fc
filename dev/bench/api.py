"""SubmitJob under load, beside what a bare client reaches that creates the same resources itself, in the same run.

``python -m dev.bench.api``: the in-memory API server and ``jennah api`` as processes, SQLite, no operator. The two ways
take turns. Without env_vars, so that one submission is one Kubernetes write in both. The bare client has the API
server's machine to itself but for its own process; SubmitJob shares it with the load, which is therefore the cheapest
that there is: callers with prepared requests, each on a connection of its own, as the Gateway's (Go) cost next to
nothing as well.
"""

import argparse
import asyncio
import itertools
import os
import statistics
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from api import mapping
from controller.kube import paths
from controller.kube.client import KubeClient
from dev.bench import results, usage
from dev.bench.callers import Connection, request
from dev.bench.installation import TENANT
from dev.stack import Stack, free_port

AIM_RATIO, AIM_P50_MS = 0.6, 20.0
TURNS = 4

Call = Callable[[str], Awaitable[bool]]
"""Submits a job of that id; whether it worked."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.bench.api", description="SubmitJob under load")
    parser.add_argument("--callers", type=int, default=50)
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="of load through the API; the bare client gets a half"
    )
    options = parser.parse_args()
    result = asyncio.run(measure(options.callers, options.seconds))
    print(results.write("api", result).read_text(), end="")
    return 0


async def measure(callers: int, seconds: float) -> dict[str, object]:
    """The figures of both ways, in turns, and what they were measured on."""
    with tempfile.TemporaryDirectory(prefix="jennah-bench-") as folder:
        stack = Stack(Path(folder), api_port=free_port(0), kube_port=free_port(0), on_line=lambda line: None)
        try:
            await stack.start_kubeapi()
            await stack.start_api()
            assert stack.api is not None and stack.kubeapi is not None
            pids = {"api": stack.api.process.pid, "api_server": stack.kubeapi.process.pid, "load": os.getpid()}
            bare, api, few = Load(pids), Load(pids), Load(pids)
            async with await stack.client() as kube:
                by_hand = [bare_call(kube)] * callers
                through_api = [api_call(await Connection.open(stack.api_port)) for _ in range(callers)]
                await Load(pids).run(through_api, 2.0)  # warm-up
                for _ in range(TURNS):
                    await bare.run(by_hand, seconds / 2 / TURNS)
                    await api.run(through_api, seconds / TURNS)
                await few.run(through_api[:10], seconds / 2)
        finally:
            await stack.stop()
    return {
        "api": {"callers": callers, **api.summary()},
        "api_10_callers": few.summary(),
        "bare_client": {"callers": callers, **bare.summary()},
        "ratio_to_bare_client": round(api.per_second / bare.per_second, 3),
        "aims": {"ratio_to_bare_client": AIM_RATIO, "p50_ms_at_10_callers": AIM_P50_MS},
    }


def api_call(connection: Connection) -> Call:
    """Through the API."""

    async def call(job_id: str) -> bool:
        return await connection.send(request(job_id))

    return call


def bare_call(kube: KubeClient) -> Call:
    """The same resource, posted by a bare client."""

    async def call(job_id: str) -> bool:
        spec = mapping.job_spec(request(job_id), tenant_id=TENANT, job_id=job_id, secret_name="")
        body = mapping.job_object(spec, namespace="default", at=datetime.now(UTC), is_new_id=False)
        await kube.post(paths.jobs("default"), body)
        return True

    return call


class Load:
    """What became of the calls of one way, over all its turns."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        """`pids` by the name under which their CPU time is told."""
        self._pids = pids
        self._latencies: list[float] = []
        self._errors = 0
        self._took = 0.0
        self._cpu: Counter[str] = Counter()

    async def run(self, callers: Sequence[Call], seconds: float) -> None:
        """All those callers for so long, each with one call after the other."""
        before = self._cpu_seconds()
        begin = time.perf_counter()
        prefix, numbers = uuid.uuid4().hex[:8], itertools.count()

        async def caller(call: Call) -> None:
            while time.perf_counter() - begin < seconds:
                start = time.perf_counter()
                self._errors += not await call(f"{prefix}-{next(numbers)}")
                self._latencies.append((time.perf_counter() - start) * 1000)

        await asyncio.gather(*map(caller, callers))
        self._took += time.perf_counter() - begin
        self._cpu.update(self._cpu_seconds() - before)

    @property
    def per_second(self) -> float:
        return len(self._latencies) / self._took

    def summary(self) -> dict[str, object]:
        """Rate, latencies in milliseconds, errors, and the CPU time that one call took of each process."""
        cuts = statistics.quantiles(self._latencies, n=100)
        return {
            "per_second": round(self.per_second, 1),
            "p50_ms": round(cuts[49], 1),
            "p95_ms": round(cuts[94], 1),
            "p99_ms": round(cuts[98], 1),
            "errors": self._errors,
            "cpu_ms": {name: round(self._cpu[name] * 1000 / len(self._latencies), 3) for name in self._pids},
        }

    def _cpu_seconds(self) -> Counter[str]:
        return Counter({name: usage.cpu_seconds(pid) for name, pid in self._pids.items()})


if __name__ == "__main__":
    raise SystemExit(main())
