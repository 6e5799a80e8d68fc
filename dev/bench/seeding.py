"""Jobs that run already: with the status that the operator would have given them, so that nothing is left to do."""

import asyncio
import uuid
from datetime import UTC, datetime

import msgspec

from controller.domain.job import parse
from controller.domain.phases import Phase
from controller.kube import paths
from dev.bench.installation import Installation
from dev.bench.limit import job_object, next_status

CONCURRENCY = 64


class Seeded(msgspec.Struct, frozen=True, kw_only=True):
    """One job that runs."""

    name: str
    external_name: str


async def seed(made: Installation, count: int) -> list[Seeded]:
    """So many of them, two writes each."""
    seeded: list[Seeded] = []
    left = iter(range(count))

    async def make() -> None:
        for _ in left:
            name = str(uuid.uuid4())
            job = parse(await made.kube.post(paths.jobs(made.namespace), job_object(name, made.namespace)))
            now = datetime.now(UTC)
            _, patch = next_status(job, Phase.RUNNING, now)
            await made.kube.merge_patch(paths.job_status(made.namespace, name), {"status": patch})
            seeded.append(Seeded(name=name, external_name=job.external_name))

    await asyncio.gather(*(make() for _ in range(CONCURRENCY)))
    return seeded
