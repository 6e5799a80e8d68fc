"""Kubernetes Jobs: the adapter. What requests and answers mean is in `request` and `observation`.

Names are ids here: a Job is created under the name that the JennahJob's uid gives, and one that exists already is
adopted if it carries our uid. Jobs are not asked for at intervals: a watch tells (`cluster`, `held`).
"""

import asyncio
import logging
import math
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from datetime import datetime

import msgspec

from controller.cloud_settings import KubernetesSettings
from controller.domain.destination import Destination
from controller.domain.errors import (
    ConfigError,
    Conflict,
    Forbidden,
    NotFound,
    Unavailable,
    Unreachable,
)
from controller.domain.job import JobSpec
from controller.ports import Clock, JobRef, Observation, OwnedJob, SubmitRequest
from controller.providers.kubernetes import differences, observation, places, request
from controller.providers.kubernetes.cluster import Cluster
from controller.providers.kubernetes.making import Making
from controller.providers.kubernetes.marking import Marking
from controller.providers.kubernetes.places import Place
from controller.providers.kubernetes.reruns import Tasks
from controller.providers.kubernetes.wire import Job

log = logging.getLogger(__name__)

OLDEST = (1, 29)
"""Of Kubernetes: podFailurePolicy and backoffLimitPerIndex are there by default since then."""
CALL_SECONDS = 11.0
"""For all calls of a submission or of a cancellation together: shorter than what the reconciler gives it."""
TRIES = 5
"""To delete a Job as it was read: it may move meanwhile."""
UNWATCHED_SECONDS = 10.0
"""Between two questions for a Job that is there and that the watch does not tell of: one that was made before
JENNAH_INSTANCE or a namespace was changed, or whose labels somebody edited."""
SINGLY_SECONDS = 8.0
"""How long one round asks for Jobs that the watch does not tell of; the others have their turn in the next."""
BREATH = 2000
"""Jobs that are gone through before others get the event loop again."""


