"""One cluster: the calls, one method each, and the watch. The only part that talks to the API server."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping

import msgspec

from controller.clock import wait_for_event
from controller.cloud_settings import KubernetesSettings
from controller.domain.errors import Forbidden, NotFound, Unavailable, Unreachable
from controller.domain.nulls import without_nulls
from controller.kube.client import KubeClient, load_configuration
from controller.kube.decoding import Decoder
from controller.kube.listwatch import ListWatch
from controller.ports import Clock
from controller.providers.kubernetes import labels, places
from controller.providers.kubernetes.attempts import Attempt, attempt_of
from controller.providers.kubernetes.held import Held, JobSink, PodSink
from controller.providers.kubernetes.places import Place
from controller.providers.kubernetes.reruns import Mark
from controller.providers.kubernetes.template import Object
from controller.providers.kubernetes.wire import Job, Pod, PodList

FIRST_LIST_SECONDS = 8.0
"""How long a question waits for the first list."""
PODS_PAGE = "500"

_jobs = Decoder(Job)
_pods = Decoder(PodList)


class Cluster:
    """Connected and watched from the first call on, until `close`. All calls raise as `KubeClient.call` does."""

    def __init__(self, settings: KubernetesSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self.held = Held(clock)
        self._clients: tuple[KubeClient, ...] = ()
        self._watches: list[tuple[str, ListWatch[Job] | ListWatch[Pod]]] = []
        """Each with its namespace."""
        self._tasks: list[asyncio.Task[None]] = []
        self._making = asyncio.Lock()
        self._changed = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        self._address: str | None = None

    @property
    def address(self) -> str | None:
        """URL of the API server that KUBERNETES_JOB_KUBECONFIG names; None for the controller's own cluster."""
        if self._settings.kubeconfig and not self._clients:
            raise RuntimeError("it is not known before the first call")
        return self._address

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Those that Jobs are made in by today's settings; "" means all."""
        if self._settings.namespace:
            return (self._settings.namespace,)
        return self._settings.watch_namespaces or ("",)

    def is_watched(self, namespace: str) -> bool:
        """Whether what is `held` tells of the Jobs that are made there."""
        return "" in self.namespaces or namespace in self.namespaces

    def on_change(self, call: Callable[[], None]) -> None:
        self._listeners.append(call)

    async def close(self) -> None:
        tasks, self._tasks, self._watches = self._tasks, [], []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        clients, self._clients = self._clients, ()
        for client in clients:
            await client.close()

    # --- the watch -------------------------------------------------------------------------------------

    async def be_current(self) -> None:
        """Return once what is `held` is the truth. Raises Unavailable while a watch is broken."""
        for fault in (await self.faults()).values():
            raise Unavailable(f"Jobs cannot be observed: {fault}")

    async def faults(self) -> Mapping[str, str]:
        """Why what is `held` of a namespace is not the truth now, by namespace, of those where it is not."""
        await self.client()
        until = self._clock.monotonic() + FIRST_LIST_SECONDS
        while not all(watch.was_tried for _, watch in self._watches):
            left = until - self._clock.monotonic()
            if left <= 0:
                break
            self._changed.clear()
            await wait_for_event(self._changed, left, self._clock)
        return {namespace: fault for namespace, watch in self._watches if (fault := watch.fault())}

    def _watch(self, client: KubeClient) -> None:
        selector, clock = labels.selector(self._settings.instance), self._clock
        for namespace in self.namespaces:
            jobs = ListWatch(
                client,
                places.jobs(namespace),
                selector=selector,
                kind=Job,
                sink=JobSink(self.held, namespace),
                clock=clock,
                changed=self._tell,
            )
            pods = ListWatch(
                client,
                places.pods(namespace),
                selector=selector,
                kind=Pod,
                sink=PodSink(self.held, namespace),
                clock=clock,
                changed=self._tell,
            )
            self._watches += [(namespace, jobs), (namespace, pods)]
            self._tasks += [asyncio.create_task(jobs.run()), asyncio.create_task(pods.run())]

    def _tell(self) -> None:
        self._changed.set()
        for call in self._listeners:
            call()

    # --- one method a call -----------------------------------------------------------------------------

    async def version(self) -> tuple[int, int]:
        """Of Kubernetes: (1, 31)."""
        found = await (await self.client()).get("/version")
        digits = ("".join(filter(str.isdigit, str(found.get(part, "")))) for part in ("major", "minor"))
        major, minor = (int(number or 0) for number in digits)
        return major, minor

    async def try_to_list(self) -> None:
        """See that Jobs and Pods can be listed where they shall be."""
        client = await self.client()
        for namespace in self.namespaces:
            for path in (places.jobs(namespace), places.pods(namespace)):
                await client.read(path, limit="1", labelSelector=labels.selector(self._settings.instance))

    async def create_job(self, job: Object) -> Job:
        client = await self.client()
        made = await client.post(places.jobs(job["metadata"]["namespace"]), job)
        return msgspec.convert(without_nulls(made), Job)

    async def job(self, place: Place) -> Job | None:
        """The Job there, read now. Raises Unreachable."""
        client = await self.client()
        with self._within_reach(place.namespace):
            try:
                return _jobs.decode(await client.read(place.path))
            except NotFound:
                return None

    async def attempts(self, job: Job) -> list[Attempt]:
        """All Pods of that Job, read now. Raises Unreachable."""
        client, meta = await self.client(), job.metadata
        query = {"labelSelector": f"{labels.UID}={meta.labels.uid}", "limit": PODS_PAGE}
        found: list[Attempt] = []
        while True:
            with self._within_reach(meta.namespace):
                page = _pods.decode(await client.read(places.pods(meta.namespace), **query))
            found += (one for one in map(attempt_of, page.items or ()) if one.job_uid == meta.uid)
            if not page.metadata.continue_:
                return found
            query["continue"] = page.metadata.continue_

    async def change_job(self, job: Job, patch: Object) -> Job:
        """That very Job by a strategic merge patch, which says of which version; as it is then. Raises NotFound,
        Conflict."""
        client, meta = await self.client(), job.metadata
        return msgspec.convert(await client.strategic_patch(Place(meta.namespace, meta.name).path, patch), Job)

    async def mark(self, mark: Mark) -> None:
        """Write that mark on its Pod, as the Pod was read. Raises NotFound, Conflict."""
        client, attempt = await self.client(), mark.attempt
        await client.strategic_patch(f"{places.pods(attempt.namespace)}/{attempt.name}/status", mark.patch)

    async def delete_job(self, job: Job, *, propagation: str) -> None:
        """That very Job, and only as it is. Raises NotFound, Conflict."""
        meta = job.metadata
        path = Place(meta.namespace, meta.name).path
        client = await self.client()
        await client.delete(path, uid=meta.uid, version=meta.resource_version, propagation=propagation)

    async def create_secret(self, secret: Object) -> None:
        """Raises AlreadyExists."""
        client = await self.client()
        await client.post(places.secrets(secret["metadata"]["namespace"]), secret)

    async def secret_labels(self, place: Place) -> dict[str, str]:
        """Labels of the Secret there. Raises NotFound."""
        found = await (await self.client()).get(f"{places.secrets(place.namespace)}/{place.secret}")
        carried: dict[str, str] = found["metadata"].get("labels") or {}
        return carried

    @contextlib.contextmanager
    def _within_reach(self, namespace: str) -> Iterator[None]:
        """Raises Unreachable where we may not look and today's settings do not have us look: the namespace was that of
        earlier ones."""
        try:
            yield
        except Forbidden as error:
            if self.is_watched(namespace):
                raise
            raise Unreachable(f"the job was sent to the namespace {namespace}: {error}") from error

    async def client(self) -> KubeClient:
        """Connected with the first call, and watching from then on."""
        async with self._making:
            if not self._clients:
                configuration = await load_configuration(self._settings.kubeconfig)
                self._address = configuration.host.rstrip("/") if self._settings.kubeconfig else None
                # The watches on connections of their own: there may be two for each of many namespaces.
                self._clients = (KubeClient(configuration), KubeClient(configuration, connections=0))
                self._watch(self._clients[1])
            return self._clients[0]
