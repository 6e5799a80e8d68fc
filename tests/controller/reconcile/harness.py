"""A reconciler on the fakes, driven by hand; a new "process" on the same world after a crash, or beside another."""

from collections.abc import Awaitable

from controller.domain.destination import Destination
from controller.domain.errors import ConfigError
from controller.domain.job import Job
from controller.domain.resources import Profiles
from controller.ports import BatchProvider
from controller.reconcile.cache import JobCache
from controller.reconcile.decide import Policy
from controller.reconcile.endings import Endings
from controller.reconcile.freshness import Freshness
from controller.reconcile.intents import Intents
from controller.reconcile.observer import Observer
from controller.reconcile.orphans import OrphanPolicy, Orphans
from controller.reconcile.queue import WorkQueue
from controller.reconcile.reconciler import Reconciler
from controller.reconcile.recorder import Recorder
from controller.reconcile.sites import Site, Sites
from controller.reconcile.submission import ReconcileSettings
from tests.controller.fakes import (
    AlwaysLeader,
    Crash,
    FakeClock,
    FakeProvider,
    FakeRecord,
    FakeResources,
    FakeService,
    FaultPoints,
)


class Process:
    """A controller with nothing in its memory."""

    def __init__(self, world: "World", identity: str) -> None:
        provider, clock = world.provider, world.clock
        policy = Policy(
            providers=frozenset({provider.name}),
            intent_first=frozenset() if provider.names_are_ids else frozenset({provider.name}),
            submit_settle=0 if provider.names_are_ids else 30,
            takeover_settle=world.takeover_settle,
            missing_grace=100,
            ending_grace=20,
            remembers={provider.name: provider.remembers_seconds},
        )
        self.kube = world.kube
        self.queue = WorkQueue(clock)
        self.cache = JobCache()

        def site(provider: BatchProvider) -> Site:
            return Site(
                provider=provider,
                observer=Observer(
                    provider, clock=clock, leadership=AlwaysLeader(), wake=self.queue.add, min_seconds=1, max_seconds=10
                ),
                orphans=Orphans(
                    provider=provider,
                    resources=world.kube,
                    cache=self.cache,
                    endings=Endings(store=world.record, writer=world.record, clock=clock),  # type: ignore[arg-type]
                    leadership=AlwaysLeader(),
                    clock=clock,
                    policy=world.orphans,
                    vanished=lambda key: self.reconciler.remove(key),
                    contradicted=lambda seen: self.reconciler.contradict(seen),
                ),
            )

        self.sites = Sites(site(provider), make=lambda place: site(world.make_elsewhere(place)), clock=clock)
        self.observer, self.orphans = self.sites.home.observer, self.sites.home.orphans
        freshness = Freshness(world.kube)
        self.reconciler = Reconciler(
            cache=self.cache,
            queue=self.queue,
            sites=self.sites,
            resources=world.kube,
            store=world.record,  # type: ignore[arg-type]
            recorder=Recorder(
                resources=world.kube, writer=world.record, cache=self.cache, clock=clock, freshness=freshness
            ),
            leadership=AlwaysLeader(),
            clock=clock,
            policy=policy,
            settings=ReconcileSettings(
                default_provider=provider.name, profiles=Profiles(), api_namespace="api", env_wait_seconds=60
            ),
            intents=Intents(resources=world.kube, cache=self.cache, clock=clock, policy=policy, identity=identity),
            freshness=freshness,
        )

    def upsert(self, job: Job) -> None:
        self.reconciler.upsert(job)

    async def reconcile(self, job: Job) -> float | None:
        """One pass on the object as it is now."""
        return await self.reconciler.reconcile(self.kube.current(job))

    async def observe(self, job: Job) -> Job:
        """One bulk observation, a pass, and the object as it is then."""
        for site in self.sites:
            await site.observer._round()
        await self.reconcile(job)
        return self.kube.current(job)


class World:
    """Kubernetes, the database and the cloud, and a controller that can die and come back."""

    takeover_settle = 0.0

    def __init__(self, *, names_are_ids: bool = True, ends_orphans: bool = False) -> None:
        self.orphans = OrphanPolicy(ends=ends_orphans, every=300, missing_grace=100)
        self.clock = FakeClock()
        self.faults = FaultPoints()
        self.provider = FakeProvider(self.faults) if names_are_ids else FakeService(self.faults, self.clock)
        self.record = FakeRecord(self.faults)
        self.kube = FakeResources(self.faults)
        self.elsewhere: dict[Destination, FakeProvider] = {}
        """What can be reached beside the settings' own service."""
        self._processes = 0
        self.start()

    def start(self) -> None:
        """A new process: nothing of the old one's memory is left."""
        self.process = self.another()
        self.kube.changed = self.process.upsert
        self.kube.removed = self.process.reconciler.remove

    def make_elsewhere(self, site: Destination) -> BatchProvider:
        if site not in self.elsewhere:
            raise ConfigError(["there are no credentials"])
        return self.elsewhere[site]

    def another(self) -> Process:
        """One more process, which has seen what is there."""
        self._processes += 1
        process = Process(self, f"process-{self._processes}")
        for job in self.kube.objects.values():
            process.upsert(job)
        return process

    @property
    def reconciler(self) -> Reconciler:
        return self.process.reconciler

    @property
    def observer(self) -> Observer:
        return self.process.observer

    @property
    def queue(self) -> WorkQueue:
        return self.process.queue

    @property
    def cache(self) -> JobCache:
        return self.process.cache

    async def reconcile(self, job: Job) -> float | None:
        """One pass on the object as it is now."""
        return await self.process.reconcile(job)

    async def observe(self, job: Job) -> Job:
        """One bulk observation, a pass, and the object as it is then."""
        return await self.process.observe(job)

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
