"""``python -m dev.bench.failover``: how long nobody acts when the leader is stopped (SIGTERM) or killed (SIGKILL).

Two operators on the in-memory API server and the stand-in of Google Cloud Batch, with the lease's times of production.
A job is created in the moment of the signal. *leads*: from the signal until the other says that it leads; *acts*: until
that job is at the service, as its status says.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from controller.domain import names
from controller.domain.job import parse
from controller.kube import paths
from controller.kube.client import KubeClient
from dev.bench import results
from dev.processes import Child
from dev.stack import Stack, free_port

ORIGINAL_SECONDS = (26, 31)
"""kill -9 of the original worker, until another took over (contract §4)."""
POLL_SECONDS = 0.02
LIMIT_SECONDS = 120.0


class Pair:
    """Two operators; one leads."""

    def __init__(self, stack: Stack, ttl: int, interval: float) -> None:
        self._env = {
            **stack.env,
            "WORKER_LEASE_TTL_SECONDS": str(ttl),
            "WORKER_CLAIM_INTERVAL_SECONDS": str(interval),
        }
        self._running: dict[str, Child] = {}
        self._said: dict[str, list[str]] = {}
        self._news = asyncio.Event()
        self.leader = ""

    async def start(self, name: str, until: str) -> None:
        """Start it, and wait until it says that."""
        lines = self._said[name] = []

        def on_line(line: str) -> None:
            lines.append(line)
            self._news.set()

        env = {**self._env, "WORKER_ID": name}
        self._running[name] = await Child.start(
            name, ["-m", "api.cli", "operator"], env=env, on_line=on_line, ready_text="Watching JennahJobs"
        )
        await self._until(lambda: any(until in line for line in lines))
        if until.startswith("Leading"):
            self.leader = name

    async def end_the_leader(self, *, is_kill: bool) -> "asyncio.Task[None]":
        """Send the signal, and do not wait for the end."""
        child = self._running.pop(self.leader)
        return asyncio.create_task(child.kill() if is_kill else child.stop())

    async def next_leader(self) -> None:
        [(name, _)] = self._running.items()
        await self._until(lambda: any(line.startswith("Leading as") for line in self._said[name]))
        self.leader = name

    async def stop(self) -> None:
        for child in self._running.values():
            await child.stop()

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_SECONDS):
            while not condition():
                self._news.clear()
                await self._news.wait()


async def measure(kills: int, ttl: int, interval: float, folder: Path) -> dict[str, dict[str, list[float]]]:
    """Seconds by signal, *leads* and *acts*."""
    found: dict[str, dict[str, list[float]]] = {}
    stack = Stack(
        folder,
        api_port=free_port(0),
        kube_port=free_port(0),
        on_line=lambda line: None,
        env={"BATCH_PROVIDER": "gcp"},
    )
    try:
        await stack.start_kubeapi()
        await stack.start_cloud()
        pair = Pair(stack, ttl, interval)
        try:
            await pair.start("operator-0", "Leading as")
            await pair.start("operator-1", "standing by")
            async with await stack.client() as kube:
                for signal in ("SIGTERM", "SIGKILL"):
                    times = found[signal] = {"leads": [], "acts": []}
                    for number in range(kills):
                        ended, begun = pair.leader, time.monotonic()
                        ending = await pair.end_the_leader(is_kill=signal == "SIGKILL")
                        acting = asyncio.create_task(_submitted(kube, f"{signal.lower()}-{number}"))
                        await pair.next_leader()
                        times["leads"].append(time.monotonic() - begun)
                        await acting
                        times["acts"].append(time.monotonic() - begun)
                        await ending
                        print(f"{signal} {number}: {times['leads'][-1]:.2f} s, {times['acts'][-1]:.2f} s", flush=True)
                        await pair.start(ended, "standing by")
        finally:
            await pair.stop()
    finally:
        await stack.stop()
    return found


async def _submitted(kube: KubeClient, name: str) -> None:
    """Create that job, and wait until it is at the service."""
    body = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"image": "busybox", "args": ["sleep", "600"]},
    }
    await kube.post(paths.jobs("default"), body)
    while not parse(await kube.get(paths.job("default", name))).is_submitted:
        await asyncio.sleep(POLL_SECONDS)


def summary(seconds: list[float]) -> dict[str, float]:
    """Minimum, median and maximum."""
    figures = {"min": min(seconds), "median": statistics.median(seconds), "max": max(seconds)}
    return {name: round(value, 2) for name, value in figures.items()}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.bench.failover", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="of each kind")
    parser.add_argument("--ttl", type=int, default=15, help="WORKER_LEASE_TTL_SECONDS")
    parser.add_argument("--interval", type=float, default=2.0, help="WORKER_CLAIM_INTERVAL_SECONDS")
    parser.add_argument("--results", type=Path, default=results.FOLDER)
    found = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="jennah-failover-") as folder:
        times = asyncio.run(measure(found.kills, found.ttl, found.interval, Path(folder)))
    result = {
        "lease_ttl_seconds": found.ttl,
        "lease_interval_seconds": found.interval,
        "kills_of_each": found.kills,
        "seconds": {signal: {what: summary(values) for what, values in both.items()} for signal, both in times.items()},
        "original_seconds_after_kill": ORIGINAL_SECONDS,
    }
    results.write("failover", result, found.results)
    print(json.dumps(result["seconds"], indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
