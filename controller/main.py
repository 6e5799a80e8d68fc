"""The composition root of ``jennah operator``: settings → adapters → reconciler → leadership → kopf."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine

from controller import clouds, databases, health, metrics, open_files
from controller.candidacy import Timing
from controller.clock import SystemClock
from controller.domain.destination import Destination
from controller.kube import paths
from controller.kube.client import KubeClient, load_configuration
from controller.kube.events import EventPoster
from controller.kube.lease import KubeLease
from controller.kube.resources import KubeJobResources
from controller.leadership import Election, LeaseObject
from controller.ports import BatchProvider, Clock, JobStore, Watched
from controller.reconcile.cache import JobCache
from controller.reconcile.decide import Policy
from controller.reconcile.endings import Endings
from controller.reconcile.freshness import Freshness
from controller.reconcile.guard import GuardedProvider, GuardedRecord, GuardedResources
from controller.reconcile.intents import Intents
from controller.reconcile.observer import Observer
from controller.reconcile.orphans import OrphanPolicy, Orphans
from controller.reconcile.queue import WorkQueue
from controller.reconcile.reconciler import Reconciler
from controller.reconcile.recorder import Recorder
from controller.reconcile.sites import Site, Sites
from controller.reconcile.submission import ReconcileSettings
from controller.reconcile.workers import Workers
from controller.settings import OperatorSettings
from controller.startup import collect_less_often, first_of, patiently, say, stop_on_signals
from controller.stores.writer import GroupWriter
from controller.watching import Watch, watching

log = logging.getLogger(__name__)

DAY = 86400.0
SUBMIT_LIMIT_SECONDS = 12.0
"""The longest that a submission's call can be under way; all adapters' limits are below it."""
REMEMBERS = {"gcp": 60 * DAY, "aws": DAY, "azure": 7 * DAY, "kubernetes": 60.0}
"""For how long services show a job after its end, at least, where jobs are that were sent under other settings: for
Kubernetes the shortest time that can be set."""
STOP_GRACE_SECONDS = 3.0
"""What is being worked on at a stop gets so long."""


async def run(
    settings: OperatorSettings,
    make_provider: Callable[[OperatorSettings, Clock], BatchProvider] = clouds.make_provider,
) -> None:
    """Run the operator until SIGTERM or SIGINT. Raises Unavailable where there is no Kubernetes configuration."""
    open_files.prepare()
    say("Starting worker...")
    clock, stop = SystemClock(), asyncio.Event()
    stop_on_signals(stop)
    is_watching = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        # From the beginning: a database that is down makes us not ready, it is no reason to be restarted.
        is_ready = lambda: is_watching.is_set() and not stop.is_set()  # noqa: E731
        await stack.enter_async_context(health.serving(settings.health_port, is_ready, registry=metrics.REGISTRY))
        store = databases.make_store(settings.common.database)
        if not await patiently(store.open, clock=clock, stop=stop):
            return
        stack.push_async_callback(store.close)
        say(f"Connected to {databases.name_of(settings.common.database)}")
        provider = make_provider(settings, clock)
        stack.push_async_callback(provider.close)
        if not await patiently(provider.open, clock=clock, stop=stop):
            return
        say(f"Connected to {provider.name} in region: {provider.region}")
        if provider.name == "gcp" and not settings.default_service_account:
            log.warning(
                "jobs that name no service account run as the project's Compute Engine default account, which may do "
                "much in it: set DEFAULT_SERVICE_ACCOUNT, to that account itself if it is meant"
            )
        configuration = await load_configuration()
        client = await stack.enter_async_context(KubeClient(configuration))
        if not await patiently(lambda: _find_crd(client, settings.watch_namespaces), clock=clock, stop=stop):
            return
        # A connection of its own: no renewal waits behind the reconciler's calls.
        leases = await stack.enter_async_context(KubeClient(configuration))
        lease = KubeLease(leases, settings.lease.namespace, settings.lease.name)
        controller = Controller(settings, client=client, lease=lease, store=store, provider=provider, clock=clock)
        reconciler = controller.reconciler
        watch = Watch(configuration, settings.watch_namespaces, upsert=reconciler.upsert, remove=reconciler.remove)
        collect_less_often()
        # At the end in this order: first our work and the lease, for the next leader to begin; kopf takes its time.
        async with watching(watch), controller.running():
            if await first_of(watch.ready, stop) is watch.ready:
                is_watching.set()
                say(f"Watching JennahJobs in {', '.join(settings.watch_namespaces) or 'all namespaces'}")
            await stop.wait()
            log.info("stopping")
    log.info("stopped")


class Controller:
    """The reconciler and its background tasks, put together."""

    def __init__(
        self,
        settings: OperatorSettings,
        *,
        client: KubeClient,
        lease: LeaseObject,
        store: JobStore,
        provider: BatchProvider,
        make_elsewhere: Callable[[Destination, Clock], BatchProvider] = clouds.provider_at,
        clock: Clock,
    ) -> None:
        # Of this process alone: replicas may have the same WORKER_ID, and a restarted process is another one, which
        # does not know what its predecessor has sent.
        identity = f"{settings.common.worker_id}_{uuid.uuid4().hex[:12]}"
        leadership = self._election = Election(
            lease,
            identity=identity,
            timing=Timing(ttl=settings.lease.ttl_seconds, interval=settings.lease.interval_seconds),
            clock=clock,
            started=lambda: self._start_leading(identity),
            stopped=self._stop_leading,
        )
        metrics.LEADER.set_function(leadership.is_leader)
        cache, policy = JobCache(), _policy(settings, provider)
        watched = provider if isinstance(provider, Watched) else None
        provider = GuardedProvider(provider, leadership)
        record = GuardedRecord(store, leadership)
        self._queue = WorkQueue(clock)
        self._events = EventPoster(client, clock, settings.common.worker_id)
        self._writer = GroupWriter(record)
        metrics.QUEUE_DEPTH.set_function(lambda: len(self._queue))
        resources = GuardedResources(KubeJobResources(client, self._events, clock), leadership)

        def site(provider: BatchProvider, label: str) -> Site:
            return Site(
                provider=provider,
                observer=Observer(
                    provider,
                    clock=clock,
                    leadership=leadership,
                    wake=self._queue.add,
                    min_seconds=settings.observe_min_seconds,
                    max_seconds=settings.observe_max_seconds,
                    label=label,
                ),
                orphans=Orphans(
                    provider=provider,
                    resources=resources,
                    cache=cache,
                    endings=Endings(store=record, writer=self._writer, clock=clock),
                    leadership=leadership,
                    clock=clock,
                    policy=_orphan_policy(settings),
                    vanished=lambda key: self.reconciler.remove(key),
                    contradicted=lambda seen: self.reconciler.contradict(seen),
                    label=label,
                ),
            )

        self._sites = Sites(
            site(provider, provider.name),
            make=lambda place: site(GuardedProvider(make_elsewhere(place, clock), leadership), str(place)),
            clock=clock,
        )
        if watched is not None:
            watched.on_change(self._sites.home.observer.look)
        freshness = Freshness(resources)
        self.reconciler = Reconciler(
            cache=cache,
            queue=self._queue,
            sites=self._sites,
            resources=resources,
            store=record,
            recorder=Recorder(resources=resources, writer=self._writer, cache=cache, clock=clock, freshness=freshness),
            leadership=leadership,
            clock=clock,
            policy=policy,
            settings=ReconcileSettings(
                default_provider=provider.name,
                profiles=settings.common.profiles,
                api_namespace=settings.api_namespace,
                env_wait_seconds=settings.env_wait_seconds,
                redact_env=settings.common.database.redact_env,
                default_identities={provider.name: settings.default_service_account},
            ),
            intents=Intents(resources=resources, cache=cache, clock=clock, policy=policy, identity=identity),
            freshness=freshness,
        )
        self._workers = Workers(self._queue, self.reconciler.work_on, settings.workers, leadership)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Stand for election, reconcile while we lead. At the end what is in work is finished, then the lease released.

        The lease is renewed until then, and nothing of ours runs afterwards.
        """
        try:
            async with _background(
                self._election.run(),
                self._queue.run_timer(),
                self._sites.run(),
                self._events.run(),
            ):
                async with self._workers.running(STOP_GRACE_SECONDS):
                    yield
                await self._writer.close()
        finally:
            await self._election.release()
            await self._sites.close()

    def _start_leading(self, identity: str) -> None:
        say(f"Leading as {identity}")
        self.reconciler.start_leading()

    def _stop_leading(self) -> None:
        self.reconciler.stop_leading()


