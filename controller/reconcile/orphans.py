"""Cloud jobs whose JennahJob is gone though they have not ended: somebody forced the finalizer off.

Rarely, and by the leader only, what runs at the service is compared with what there is in Kubernetes. A job counts as
an orphan when its object is not in a list that Kubernetes gave after the job was seen at the service, and when that was
longer ago than any submission can be under way. An object that goes while we watch (`lost`) needs no such proof.

An orphan is ended or only reported (`OrphanPolicy.ends`); its record gets its end when the service says that it ended.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Iterable
from datetime import timedelta

import msgspec

from controller import metrics
from controller.clock import wait_for_event
from controller.domain import reasons
from controller.domain.errors import JennahError, NotLeading
from controller.domain.job import Job
from controller.ports import BatchProvider, Clock, JobRef, JobResources, Leadership, Observation, OwnedJob
from controller.reconcile.cache import JobCache
from controller.reconcile.endings import Ending, Endings
from controller.reconcile.observer import ref_of

log = logging.getLogger(__name__)

AGE_SECONDS = 15.0
"""How long an orphan is known before anything is done about it: longer than a submission's call can take."""
ENDING_SECONDS = 30.0
"""The pause between two sweeps while orphans are being ended."""
LOOKS = 200
"""Orphans that left the list and are asked for singly in one sweep; the others have their turn in the next."""
LOOKS_SECONDS = 60.0
"""How long those looks may take: where each meets its time limit, what runs is to be ended all the same."""
LOOK_BACK = timedelta(days=1)
"""How long ago a job may have ended to be found by the first sweep of a process: its object may have gone while no
operator ran."""
LOOKS_BACK = 3
"""How many sweeps try that: where there is more than the service tells at once, the others do without."""
REMEMBERED = 10_000
"""Objects that were seen to go, at most: a standby collects them and does nothing about them. The oldest give way."""


class OrphanPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of the sweep."""

    ends: bool
    """Whether orphans are ended; else they are reported."""
    every: float
    """Seconds between two sweeps, and from the beginning of our leadership to the first."""
    namespaces: frozenset[str] = frozenset()
    """Those that are watched; none means all."""
    missing_grace: float = 300.0
    """Seconds that an orphan which the service does not know is looked for."""


class _Orphan(msgspec.Struct, kw_only=True):
    ref: JobRef
    namespace: str
    tenant_id: str
    job_id: str
    is_left_alone: bool
    never_ran: bool = False
    since: float
    """By the monotonic clock: when it was seen first."""
    was_seen_to_go: bool = False
    """Whether its object went before our eyes: then the list may leave it out."""
    runs: bool = False
    """Whether the service has it, by the last look."""
    is_told: bool = False
    was_asked: bool = False
    """Whether the service was asked to end it."""
    missing_since: float | None = None
    looked_at: float = -math.inf
    """When it was asked for singly."""


class Orphans:
    """Those that are known. Lost with the process; what still runs is found again by the next one."""

    def __init__(
        self,
        *,
        provider: BatchProvider,
        resources: JobResources,
        cache: JobCache,
        endings: Endings,
        leadership: Leadership,
        clock: Clock,
        policy: OrphanPolicy,
        vanished: Callable[[str], None],
        contradicted: Callable[[Observation], None],
        label: str = "",
    ) -> None:
        """`label`: what metrics and log lines call the provider; its name by default."""
        self._provider = provider
        self._label = label or provider.name
        self._resources = resources
        self._cache = cache
        self._endings = endings
        self._leadership = leadership
        self._clock = clock
        self._policy = policy
        self._vanished = vanished
        """Called with the uid of an object that is gone."""
        self._contradicted = contradicted
        """Called for a job that has not ended though its object says so."""
        self._known: dict[tuple[str, str], _Orphan] = {}
        self._looks_back = LOOKS_BACK
        self._first = self._due = clock.monotonic() + policy.every
        self._sooner = asyncio.Event()
        self._troubles: set[str] = set()
        """What the sweep before met, and what this one does."""
        self._met: set[str] = set()

    def take_over(self) -> None:
        """We lead from now on."""
        self._first = self._due = self._clock.monotonic() + self._policy.every

    def stop_leading(self) -> None:
        """Somebody else tells of them now."""
        metrics.ORPHANS.labels(self._label).set(0)

    def lost(self, job: Job) -> None:
        """An object is gone that we did not let go; also on a standby."""
        provider = job.status.provider or job.spec.provider or self._provider.name
        if job.is_finished or job.is_purged or provider != self._provider.name:
            return  # the second is none of this service's: nothing of it was sent here
        if len(self._known) >= REMEMBERED:
            self._known.pop(next(iter(self._known)))
        self._known[_key(ref_of(job))] = _Orphan(
            ref=ref_of(job),
            namespace=job.metadata.namespace,
            tenant_id=job.spec.tenant_id or job.status.tenant_id or "",
            job_id=job.job_id,
            is_left_alone=job.spec.deletion_policy == "Orphan",
            since=self._clock.monotonic(),
            was_seen_to_go=True,
        )
        # Its end is to be recorded while we are here to do it.
        self._due = max(self._first, min(self._due, self._clock.monotonic() + AGE_SECONDS))
        self._sooner.set()

    async def run(self) -> None:
        """Sweep after sweep, while we lead. Runs until it is cancelled."""
        while True:
            await self._leadership.wait_until_leader()
            left = self._due - self._clock.monotonic()
            if left > 0:
                self._sooner.clear()
                await wait_for_event(self._sooner, left, self._clock)
                continue
            begun = self._clock.monotonic()
            await self._try_to_sweep()
            self._due = self._next(begun)

    def _next(self, begun: float) -> float:
        """When the sweep is due that comes after the one that was begun then."""
        known = self._known.values()
        is_ending = any(one.was_asked and one.runs for one in known)
        due = self._clock.monotonic() + (min(self._policy.every, ENDING_SECONDS) if is_ending else self._policy.every)
        # What went meanwhile, or just before, is not to wait for so long.
        young = (one.since + AGE_SECONDS for one in known if one.was_seen_to_go and one.since + AGE_SECONDS > begun)
        return max(self._first, min((due, *young)))

    async def _try_to_sweep(self) -> None:
        self._met = set()
        try:
            await self.sweep()
        except NotLeading:
            return
        except JennahError as error:
            self._complain(str(error))
        except Exception:
            # A surprise in one answer must not end the program: it would come again after each restart.
            log.exception("unexpected failure of the search for orphans")
            self._met.add("unexpected failure")
        if self._troubles and not self._met:
            log.info("orphans can be looked for again")
        self._troubles = self._met

    async def sweep(self) -> None:
        """One comparison, and what follows from it. Raises what a call raises: the next sweep goes on."""
        cached = {job.key for job in self._cache}
        there = await self._resources.uids(self._policy.namespaces)
        for key in cached - there:
            self._vanished(key)  # the watch missed its end
        ended = {job.key for job in self._cache if job.is_finished}
        there |= {job.key for job in self._cache}
        self._known = {key: one for key, one in self._known.items() if one.ref.uid not in there}
        due = [one for one in self._known.values() if self._clock.monotonic() - one.since >= AGE_SECONDS]
        since = self._clock.now() - LOOK_BACK if self._looks_back else None
        self._looks_back = max(self._looks_back - 1, 0)
        listed = await self._provider.unclaimed(there - ended, ended_since=since)
        self._looks_back = 0
        for one in listed:
            if one.seen.uid in there and not one.has_ended:
                self._contradicted(one.seen)
        self._take_in(one for one in listed if one.seen.uid not in there)
        await self._follow([one for one in due if not one.runs])
        for orphan in due:
            if orphan.runs:
                await self._see_to(orphan)
        told = sum(one.runs and one.is_told and not one.is_left_alone for one in self._known.values())
        metrics.ORPHANS.labels(self._label).set(told)

    def _take_in(self, listed: Iterable[OwnedJob]) -> None:
        for orphan in self._known.values():
            orphan.runs = False
        for one in listed:
            if self._policy.namespaces and one.namespace and one.namespace not in self._policy.namespaces:
                continue  # another installation watches that one
            ref = JobRef(
                external_name=one.seen.external_name,
                uid=one.seen.uid,
                resource_path=one.seen.resource_path,
                submitted_at=one.seen.submitted_at,
            )
            known = self._known.get(_key(ref)) or self._known.pop((ref.uid, ""), None)
            if known is None:
                known = _Orphan(
                    ref=ref,
                    namespace=one.namespace,
                    tenant_id=one.tenant_id,
                    job_id=one.job_id,
                    is_left_alone=one.is_left_alone,
                    since=self._clock.monotonic(),
                )
            known.ref, known.runs, known.missing_since = ref, not one.has_ended, None
            known.never_ran = one.seen.is_unreleased
            self._known[_key(ref)] = known

    async def _see_to(self, orphan: _Orphan) -> None:
        """Tell of it once, and ask for its end where that is wanted, again in each sweep."""
        is_to_end = self._policy.ends and not orphan.is_left_alone and orphan.namespace != ""
        is_to_end |= orphan.never_ran  # and nobody is left who would let it go
        if not orphan.is_told:
            orphan.is_told = True
            self._tell(orphan, is_to_end=is_to_end)
        if is_to_end:
            try:
                await self._provider.cancel(orphan.ref, reason=reasons.ORPHANED)
                if self._provider.cancel_erases:
                    await self._end_before_it_is_gone(orphan)
            except NotLeading:
                raise
            except JennahError as error:
                self._complain(str(error))
            else:
                orphan.was_asked = True

    async def _end_before_it_is_gone(self, orphan: _Orphan) -> None:
        """Have the row ended as long as there is something to tell it by: who leads by then may be another process."""
        seen = await self._provider.get(orphan.ref)
        if seen is not None and seen.uid == orphan.ref.uid and seen.is_cancelling:
            ending = Ending.asked_for()
            await self._endings.record(orphan.ref, tenant_id=orphan.tenant_id, job_id=orphan.job_id, ending=ending)

    async def _follow(self, left: list[_Orphan]) -> None:
        """Those that were not listed: whether they run all the same, or what became of them, for their record."""
        left.sort(key=lambda one: (one.looked_at, not one.was_seen_to_go))  # each has its turn
        until = self._clock.monotonic() + LOOKS_SECONDS
        for orphan in left[:LOOKS]:
            now = self._clock.monotonic()
            if now >= until:
                return
            orphan.looked_at = now
            try:
                await self._look_at(orphan)
            except NotLeading:
                raise
            except JennahError as error:
                self._complain(str(error))

    async def _look_at(self, orphan: _Orphan) -> None:
        is_open = await self._endings.is_open(orphan.tenant_id, orphan.job_id)
        if not is_open and not orphan.was_seen_to_go:
            # It was listed, so it has ended by now, and nobody waits to be told: most of those of the look back.
            self._forget(orphan)
            return
        seen = await self._provider.get(orphan.ref)
        if seen is not None and seen.uid == orphan.ref.uid:
            seen = seen.as_ended() if seen.is_at_rest else seen  # nobody makes its next tasks
            if seen.has_ended:
                await self._end(orphan, Ending.of(seen))
            else:
                orphan.runs, orphan.missing_since = True, None
            return
        now = self._clock.monotonic()
        if orphan.missing_since is None:
            orphan.missing_since = now
        if now - orphan.missing_since >= self._policy.missing_grace:
            never_was = orphan.was_asked or orphan.ref.submitted_at is None
            await self._end(orphan, Ending.cancelled() if never_was else Ending.missing())

    async def _end(self, orphan: _Orphan, ending: Ending) -> None:
        await self._endings.record(orphan.ref, tenant_id=orphan.tenant_id, job_id=orphan.job_id, ending=ending)
        self._forget(orphan)

    def _forget(self, orphan: _Orphan) -> None:
        self._known.pop(_key(orphan.ref), None)
        if orphan.was_asked:
            metrics.ORPHANS_ENDED.labels(self._label).inc()
        if orphan.is_told:
            log.info("the orphan has ended", extra=self._fields(orphan))

    def _tell(self, orphan: _Orphan, *, is_to_end: bool) -> None:
        if orphan.is_left_alone and not is_to_end:
            log.info("a cloud job goes on without its JennahJob, as deletionPolicy says", extra=self._fields(orphan))
            return
        what = "it is ended" if is_to_end else "it is left running (ORPHANS=report)"
        if self._policy.ends and not is_to_end:
            what = "it is left running, as it does not say of which namespace it is"
        where = orphan.ref.resource_path
        log.warning("a cloud job has no JennahJob any more: %s: %s", where, what, extra=self._fields(orphan))

    def _complain(self, message: str) -> None:
        """One line a change, not one a try, nor one an orphan."""
        if message not in self._troubles | self._met:
            log.warning("orphans cannot be looked for or ended: %s", message)
        self._met.add(message)

    def _fields(self, orphan: _Orphan) -> dict[str, str]:
        return {
            "job": f"{orphan.namespace}/{orphan.job_id}",
            "tenant": orphan.tenant_id,
            "provider": self._label,
            "external_name": orphan.ref.external_name,
        }


def _key(ref: JobRef) -> tuple[str, str]:
    return ref.uid, ref.resource_path or ""
