"""A reconciler on the fakes, driven by hand; a new "process" on the same world after a crash."""

from collections.abc import Awaitable

from controller.domain.job import Job
from controller.domain.resources import Profiles
from controller.leadership import AlwaysLeader
from controller.reconcile.cache import JobCache
from controller.reconcile.decide import Policy
from controller.reconcile.observer import Observer
from controller.reconcile.queue import WorkQueue
from controller.reconcile.reconciler import Reconciler, ReconcileSettings
from controller.reconcile.recorder import Recorder
from tests.controller.fakes import Crash, FakeClock, FakeProvider, FakeRecord, FakeResources, FaultPoints


class World:
    """Kubernetes, the database and the cloud, and a controller that can die and come back."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.faults = FaultPoints()
        self.provider = FakeProvider(self.faults)
        self.record = FakeRecord(self.faults)
        self.kube = FakeResources(self.faults)
        self.start()

    def start(self) -> None:
        """A new process: nothing of the old one's memory is left."""
        self.queue = WorkQueue(self.clock)
        self.cache = JobCache()
        self.observer = Observer(
            self.provider,
            clock=self.clock,
            leadership=AlwaysLeader(),
            wake=self.queue.add,
            min_seconds=1,
            max_seconds=10,
        )
        self.reconciler = Reconciler(
            cache=self.cache,
            queue=self.queue,
            providers={self.provider.name: self.provider},
            observers={self.provider.name: self.observer},
            resources=self.kube,
            store=self.record,  # type: ignore[arg-type]
            recorder=Recorder(resources=self.kube, writer=self.record, cache=self.cache, clock=self.clock),
            leadership=AlwaysLeader(),
            clock=self.clock,
            policy=Policy(providers=frozenset({self.provider.name}), missing_grace=100, ending_grace=20),
            settings=ReconcileSettings(default_provider=self.provider.name, profiles=Profiles(), env_wait_seconds=60),
        )
        self.kube.changed = self.reconciler.upsert
        for job in self.kube.objects.values():
            self.reconciler.upsert(job)

    async def reconcile(self, job: Job) -> float | None:
        """One pass on the object as it is now."""
        return await self.reconciler.reconcile(self.kube.current(job))

    async def observe(self, job: Job) -> Job:
        """One bulk observation, a pass, and the object as it is then."""
        await self.observer._round()
        await self.reconcile(job)
        return self.kube.current(job)

    async def crashes(self, call: Awaitable[object]) -> bool:
        """Whether the process died in that call; a new one is started then."""
        try:
            await call
        except Crash:
            self.start()
            return True
        return False

    def audit(self, job: Job) -> list[tuple[int, str | None, str]]:
        """The job's audit rows: number, from, to."""
        return [(n, a.value if a else None, b.value) for n, a, b in self.record.audit[job.key]]
