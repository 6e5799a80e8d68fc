"""What the benchmarks of all clouds share: a stand-in in a process of its own, and what a process has used."""

import asyncio
import contextlib
import resource
import sys
from collections.abc import AsyncIterator, Collection

from controller.domain.phases import Phase
from controller.metrics import PROVIDER_CALLS
from controller.ports import BatchProvider, JobRef, Observation
from dev.emulators import clouds


@contextlib.asynccontextmanager
async def stand_in(provider: str, *options: str) -> AsyncIterator[str]:
    """The endpoint of that cloud's stand-in."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        clouds.STAND_INS[provider].module,
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        yield clouds.endpoint((await process.stdout.readline()).decode())
    finally:
        process.terminate()
        await process.wait()


async def until_all_run(provider: BatchProvider, refs: Collection[JobRef]) -> dict[str, Observation]:
    """The first round that saw all of them running."""
    while True:
        seen = dict(await provider.observe(refs))
        if len(seen) == len(refs) and all(one.phase is Phase.RUNNING for one in seen.values()):
            return seen


def calls(*methods: str) -> float:
    """Calls of the cloud that this process has made, of methods whose names begin so; of all where none is given."""
    return sum(
        sample.value
        for metric in PROVIDER_CALLS.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.labels["method"].startswith(methods or ("",))
    )


def peak_mib() -> int:
    """The most memory that it ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
