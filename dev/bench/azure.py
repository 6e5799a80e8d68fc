"""What it costs to observe 10,000 active jobs on Azure Batch: calls, CPU and memory of the adapter's process.

``python -m dev.bench.azure``: against the stand-in as a process of its own. A round is what the observer does: one
`observe` of all jobs, compared with the one before. Rounds while nothing moves, rounds in which a hundredth of the jobs
end, and full lists, as there is one every ten minutes.
"""

import argparse
import asyncio
import statistics
import time
import uuid
from datetime import UTC, datetime

from controller.clock import SystemClock
from controller.cloud_settings import AzureSettings
from controller.domain import names
from controller.domain.job import JobSpec
from controller.domain.resources import ResourceSet
from controller.ports import JobRef, SubmitRequest
from controller.providers.azure import listing
from controller.providers.azure.provider import AzureProvider
from dev.bench import observing, results, usage
from dev.emulators.azure import auth

LIBRARIES = ("azure-batch", "azure-core", "aiohttp", "msgspec")
SUBMITTERS = 32
IDLE_INTERVAL_SECONDS = 30.0
"""OBSERVE_MAX_SECONDS: the pause between two rounds while nothing moves."""
ENVIRONMENT = {f"VARIABLE_{number}": "x" * 40 for number in range(20)}
"""About a kilobyte, as jobs have."""
FOREVER = ("sleep", "1000000")


class SkippingClock(SystemClock):
    """The system's clock, but for what is skipped: a full list is due as soon as it is to be measured."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.skipped


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.bench.azure", description="observing jobs on Azure Batch")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    result: dict[str, object] = {
        "active_jobs": options.jobs,
        **asyncio.run(measure(options.jobs, options.rounds)),
    }
    print(results.write("azure", result, libraries=LIBRARIES).read_text(), end="")
    return 0


async def measure(jobs: int, rounds: int) -> dict[str, object]:
    """The figures."""
    async with observing.stand_in("azure") as endpoint:
        settings = AzureSettings(
            region="westeurope",
            instance="bench",
            subscription_id="subscription",
            resource_group="group",
            account=auth.ACCOUNT,
            account_key=auth.KEY,
            endpoint=endpoint,
            pool="jennah",
            reads_per_second=10_000,
            mutations_per_second=10_000,
        )
        clock = SkippingClock()
        provider = AzureProvider(settings, clock)
        await provider.open()
        before_mib = usage.rss_mib()
        begin = time.perf_counter()
        refs = await submitted(provider, jobs, FOREVER)
        submit_seconds = time.perf_counter() - begin
        await observing.until_all_run(provider, refs)
        quiet = listing.OVERLAP.total_seconds() + 1
        await asyncio.sleep(quiet)  # what has just begun is read again for so long
        await provider.observe(refs)
        idle = await Rounds(provider, refs).run(rounds)
        full = Rounds(provider, refs)
        for _ in range(rounds):
            clock.skipped += listing.FULL_SECONDS + 1
            await full.run(1)
        moving = Rounds(provider, refs)
        for _ in range(rounds):
            await cancelled(provider, refs[: jobs // 100])
            del refs[: jobs // 100]
            refs += await submitted(provider, jobs // 100, FOREVER)
            await moving.run(1)
        await provider.close()
    return {
        "nothing_moves": idle.figures(),
        f"cpu_share_at_a_round_every_{IDLE_INTERVAL_SECONDS:g}_s": round(idle.cpu_a_round / IDLE_INTERVAL_SECONDS, 5),
        "a_hundredth_ends_and_as_many_begin": moving.figures(),
        "full_list": full.figures(),
        "rss_mib": {"after_open": before_mib, "with_all_observed": usage.rss_mib(), "peak": observing.peak_mib()},
        "submits_per_second": round(jobs / submit_seconds),
    }


class Rounds:
    """Rounds of observation, and what they cost."""

    def __init__(self, provider: AzureProvider, refs: list[JobRef]) -> None:
        self._provider = provider
        self._refs = refs
        self._calls = 0.0
        self._cpu = 0.0
        self._walls: list[float] = []

    async def run(self, rounds: int) -> "Rounds":
        for _ in range(rounds):
            calls, cpu, start = observing.calls("list", "get"), time.process_time(), time.perf_counter()
            found = await self._provider.observe(self._refs)
            self._walls.append(time.perf_counter() - start)
            self._cpu += time.process_time() - cpu
            self._calls += observing.calls("list", "get") - calls
            assert len(found) == len(self._refs)
        return self

    @property
    def cpu_a_round(self) -> float:
        return self._cpu / len(self._walls)

    def figures(self) -> dict[str, object]:
        return {
            "calls_per_round": round(self._calls / len(self._walls), 1),
            "cpu_seconds_per_round": round(self.cpu_a_round, 3),
            "round_seconds_median": round(statistics.median(self._walls), 3),
        }


async def submitted(provider: AzureProvider, jobs: int, command: tuple[str, ...]) -> list[JobRef]:
    """That many jobs, and what is known of each afterwards."""
    left, refs = iter(range(jobs)), []

    async def work() -> None:
        for _ in left:
            uid = str(uuid.uuid4())
            request = SubmitRequest(
                created_at=datetime.now(UTC),
                external_name=names.external_name("bench", uid),
                uid=uid,
                job_id=uid,
                tenant_id="bench",
                spec=JobSpec(image="busybox", command=command),
                resources=ResourceSet(cpu_millis=1000, memory_mib=512),
                env=ENVIRONMENT,
            )
            made = await provider.submit(request)
            refs.append(JobRef(external_name=made.external_name, uid=uid, resource_path=made.resource_path))

    await asyncio.gather(*(work() for _ in range(SUBMITTERS)))
    return refs


async def cancelled(provider: AzureProvider, refs: list[JobRef]) -> None:
    left = iter(refs)

    async def work() -> None:
        for ref in left:
            await provider.cancel(ref, reason="bench")

    await asyncio.gather(*(work() for _ in range(SUBMITTERS)))


if __name__ == "__main__":
    raise SystemExit(main())
