"""Observing 10,000 active jobs on AWS Batch: calls, CPU seconds and memory a round.

``python -m dev.bench.aws``: the stand-in is a process of its own, the adapter this one, without its rate limit (what
the calls take at the limit that is the default is told beside them). The jobs are submitted through the adapter, each
with ten variables in its environment, and run for ever.
"""

import argparse
import asyncio
import statistics
import sys
import time
import uuid
from datetime import UTC, datetime

from controller.clock import SystemClock
from controller.cloud_settings import AwsSettings
from controller.domain import names
from controller.domain.job import JobSpec
from controller.domain.phases import Phase
from controller.domain.resources import ResourceSet
from controller.ports import JobRef, SubmitRequest
from controller.providers.aws.provider import AwsProvider
from dev.bench import observing, results, usage

LIBRARIES = ("boto3",)
DEFAULT_CALLS_PER_SECOND = 10
SUBMITTERS = 16
ENDED_SHARE = 100
"""One job in so many ends between two rounds of the busy kind."""

TOTALS = ("calls", "cpu_seconds", "seconds", "seconds_at_default_rate_at_least")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.bench.aws", description="observation of many AWS Batch jobs")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    result = asyncio.run(measure(options.jobs, options.rounds))
    print(results.write("aws", result, libraries=LIBRARIES).read_text(), end="")
    return 0


async def measure(jobs: int, rounds: int) -> dict[str, object]:
    """The figures of the first rounds, of quiet ones, and of ones in which jobs end."""
    async with observing.stand_in("aws", "--seed", "1") as url:
        settings = AwsSettings(
            region="eu-west-1",
            instance="bench",
            job_queue="jennah",
            endpoint=url,
            calls_per_second=10_000,
            submits_per_second=10_000,
        )
        provider = AwsProvider(settings, SystemClock())
        await provider.open()
        empty = usage.rss_mib()
        begin = time.perf_counter()
        refs = await submit(provider, jobs)
        submits_per_second = jobs / (time.perf_counter() - begin)
        await asyncio.sleep(1)  # until all of them run
        before = usage.rss_mib()
        first = [await observe(provider, refs)]
        while first[-1]["told"] < jobs:  # a round describes 5,000 new jobs at most
            first.append(await observe(provider, refs))
        quiet = [await observe(provider, refs) for _ in range(rounds)]
        busy = []
        for number in range(rounds):
            ending = refs[number::ENDED_SHARE][: jobs // ENDED_SHARE]
            await asyncio.gather(*(provider.cancel(ref, reason="bench") for ref in ending))
            await asyncio.sleep(0.3)
            busy.append(await observe(provider, refs))
        after = usage.rss_mib()
        await provider.close()
    return {
        "jobs": jobs,
        "first_rounds": {"until_all_are_known": len(first), **{name: total(first, name) for name in TOTALS}},
        "quiet_round": median(quiet),
        "round_in_which_1_percent_ended": median(busy),
        "rss_mib": {"without_jobs": empty, "after_submitting": before, "after_all_rounds": after},
        "submits_per_second": round(submits_per_second, 1),
    }


async def submit(provider: AwsProvider, jobs: int) -> list[JobRef]:
    """Jobs that run for ever."""
    numbers = iter(range(jobs))
    refs: list[JobRef] = []

    async def submitter() -> None:
        for number in numbers:
            one = request(number)
            await provider.prepare(one)
            seen = await provider.submit(one)
            refs.append(
                JobRef(external_name=one.external_name, uid=one.uid, resource_path=seen.resource_path, spec=one.spec)
            )

    await asyncio.gather(*(submitter() for _ in range(SUBMITTERS)))
    return refs


def request(number: int) -> SubmitRequest:
    uid = str(uuid.uuid4())
    return SubmitRequest(
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        external_name=names.external_name(f"bench-{number}", uid),
        uid=uid,
        job_id=uid,
        tenant_id=f"tenant-{number % 20}",
        spec=JobSpec(image="busybox", args=("sleep", "1000000")),
        resources=ResourceSet(cpu_millis=1000, memory_mib=2048),
        env={f"VARIABLE_{n}": f"value-{n}-{uid}" for n in range(10)},
    )


async def observe(provider: AwsProvider, refs: list[JobRef]) -> dict[str, float]:
    """One round."""
    calls, cpu, begin = observing.calls(), time.process_time(), time.perf_counter()
    seen = await provider.observe(refs)
    seconds = time.perf_counter() - begin
    made = observing.calls() - calls
    assert len(seen) == len(refs)
    told = [one.phase for one in seen.values() if one.phase is not None]
    assert set(told) <= {Phase.RUNNING, Phase.CANCELLED}
    return {
        "told": len(told),
        "calls": made,
        "cpu_seconds": round(time.process_time() - cpu, 3),
        "seconds": round(seconds, 3),
        "seconds_at_default_rate_at_least": made / DEFAULT_CALLS_PER_SECOND,
    }


def total(rounds: list[dict[str, float]], name: str) -> float:
    return round(sum(one[name] for one in rounds), 3)


def median(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(one[name] for one in rounds), 3) for name in rounds[0]}


if __name__ == "__main__":
    sys.exit(main())
