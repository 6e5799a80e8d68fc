"""What it costs to observe 10,000 active jobs on Google Cloud Batch: calls, CPU and memory of the adapter's process.

``python -m dev.bench.gcp``: against the stand-in as a process of its own, once with a service that honours the field
mask and once with one that ignores it (which of them the real one is, is not known). A process for each, so that their
memory is their own. A round is what the observer does: one `observe` of all jobs, compared with the one before.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime

from controller.clock import SystemClock
from controller.cloud_settings import GcpSettings
from controller.domain import names
from controller.domain.job import JobSpec
from controller.domain.resources import ResourceSet
from controller.ports import JobRef, SubmitRequest
from controller.providers.gcp.provider import GcpProvider
from dev.bench import observing, results, usage

LIBRARIES = ("google-cloud-batch", "grpcio", "protobuf")
MODES = {"honour": "field_mask_honoured", "ignore": "field_mask_ignored"}
SUBMITTERS = 32
AIM_LIST_CALLS, AIM_CPU_SHARE, AIM_RSS_MIB = 12, 0.1, 300
IDLE_INTERVAL_SECONDS = 30.0
"""OBSERVE_MAX_SECONDS: the pause between two rounds while nothing moves."""
ENVIRONMENT = {f"VARIABLE_{number}": "x" * 40 for number in range(20)}
"""About a kilobyte, as jobs have."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.bench.gcp", description="observing jobs on GCP Batch")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--mode", choices=MODES, help="only that one, and only to stdout")
    options = parser.parse_args()
    if options.mode:
        print(json.dumps(asyncio.run(measure(options.mode, options.jobs, options.rounds))))
        return 0
    result: dict[str, object] = {
        "active_jobs": options.jobs,
        **{name: in_a_process(mode, options.jobs, options.rounds) for mode, name in MODES.items()},
        "aims": {
            "list_calls_per_round": AIM_LIST_CALLS,
            f"cpu_share_at_a_round_every_{IDLE_INTERVAL_SECONDS:g}_s": AIM_CPU_SHARE,
            "rss_mib": AIM_RSS_MIB,
        },
    }
    print(results.write("gcp", result, libraries=LIBRARIES).read_text(), end="")
    return 0


def in_a_process(mode: str, jobs: int, rounds: int) -> dict[str, object]:
    command = [sys.executable, "-m", "dev.bench.gcp", "--mode", mode, "--jobs", str(jobs), "--rounds", str(rounds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    result: dict[str, object] = json.loads(done.stdout)
    return result


async def measure(mode: str, jobs: int, rounds: int) -> dict[str, object]:
    """The figures of one mode."""
    async with observing.stand_in("gcp", "--field-mask", mode) as endpoint:
        settings = GcpSettings(
            project="bench",
            region="us-central1",
            instance="bench",
            endpoint=endpoint,
            reads_per_second=10_000,
            mutations_per_second=10_000,
        )
        provider = GcpProvider(settings, SystemClock())
        await provider.open()
        before_mib = usage.rss_mib()
        begin = time.perf_counter()
        refs = await submitted(provider, jobs)
        submit_seconds = time.perf_counter() - begin
        seen = await observing.until_all_run(provider, refs)
        calls, cpu, walls, changed = observing.calls("list"), time.process_time(), [], 0
        for _ in range(rounds):
            start = time.perf_counter()
            found = await provider.observe(refs)
            walls.append(time.perf_counter() - start)
            changed += sum(seen.get(name) != one for name, one in found.items())
            assert len(found) == jobs
            seen = dict(found)
        cpu_seconds = (time.process_time() - cpu) / rounds
        list_calls_per_round = (observing.calls("list") - calls) / rounds
        await provider.close()
    return {
        "list_calls_per_round": list_calls_per_round,
        "cpu_seconds_per_round": round(cpu_seconds, 3),
        f"cpu_share_at_a_round_every_{IDLE_INTERVAL_SECONDS:g}_s": round(cpu_seconds / IDLE_INTERVAL_SECONDS, 4),
        "round_seconds_median": round(statistics.median(walls), 3),
        "rss_mib": {"after_open": before_mib, "with_all_observed": usage.rss_mib(), "peak": observing.peak_mib()},
        "observations_that_changed_without_need": changed,
        "submits_per_second": round(jobs / submit_seconds),
    }


async def submitted(provider: GcpProvider, jobs: int) -> list[JobRef]:
    """That many jobs that last, and what is known of each afterwards."""
    left = iter(range(jobs))
    refs = []

    async def work() -> None:
        for _ in left:
            uid = str(uuid.uuid4())
            request = SubmitRequest(
                created_at=datetime(2026, 1, 1, tzinfo=UTC),
                external_name=names.external_name("bench", uid),
                uid=uid,
                job_id=uid,
                tenant_id="bench",
                spec=JobSpec(image="busybox", command=("sleep", "1000000")),
                resources=ResourceSet(cpu_millis=1000, memory_mib=512),
                env=ENVIRONMENT,
            )
            made = await provider.submit(request)
            refs.append(
                JobRef(
                    external_name=made.external_name,
                    uid=uid,
                    resource_path=made.resource_path,
                    submitted_at=made.submitted_at,
                )
            )

    await asyncio.gather(*(work() for _ in range(SUBMITTERS)))
    return refs


if __name__ == "__main__":
    raise SystemExit(main())
