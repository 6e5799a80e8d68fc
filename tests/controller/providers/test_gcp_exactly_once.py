"""500 JennahJobs, a third of all replies lost, the controller killed five times: 500 cloud jobs, each once, all ended.

The controller is the real one (queue, workers, observer, reconciler) on the real adapter and the stand-in's server;
Kubernetes and the database are fakes that outlive it. A kill is the end of its tasks wherever they wait: within a call
whose reply is then lost to it.
"""

import asyncio
from collections import Counter
from collections.abc import Callable

from controller.clock import SystemClock
from controller.domain.phases import Phase
from controller.reconcile.workers import Workers
from dev.emulators.faults import Faults
from tests.controller.fakes import FakeRecord, FakeResources
from tests.controller.providers import gcp_harness
from tests.controller.reconcile import harness

JOBS, KILLS, WORKERS = 500, 5, 16
PATIENCE = 60.0  # seconds for all of it


class Controller(harness.World):
    """The reconciler of the harness on the cloud's stand-in, by the machine's clock."""

    def __init__(self, cloud: gcp_harness.World) -> None:
        self.clock = SystemClock()  # type: ignore[assignment]
        self.record = FakeRecord()
        self.kube = FakeResources()
        self._cloud = cloud

    async def run(self) -> None:
        """One life of a controller: ends when it is cancelled."""
        self.provider = self._cloud.adapter()  # type: ignore[assignment]
        self.start()
        loops = [asyncio.create_task(self.observer.run()), asyncio.create_task(self.queue.run_timer())]
        try:
            async with Workers(self.queue, self.reconciler.work_on, WORKERS).running(grace_seconds=0):
                await asyncio.gather(*loops)
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await self.provider.close()

    @property
    def submitted(self) -> int:
        return sum(job.is_submitted for job in self.kube.objects.values())

    @property
    def phases(self) -> Counter[Phase | None]:
        return Counter(job.status.phase for job in self.kube.objects.values())


async def live_until(controller: Controller, holds: Callable[[], bool]) -> None:
    """One life of the controller: killed as soon as that holds. Raises what it died of by itself."""
    life = asyncio.create_task(controller.run())
    try:
        while not holds() and not life.done():
            await asyncio.sleep(0.01)
        if life.done():
            life.result()
    finally:
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)


async def test_every_job_runs_exactly_once_though_replies_are_lost_and_the_controller_dies() -> None:
    async with gcp_harness.World(Faults(lost_replies=1 / 3, lost_requests=0.05)).running() as cloud:
        controller = Controller(cloud)
        for number in range(JOBS):
            controller.kube.create(f"job-{number}", provider="gcp", command=("sh", "-c", "sleep 0.2; exit 0"))
        async with asyncio.timeout(PATIENCE):
            for kill in range(KILLS):
                aim = (kill + 1) * JOBS // (KILLS + 1)
                await live_until(controller, lambda aim=aim: controller.submitted >= aim)
            await live_until(controller, lambda: controller.phases == {Phase.COMPLETED: JOBS})
        ledger = cloud.service.ledger()
        assert len(ledger) == JOBS
        assert {entry.uid for entry in ledger} == {job.key for job in controller.kube.objects.values()}
        assert {entry.state for entry in ledger} == {"SUCCEEDED"}
        assert Counter(row.status for row in controller.record.rows.values()) == {Phase.COMPLETED: JOBS}
