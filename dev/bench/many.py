"""The parts cold, idle and detect: an operator beside many active jobs, of which few or none change.

The jobs are seeded. The operator starts and finds them (cold), and is left alone (idle): ``jennah operator`` with the
adapter of Google Cloud Batch, on its stand-in. Of the same jobs at `InstantProvider` some end (detect).
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from controller.domain.job import Job
from dev.bench import completions, seeding, usage
from dev.bench.installation import Cpu, Installation, installation
from dev.bench.results import percentiles
from dev.processes import Child

PARTS = ("cold", "idle", "detect")
SIZES: Mapping[str, Sequence[int]] = {"cold": (10_000, 50_000), "idle": (1_000, 10_000, 50_000), "detect": (10_000,)}
INTERVALS = {"OBSERVE_MIN_SECONDS": "5", "OBSERVE_MAX_SECONDS": "30"}
"""Those of a cloud, which are the defaults."""
AIMS: Mapping[str, object] = {
    "cold": {"seconds_at_10000": 15, "writes_but_for_the_lease": 0},
    "idle": {
        "10000": {"cpu_share": 0.1, "rss_mib": 300, "cloud_calls_a_round": 20},
        "50000": {"cpu_share": 0.35, "rss_mib": 900},
    },
    "detect": {"p50_seconds": float(INTERVALS["OBSERVE_MIN_SECONDS"]) / 2 + 1, "p99_seconds": 5 + 2},
}
POLL_SECONDS = 0.2
SETTLE_SECONDS = 10.0
ENDS_A_SECOND = 5
SEED = 1

Say = Callable[[str], None]


async def measure(
    parts: Sequence[str],
    *,
    sizes: Sequence[int],
    seconds: float,
    kubeconfig: Path | None,
    say: Say,
    intervals: Mapping[str, str] = INTERVALS,
) -> dict[str, dict[str, object]]:
    """The figures of those parts, by the number of jobs. `sizes`: only those; none: all that a part has."""
    wanted = {part: tuple(sizes) or SIZES[part] for part in parts}
    found: dict[str, dict[str, object]] = {part: {} for part in parts}

    def keep(part: str, size: int, figures: dict[str, object]) -> None:
        if part in parts and size in wanted[part]:
            found[part][str(size)] = figures
            say(f"{part} with {size} jobs: {figures}")

    for size in sorted({size for part in parts if part != "detect" for size in wanted[part]}):
        async with seeding.gcp() as (run, cloud), installation(kubeconfig=kubeconfig) as made:
            say(f"seeding {size} jobs")
            await seeding.seed(made, size, run)
            operator, figures = await cold(made, size, {**cloud, **intervals})
            keep("cold", size, figures)
            if "idle" in parts and size in wanted["idle"]:
                keep("idle", size, await idle(made, operator, size, seconds))
    for size in wanted.get("detect", ()):
        async with installation(kubeconfig=kubeconfig) as made:
            say(f"seeding {size} jobs")
            seeded = await seeding.seed(made, size, seeding.run_instantly)
            await made.start_operator(intervals)
            await has_looked_at_all(made, size)
            while (await made.operator_metrics()).get('jennah_observed_jobs{provider="gcp"}', 0) < size:
                await asyncio.sleep(POLL_SECONDS)  # until a round has told the operator how they all stand
            keep("detect", size, await detect(made, seeded, seconds, intervals))
    for part in parts:
        found[part]["aims"] = AIMS[part]
    if "idle" in parts:
        found["idle"]["seconds"] = seconds
    return found


async def cold(made: Installation, size: int, settings: Mapping[str, str]) -> tuple[Child, dict[str, object]]:
    """Start the operator, and wait until it has looked at each job."""
    version, begin = await made.version(), time.monotonic()
    operator = await made.start_real_operator(settings)
    watches = time.monotonic() - begin
    await has_looked_at_all(made, size)
    took = time.monotonic() - begin
    calls, writes = await made.operator_calls(), await made.version() - version
    leases = calls.get("PUT", 0) + calls.get("POST", 0)
    return operator, {
        "seconds": round(took, 2),
        "seconds_until_it_watches": round(watches, 2),
        "cpu_seconds": round(usage.cpu_seconds(operator.process.pid), 2),
        "rss_mib": usage.rss_mib(operator.process.pid),
        "kubernetes_calls": calls,
        "writes_but_for_the_lease": writes - leases,
    }


async def has_looked_at_all(made: Installation, size: int) -> None:
    """Until the operator has."""
    while True:
        metrics = await made.operator_metrics()
        done = sum(value for name, value in metrics.items() if name.startswith("jennah_reconciles_total"))
        if done >= size and metrics["jennah_queue_depth"] == 0:
            return
        await asyncio.sleep(POLL_SECONDS)


async def idle(made: Installation, operator: Child, size: int, seconds: float) -> dict[str, object]:
    """Leave it alone."""
    await asyncio.sleep(min(SETTLE_SECONDS, seconds))
    pid = operator.process.pid
    version, calls, cloud, rounds = (
        await made.version(),
        await made.operator_calls(),
        await made.cloud_calls(),
        await _rounds(made),
    )
    cpu = Cpu(operator=pid)
    await asyncio.sleep(seconds)
    share = cpu.shares()["operator"]
    after = await made.operator_calls()
    asked = sum((await made.cloud_calls()).values()) - sum(cloud.values())
    minutes, rounds = seconds / 60, await _rounds(made) - rounds
    return {
        "cpu_share": share,
        "cpu_share_of_10000_jobs": round(share * 10_000 / size, 4),
        "rss_mib": usage.rss_mib(pid),
        "observation_rounds": rounds,
        "cloud_calls_a_minute": round(asked / minutes, 1),
        "cloud_calls_a_round": round(asked / max(rounds, 1), 1),
        "kubernetes_calls_a_minute": {
            method: round((count - calls.get(method, 0)) / minutes, 1) for method, count in after.items()
        },
        "kubernetes_writes_a_minute": round((await made.version() - version) / minutes, 1),
    }


async def _rounds(made: Installation) -> float:
    metrics = await made.operator_metrics()
    return sum(value for name, value in metrics.items() if name.startswith("jennah_observation_seconds_count"))


async def detect(
    made: Installation, seeded: Sequence[Job], seconds: float, intervals: Mapping[str, str]
) -> dict[str, object]:
    """Have a job end while nothing moves, then others at any time, and see when Kubernetes tells."""
    dice = random.Random(SEED)
    first, *ending = dice.sample(list(seeded), min(int(seconds * ENDS_A_SECOND), len(seeded) // 2))
    ended: dict[str, float] = {}
    async with completions.watching(made) as completed:
        begun = await made.end_at_cloud([first.external_name])
        await completed.wait_for(1)
        for job in ending:
            ended[job.metadata.name] = await made.end_at_cloud([job.external_name])
            await asyncio.sleep(dice.expovariate(ENDS_A_SECOND))
        await completed.wait_for(1 + len(ending))
    latencies = [completed.at[name] - at for name, at in ended.items()]
    return {
        "seconds_of_the_first_after_quiet": round(completed.at[first.metadata.name] - begun, 2),
        "longest_interval_seconds": float(intervals["OBSERVE_MAX_SECONDS"]),
        "changes": len(latencies),
        "seed": SEED,
        "observation_interval_seconds": float(intervals["OBSERVE_MIN_SECONDS"]),
        "seconds_until_in_kubernetes": percentiles(latencies, 2),
    }
