"""SubmitJob under load, beside what a bare client reaches that creates the same resources itself, in the same run.

``python -m dev.bench.api``: the in-memory API server and ``jennah api`` as processes, SQLite, no operator. The two ways
take turns. Without env_vars, so that one submission is one Kubernetes write in both.
"""

import argparse
import asyncio
import itertools
import json
import os
import platform
import statistics
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import aiohttp

from api import mapping
from api.gen import deployment_pb2 as pb
from controller.kube import paths
from controller.kube.client import KubeClient
from dev.stack import Stack, free_port

RESULT = Path(__file__).parents[2] / "bench" / "results" / "api.json"
RPC = "/jennah.v1.DeploymentService/SubmitJob"
TENANT = "bench"
AIM_RATIO, AIM_P50_MS = 0.6, 20.0

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
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return 0


async def measure(callers: int, seconds: float) -> dict[str, object]:
    """The figures of both ways, in turns, and what they were measured on."""
    with tempfile.TemporaryDirectory(prefix="jennah-bench-") as folder:
        stack = Stack(Path(folder), api_port=free_port(0), kube_port=free_port(0), on_line=lambda line: None)
        try:
            await stack.start_kubeapi()
            await stack.start_api()
            async with await stack.client() as kube, aiohttp.ClientSession(stack.api_url) as http:
                await load(through_api(http), callers, 2.0)  # warm-up
                bare = [await load(by_hand(kube), callers, seconds / 4)]
                api = await load(through_api(http), callers, seconds)
                few = await load(through_api(http), 10, seconds / 2)
                bare.append(await load(by_hand(kube), callers, seconds / 4))
        finally:
            await stack.stop()
    raw = statistics.mean(one["per_second"] for one in bare)
    return {
        "api": {"callers": callers, **api},
        "api_10_callers": few,
        "bare_client": {"callers": callers, "per_second": round(raw, 1)},
        "ratio_to_bare_client": round(api["per_second"] / raw, 3),
        "aims": {"ratio_to_bare_client": AIM_RATIO, "p50_ms_at_10_callers": AIM_P50_MS},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores shared by client, API and API server",
        "versions": {"python": platform.python_version(), "aiohttp": version("aiohttp")},
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def through_api(http: aiohttp.ClientSession) -> Call:
    """SubmitJob as the Gateway sends it: binary, with an id that it made."""
    headers = {"Content-Type": "application/proto", "X-Tenant-Id": TENANT}

    async def call(job_id: str) -> bool:
        async with http.post(RPC, data=request(job_id).SerializeToString(), headers=headers) as response:
            await response.read()
            return response.status == 200

    return call


def by_hand(kube: KubeClient) -> Call:
    """The same resource, posted by a bare client."""

    async def call(job_id: str) -> bool:
        spec = mapping.job_spec(request(job_id), tenant_id=TENANT, job_id=job_id)
        await kube.post(paths.jobs("default"), mapping.job_object(spec, namespace="default", at=datetime.now(UTC)))
        return True

    return call


def request(job_id: str) -> pb.SubmitJobRequest:
    return pb.SubmitJobRequest(
        job_id=job_id, image_uri="busybox:1.36", name="bench", commands=["sh", "-c", "true"], resource_profile="small"
    )


async def load(call: Call, callers: int, seconds: float) -> dict[str, float]:
    """That many callers for so long: rate, latencies in milliseconds, errors."""
    latencies: list[float] = []
    errors = 0
    begin = time.perf_counter()
    prefix, numbers = uuid.uuid4().hex[:8], itertools.count()

    async def caller() -> None:
        nonlocal errors
        while time.perf_counter() - begin < seconds:
            start = time.perf_counter()
            errors += not await call(f"{prefix}-{next(numbers)}")
            latencies.append((time.perf_counter() - start) * 1000)

    await asyncio.gather(*(caller() for _ in range(callers)))
    took = time.perf_counter() - begin
    cuts = statistics.quantiles(latencies, n=100)
    return {
        "per_second": round(len(latencies) / took, 1),
        "p50_ms": round(cuts[49], 1),
        "p95_ms": round(cuts[94], 1),
        "p99_ms": round(cuts[98], 1),
        "errors": errors,
    }


if __name__ == "__main__":
    raise SystemExit(main())