class KubernetesProvider:
    """`ports.BatchProvider` on Kubernetes Jobs; `ports.Watched` as well."""

    name = "kubernetes"
    names_are_ids = True
    cancel_erases = True

    def __init__(self, settings: KubernetesSettings, clock: Clock) -> None:
        self.region = settings.region
        self.remembers_seconds = float(settings.ttl_seconds)
        self._settings = settings
        self._cluster = Cluster(settings, clock)
        self._clock = clock
        self._held = self._cluster.held
        self._making = Making(self._cluster, settings)
        self._marking = Marking(self._cluster)
        self._unwatched: dict[str, tuple[float, Observation]] = {}
        """By external name: when it was asked for last, and how it stood."""
        self._failing: frozenset[str] = frozenset()

    def on_change(self, call: Callable[[], None]) -> None:
        self._cluster.on_change(call)

    @property
    def site(self) -> Destination:
        return Destination(provider=self.name, account=self._cluster.address)

    def destination(self, spec: JobSpec, namespace: str) -> Destination:
        where = request.namespace_of(namespace, self._settings)
        return msgspec.structs.replace(self.site, namespace=where)

    async def open(self) -> None:
        """Raises ConfigError for a cluster that is too old or does not allow what is needed, or Unavailable."""
        version = await self._cluster.version()
        if version < OLDEST:
            told, needed = (".".join(map(str, one)) for one in (version, OLDEST))
            raise ConfigError([f"BATCH_PROVIDER=kubernetes needs Kubernetes {needed} or newer, this is {told}"])
        try:
            await self._cluster.try_to_list()
        except Forbidden as error:
            where = ", ".join(filter(None, self._cluster.namespaces)) or "all namespaces"
            raise ConfigError(
                [f"BATCH_PROVIDER=kubernetes needs the rights of docs/providers/kubernetes.md in {where}: {error}"]
            ) from error

    async def prepare(self, request: SubmitRequest) -> None:
        """Nothing to do: names are ids here."""

    async def submit(self, request: SubmitRequest) -> Observation:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                seen = await self._submit(request)
        except TimeoutError:
            raise Unavailable("Kubernetes API: the submission took too long") from None
        return msgspec.structs.replace(seen, remarks=differences.remarks(request))

    async def find(self, ref: JobRef) -> Sequence[Observation]:
        seen = await self.get(ref)
        return [seen] if seen is not None and seen.uid == ref.uid else []

    async def get(self, ref: JobRef) -> Observation | None:
        place = await self._find_place(ref)
        known = self._held.job(place)
        job = await self._cluster.job(place)
        if job is None:
            self._held.bury(place, known)
            self._unwatched.pop(ref.external_name, None)
            return self._held.seen(place)
        seen = await self._observed(job)
        if seen.uid == ref.uid and known is None:
            self._held.unbury(job)
            if self._held.seen(place) is None:
                self._unwatched[ref.external_name] = (self._clock.monotonic(), seen)
        return seen

    async def observe(self, refs: Collection[JobRef]) -> Mapping[str, Observation]:
        """From what the watch told. Jobs of a namespace that cannot be watched stay as they were last seen; raises
        where none can."""
        if not refs:
            return {}
        faults = await self._cluster.faults()
        if len(faults) == len(self._cluster.namespaces):
            raise Unavailable(f"Jobs cannot be observed: {next(iter(faults.values()))}")
        await self._marking.mark(self._held.marks())
        found: dict[str, Observation] = {}
        unexplained: dict[str, Job] = {}
        singly: list[JobRef] = []
        for number, ref in enumerate(refs, 1):
            place = self._place(ref)
            seen = self._held.seen(place)
            if place.namespace in faults:
                found |= _as_it_was(ref, seen)
            elif self._held.is_unsure(place) or (seen is None and ref.external_name in self._unwatched):
                singly.append(ref)
            elif seen is not None and seen.uid == ref.uid:
                job = self._held.unexplained(place) if seen.has_ended else None
                if job is None:
                    found[ref.external_name] = seen
                else:
                    unexplained[ref.external_name] = job
            if number % BREATH == 0:
                await asyncio.sleep(0)
        for name, job in unexplained.items():
            # Its Pods are behind on their own watch, or were cleared away before we came: asked for once.
            found[name] = await self._observed(job)
            self._held.explain(job, found[name])
        refused = await self._ask_for_unwatched(singly, found)
        self._tell({**refused, **faults})
        return found

    async def unclaimed(self, claimed: Set[str], *, ended_since: datetime | None = None) -> Sequence[OwnedJob]:
        await self._cluster.be_current()
        found = []
        for job, seen in self._held.all():
            if seen.uid in claimed or not self._may_be_of(job):
                continue
            ended = observation.ended_at(job)
            if ended is None or (ended_since is not None and ended > ended_since):
                found.append(observation.owned(job, seen))
        return found

    async def cancel(self, ref: JobRef, *, reason: str) -> bool:
        """Delete the Job, its Pods before it; that it is gone is how it ends. One that has ended is left alone."""
        place = await self._find_place(ref)
        try:
            async with asyncio.timeout(CALL_SECONDS):
                for _ in range(TRIES):
                    job = await self._cluster.job(place)
                    if job is None:
                        gone = self._held.seen(place)
                        return gone is not None and gone.uid == ref.uid
                    if job.metadata.labels.uid != ref.uid:
                        return False
                    if observation.has_ended(job) or job.metadata.deletion_timestamp is not None:
                        return True
                    try:
                        # Foreground: the Job is there until its last Pod has ended. The default would leave the Pods.
                        await self._cluster.delete_job(job, propagation="Foreground")
                        return True
                    except (Conflict, NotFound):
                        continue  # it moved, perhaps to its end
        except TimeoutError:
            raise Unavailable("Kubernetes API: the cancellation took too long") from None
        raise Conflict(f"the Job {place.name} moves too fast to be deleted as it was read; it is tried again")

    async def delete(self, ref: JobRef) -> None:
        job = await self._cluster.job(await self._find_place(ref))
        if job is None or not observation.has_ended(job) or job.metadata.labels.uid != ref.uid:
            return
        try:
            await self._cluster.delete_job(job, propagation="Background")
        except (Conflict, NotFound):
            return  # an ended Job changes only by being deleted

    async def close(self) -> None:
        await self._cluster.close()

    async def _submit(self, asked: SubmitRequest) -> Observation:
        await self._cluster.client()
        self._check(asked.destination)
        place = request.place(asked, self._settings)
        gone = self._held.seen(place)
        if gone is not None and gone.uid == asked.uid and gone.has_ended:
            return gone  # it ran, or was removed before the answer of its submission came: never again
        job, is_new = await self._making.make(asked, place)
        seen = observation.observation(job, ()) if is_new else await self._observed(job)
        if not self._cluster.is_watched(place.namespace):
            self._unwatched[asked.external_name] = (self._clock.monotonic(), seen)
        elif is_new or self._held.job(place) is not None:  # of one that was there the watch need not tell
            self._held.put_job(job)
        return seen

    # --- small helpers ---------------------------------------------------------------------------------

    def _tell(self, faults: Mapping[str, str]) -> None:
        """What cannot be watched, once for as long as it cannot."""
        for namespace, fault in faults.items():
            if namespace not in self._failing:
                log.warning("the Jobs of %s cannot be observed: %s", namespace or "all namespaces", fault)
        self._failing = frozenset(faults)

    async def _ask_for_unwatched(self, refs: list[JobRef], found: dict[str, Observation]) -> Mapping[str, str]:
        """What becomes of Jobs that the watch does not tell of. What nobody asks for any more is forgotten.

        The refusals of namespaces where we may not ask any more: their jobs stay as they were last seen.
        """
        self._unwatched = {
            ref.external_name: self._unwatched[ref.external_name]
            for ref in refs
            if ref.external_name in self._unwatched
        }
        refused: dict[str, str] = {}
        until = self._clock.monotonic() + SINGLY_SECONDS
        known = [(*self._unwatched.get(ref.external_name, (-math.inf, None)), ref) for ref in refs]
        for asked_at, seen, ref in sorted(known, key=lambda one: one[0]):
            now, namespace = self._clock.monotonic(), self._place(ref).namespace
            if asked_at + UNWATCHED_SECONDS <= now < until and namespace not in refused:
                try:
                    seen = await self.get(ref)
                except Forbidden as error:
                    refused[namespace] = str(error)
            if seen is not None and seen.uid == ref.uid:
                found[ref.external_name] = seen
        return refused

    async def _observed(self, job: Job) -> Observation:
        attempts = await self._cluster.attempts(job)
        await self._marking.mark(list(Tasks(job, attempts).marks()))
        return observation.observation(job, attempts)

    def _may_be_of(self, job: Job) -> bool:
        """Whether a JennahJob of the namespace that the Job names can have it: in another than its own, somebody else
        labelled it so, and its end would be written down as that tenant's."""
        return bool(self._settings.namespace) or job.metadata.labels.namespace == job.metadata.namespace

    async def _find_place(self, ref: JobRef) -> Place:
        """Its place. Raises Unreachable for one in another cluster."""
        await self._cluster.client()  # only then it is known which cluster this is
        return self._place(ref)

    def _place(self, ref: JobRef) -> Place:
        self._check(ref.destination)
        return places.place_of(ref, self._settings.namespace)

    def _check(self, sent: Destination | None) -> None:
        if sent is not None and sent.site != self.site:
            ours, theirs = (_cluster_named(one) for one in (self.site, sent.site))
            raise Unreachable(f"the job was sent to {theirs}, and this is a client of {ours}")


def _cluster_named(site: Destination) -> str:
    if site.provider != KubernetesProvider.name:
        return str(site)
    return f"the cluster {site.account}" if site.account else "the controller's own cluster"


def _as_it_was(ref: JobRef, last: Observation | None) -> dict[str, Observation]:
    """A job that cannot be observed now, by its name. That its Job has ended or gone is told when that is sure."""
    if last is not None and last.uid == ref.uid and not last.has_ended:
        return {ref.external_name: last}
    if ref.resource_path is None:
        return {}
    return {
        ref.external_name: Observation(
            external_name=ref.external_name, uid=ref.uid, resource_path=ref.resource_path, phase=None
        )
    }