def _policy(settings: OperatorSettings, provider: BatchProvider) -> Policy:
    # What the local provider has, it shows at once.
    settle = 0.0 if provider.name == "local" else settings.submit_settle_seconds
    return Policy(
        providers=frozenset({provider.name}),
        gone_when_ended=frozenset({"kubernetes"}),
        submit_limit=SUBMIT_LIMIT_SECONDS,
        intent_first=frozenset({"aws"} if provider.names_are_ids else {"aws", provider.name}),
        missing_grace=settings.missing_grace_seconds,
        submit_settle=settle,
        takeover_settle=SUBMIT_LIMIT_SECONDS + settle if settle else 0.0,
        duplicate_watch=settings.duplicate_watch_seconds,
        unscheduled_after=settings.unscheduled_after_seconds,
        remembers={**REMEMBERS, provider.name: provider.remembers_seconds},
    )


def _orphan_policy(settings: OperatorSettings) -> OrphanPolicy:
    return OrphanPolicy(
        ends=settings.ends_orphans,
        every=settings.orphan_sweep_seconds,
        namespaces=frozenset(settings.watch_namespaces),
        missing_grace=settings.missing_grace_seconds,
    )


@contextlib.asynccontextmanager
async def _background(*coroutines: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Those coroutines as tasks while the block runs. One that fails ends the program with its error."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(coroutine) for coroutine in coroutines]
        yield
        for task in tasks:
            task.cancel()


async def _find_crd(client: KubeClient, namespaces: tuple[str, ...]) -> None:
    """Raises Unavailable while the API server does not serve JennahJobs."""
    for namespace in namespaces or (None,):
        await client.get(paths.jobs(namespace), limit="1")
