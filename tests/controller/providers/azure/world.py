"""The reconciler's world with an Azure Batch account in it."""

from controller.domain.job import Job
from tests.controller.providers.azure.harness import Service
from tests.controller.reconcile.harness import World


class AzureWorld(World):
    """The world, with an account in place of the fake service; both have one time."""

    def __init__(self, service: Service) -> None:
        super().__init__(ends_orphans=True)
        self.service = service
        service.clock = self.clock
        self.restart()

    def restart(self) -> None:
        """A new process, with an adapter of its own."""
        self.provider = self.service.provider(pools={})
        self.start()

    @property
    def account(self):
        return self.service.emulator.service

    async def submitted(self, **spec: object) -> Job:
        job = self.kube.create(**{"command": ("sleep", "100000"), "backoff_limit": 0, **spec})
        await self.reconcile(job)
        return await self.later(job, 1)

    async def later(self, job: Job, seconds: float) -> Job:
        await self.clock.advance(seconds)
        return await self.observe(job)
