"""Jobs that run already: with the status that the operator would have given them, so that nothing is left to do."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from controller import clouds, settings
from controller.clock import SystemClock
from controller.domain.job import Job, parse
from controller.domain.phases import Phase
from controller.domain.resources import Profiles
from controller.kube import paths
from controller.ports import BatchProvider, Environment, JobRef, Observation
from controller.reconcile import statuses
from controller.reconcile.submission import request_for
from dev.bench import instant, observing
from dev.bench.installation import TENANT, Installation
from dev.bench.limit import job_object, next_status
from dev.emulators import clouds as stand_ins

CONCURRENCY = 64
T = TypeVar("T")
NO_ENVIRONMENT = Environment(values={}, shown={})

Run = Callable[[Sequence[Job]], Awaitable[Mapping[str, Observation]]]
"""Has those jobs at a cloud, and says how they stand once all run: by external name."""


async def seed(made: Installation, count: int, run: Run) -> list[Job]:
    """So many of them, two writes each."""
    jobs: list[Job] = []

    async def make(_: int) -> None:
        body = job_object(str(uuid.uuid4()), made.namespace, ("sleep", "1000000"))
        jobs.append(parse(await made.kube.post(paths.jobs(made.namespace), body)))

    await _all(range(count), make)
    seen, now = await run(jobs), datetime.now(UTC)

    async def tell(job: Job) -> None:
        _, patch = next_status(job, seen[job.external_name], now)
        await made.kube.merge_patch(paths.job_status(made.namespace, job.metadata.name), {"status": patch})

    await _all(jobs, tell)
    return jobs


async def run_instantly(jobs: Sequence[Job]) -> Mapping[str, Observation]:
    """At `InstantProvider`, which takes jobs of which it never heard for running ones."""
    now = datetime.now(UTC)
    return {job.external_name: instant.observation(job.external_name, job.key, Phase.RUNNING, now) for job in jobs}


@contextlib.asynccontextmanager
async def gcp() -> AsyncIterator[tuple[Run, dict[str, str]]]:
    """On the stand-in of Google Cloud Batch, by the real adapter; and the operator's settings for it."""
    async with observing.stand_in("gcp") as endpoint:
        stand_in = stand_ins.STAND_INS["gcp"]
        env = {
            **stand_in.defaults,
            stand_in.endpoint_variable: endpoint,
            "BATCH_PROVIDER": "gcp",
            "GCP_MUTATIONS_PER_SECOND": "10000",
            "GCP_READS_PER_SECOND": "10000",
        }
        found = settings.read_operator({**env, "DB_PROVIDER": "sqlite"})
        provider = clouds.make_provider(found, SystemClock())
        await provider.open()

        async def run(jobs: Sequence[Job]) -> Mapping[str, Observation]:
            refs = await _submitted(provider, jobs)
            return await observing.until_all_run(provider, refs)

        try:
            yield run, env
        finally:
            await provider.close()


async def _submitted(provider: BatchProvider, jobs: Sequence[Job]) -> list[JobRef]:
    refs: list[JobRef] = []

    async def submit(job: Job) -> None:
        status = statuses.accepted(job, tenant_id=TENANT, provider=provider.name)
        accepted = msgspec.structs.replace(job, status=status)
        seen = await provider.submit(request_for(accepted, NO_ENVIRONMENT, Profiles()))
        refs.append(
            JobRef(
                external_name=job.external_name,
                uid=job.key,
                resource_path=seen.resource_path,
                submitted_at=seen.submitted_at,
            )
        )

    await _all(jobs, submit)
    return refs


async def _all(items: Iterable[T], work: Callable[[T], Awaitable[None]]) -> None:
    """That work on each, some at once."""
    left = iter(items)

    async def worker() -> None:
        for item in left:
            await work(item)

    await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))
