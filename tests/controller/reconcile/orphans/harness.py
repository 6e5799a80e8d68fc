"""What the tests of orphans share: jobs that run, the sweep, and what is told of both."""

from controller import metrics
from controller.domain.job import Job
from controller.domain.phases import Phase
from controller.domain.records import JobRow
from tests.controller.fakes import START
from tests.controller.reconcile.harness import World

EVERY = 300.0


def sample(name: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, {"provider": "local"}) or 0.0


def gauge() -> float:
    return sample("jennah_orphans")


async def running(world: World, name: str = "job", **spec: object) -> Job:
    job = world.kube.create(name, **spec)
    await world.reconcile(job)
    world.provider.move(Phase.RUNNING, started_at=START)
    return await world.observe(job)


async def sweep(world: World, times: int = 1) -> None:
    for _ in range(times):
        await world.process.orphans.sweep()
        world.clock.pause(EVERY)


def row(world: World, job: Job) -> JobRow:
    return world.record.rows["tenant", job.job_id]
