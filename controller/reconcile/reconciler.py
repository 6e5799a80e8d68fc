"""The loop around `decide`: take a key, load the newest object, act until there is nothing to do, say when to look.

Order of writes (design §3): the cloud, then the database, then status. What one pass decides is kept in a
`Draft` and written once, so a job that is accepted and submitted in one pass costs one status patch.
"""

import logging

import msgspec

from controller import metrics
from controller.domain import names, reasons
from controller.domain.errors import (
    Conflict,
    Forbidden,
    Invalid,
    JennahError,
    NotFound,
    NotLeading,
    Permanent,
    Retryable,
    Unreachable,
)
from controller.domain.job import Job
from controller.domain.phases import Phase
from controller.domain.resources import ResourceSet, resolve, size
from controller.ports import Clock, JobRecord, JobResources, Leadership, Observation
from controller.reconcile import actions, statuses
from controller.reconcile.cache import JobCache
from controller.reconcile.complaints import Complaints
from controller.reconcile.decide import Policy, Unseen, decide
from controller.reconcile.draft import Draft
from controller.reconcile.duplicates import end_duplicates
from controller.reconcile.freshness import Freshness
from controller.reconcile.intents import Intents
from controller.reconcile.observer import ref_of
from controller.reconcile.queue import WorkQueue
from controller.reconcile.recorder import Recorder, log_fields
from controller.reconcile.repair import end_as_recorded, is_credible, runs_on
from controller.reconcile.sites import Sites
from controller.reconcile.submission import ReconcileSettings, Submitting
from controller.reconcile.tenancy import Tenancy

log = logging.getLogger(__name__)

MAX_STEPS = 24
"""Actions in one pass. A healthy pass has at most eight; a rule that never comes to rest stops here and backs off."""


class Reconciler:
    """Brings jobs to rest. One instance a process; its collaborators are the ports."""

    def __init__(
        self,
        *,
        cache: JobCache,
        queue: WorkQueue,
        sites: Sites,
        resources: JobResources,
        store: JobRecord,
        recorder: Recorder,
        leadership: Leadership,
        clock: Clock,
        policy: Policy,
        settings: ReconcileSettings,
        intents: Intents,
        freshness: Freshness,
    ) -> None:
        self._cache = cache
        self._queue = queue
        self._sites = sites
        self._resources = resources
        self._store = store
        self._recorder = recorder
        self._leadership = leadership
        self._clock = clock
        self._policy = policy
        self._settings = settings
        self._intents = intents
        self._freshness = freshness
        self._complaints = Complaints()
        self._tenancy = Tenancy(resources, settings.api_namespace)
        self._submitting = Submitting(
            resources=resources,
            store=store,
            recorder=recorder,
            intents=intents,
            sites=sites,
            freshness=freshness,
            clock=clock,
            settings=settings,
            policy=policy,
        )

    # --- events in -----------------------------------------------------------------------------------

    def upsert(self, job: Job) -> None:
        """Take in an object from the watch."""
        self._freshness.see(job)
        if self._cache.put(job):
            self._intents.see(job)
            self._queue.add(job.key)

    def remove(self, key: str, last: Job | None = None) -> None:
        """The object is gone; `last`: as it was at its end."""
        if last is not None and self._cache.get(key) is not None:
            self._cache.put(last)
        job = self._cache.remove(key)
        if job is not None:
            self._untrack(job)
            self._lose(job)
        self._queue.drop(key)
        self._intents.forget(key)
        self._freshness.forget(key)
        self._complaints.forget(key)

    def _lose(self, job: Job) -> None:
        """An object is gone that was not let go: what it had at the service is an orphan."""
        site = self._sites.known(job)
        if site is not None:
            site.orphans.lost(job)
        elif job.is_submitted and not job.is_finished:
            log.warning(
                "the object is gone, and its cloud job at %s cannot be looked for",
                job.status.destination or job.status.provider,
                extra=log_fields(job),
            )

    def contradict(self, seen: Observation) -> None:
        """A job of ours runs at the service though its object says that it has ended."""
        job = self._cache.get(seen.uid)
        site = self._sites.known(job) if job is not None and job.is_finished else None
        if job is not None and site is not None:
            site.observer.note(seen)
            self._queue.add(job.key)

    # --- leadership in -------------------------------------------------------------------------------

    def start_leading(self) -> None:
        """Look at every object anew: at the service all at once, and only then singly."""
        self._intents.take_over()
        self._freshness.take_over()
        for site in self._sites:
            site.observer.forget()
            site.orphans.take_over()
        for job in self._cache:
            self._track(job)
            self._queue.add(job.key)

    def stop_leading(self) -> None:
        """What was seen at the service will be old when we lead again."""
        for site in self._sites:
            site.observer.forget()
            site.orphans.stop_leading()

    # --- the loop ------------------------------------------------------------------------------------

    async def work_on(self, key: str) -> None:
        """Work on one key of the queue; called by the workers. Raises nothing: failures put the key off."""
        job = self._cache.get(key)
        if job is None:
            self._queue.drop(key)
        elif not self._leadership.is_leader():
            self._queue.add(key)  # it waits with the others
        else:
            await self._work_on(job)

    async def _work_on(self, job: Job) -> None:
        try:
            seconds = await self.reconcile(job)
        except (Conflict, NotFound):
            metrics.RECONCILES.labels("Conflict").inc()
            # Somebody wrote before us. The watch may be late: read it, so that the next pass decides anew.
            self._queue.back_off(job.key)
            await self._reload(job)
        except NotLeading:
            metrics.RECONCILES.labels("NotLeading").inc()
            self._queue.add(job.key)
        except Retryable as error:
            metrics.RECONCILES.labels(type(error).__name__).inc()
            self._complain(job, str(error), self._queue.back_off(job.key, error.delay))
        except JennahError as error:
            metrics.RECONCILES.labels(type(error).__name__).inc()
            self._complain(job, str(error), self._queue.back_off(job.key))
        except Exception:
            metrics.RECONCILES.labels("unexpected").inc()
            log.exception("unexpected failure", extra=log_fields(job))
            self._queue.back_off(job.key)
        else:
            metrics.RECONCILES.labels("ok").inc()
            self._complaints.forget(job.key)
            self._queue.forget(job.key)
            if seconds is not None:
                self._queue.add_after(job.key, seconds)

    def _complain(self, job: Job, message: str, pause: float) -> None:
        """One line a change, not one a try; and of what meets many jobs one line, not one a job."""
        if self._complaints.tell(job.key, message):
            log.warning("%s (next try in %.1f s)", message, pause, extra=log_fields(job))

    async def _reload(self, job: Job) -> None:
        try:
            newest = await self._resources.get(job.metadata.namespace, job.metadata.name)
        except JennahError as error:
            self._complain(job, str(error), 0.0)
            return
        if newest is None or newest.key != job.key:
            self.remove(job.key)
        elif self._cache.put(newest):
            self._queue.add(job.key)

    async def reconcile(self, job: Job) -> float | None:
        """One pass over a job; the seconds until the next, None for "when something changes".

        Raises Conflict, NotFound and Retryable; what was done by then is found again by the next pass.
        """
        draft = Draft(job, self._resources_of(job))
        try:
            return await self._pass(draft, self._seen(job))
        except Forbidden as refused:
            await self._tell_that_it_is_out_of_reach(draft, refused)
            raise
        except Permanent as refused:
            if refused.reason not in reasons.REFUSED_BY_THE_RECORD:
                raise
            is_news = not draft.base.is_finished
            await self._give_up(draft, refused)
            return 0.0 if is_news else None  # its ttl begins

    async def _tell_that_it_is_out_of_reach(self, draft: Draft, refused: Forbidden) -> None:
        """Leave a job as it is whose place this controller cannot reach, and say so in a condition."""
        job = draft.base
        if isinstance(refused, Unreachable) and not job.is_finished and job.is_accepted:
            draft.restart_from(job)
            now = self._clock.now()
            draft.set_status(statuses.unreachable(job, str(refused), now), now)
            await self._recorder.flush(draft, record=False)

    async def _repair(self, draft: Draft, seen: Observation | Unseen) -> None:
        """Begin anew with a status that was edited by hand: the record is asked before anything is written."""
        job = draft.job
        is_forged = not is_credible(job)
        if not is_forged and isinstance(seen, Observation) and runs_on(job, seen):
            provider = (await self._sites.of(job)).provider
            is_forged = not await end_as_recorded(job, seen, store=self._store, provider=provider)
        if is_forged:
            log.info("the status contradicts itself: it is made anew", extra=log_fields(job))
            await self._accept(draft)
            await self._submitting.recall(draft)

    async def _pass(self, draft: Draft, seen: Observation | Unseen) -> float | None:
        await self._repair(draft, seen)
        for _ in range(MAX_STEPS):
            if not self._leadership.is_leader():
                raise NotLeading("this controller does not lead")
            seen = await self._submitting.without_values(draft.job, seen)
            doubt = self._intents.doubt(draft.job)
            action = decide(draft.job, seen, self._clock.now(), self._policy, doubt)
            match action:
                case actions.Wait(seconds=seconds):
                    if draft.job.is_submitted and not draft.job.is_finished:
                        await self._sites.of(draft.job)  # makes the client of a new place, or raises Unreachable
                    if await self._flush(draft):
                        self._track(draft.job)
                        return seconds
                case actions.Release():
                    if await self._flush(draft):
                        await self._release(draft.job)
                        return None
                case actions.Delete(reason=reason, message=message):
                    if await self._flush(draft):
                        self._resources.post_event(draft.job, kind="Normal", reason=reason, message=message)
                        await self._resources.delete(draft.job)
                        return None
                case actions.LookUp():
                    seen = await self._look_up(draft)
                case actions.Cancel(reason=reason):
                    is_known = await self._cancel(draft, reason)
                    if not is_known or (isinstance(seen, Observation) and seen.is_unreleased):
                        seen = Unseen.IN_DOUBT  # what never ran goes at once
                case actions.EndDuplicates():
                    if await self._flush(draft):
                        seen = await self._end_duplicates(draft, seen)
                case actions.Submit():
                    await self._freshness.confirm(draft.base)
                    accepted = draft.job.status
                    seen, pause = await self._submitting.submit(draft)
                    # That it was accepted is told together with what comes of it.
                    is_told_later = not draft.base.is_accepted and draft.job.status == accepted
                    if pause is not None and (is_told_later or await self._flush(draft)):
                        return pause
                case actions.SubmitMore() if isinstance(seen, Observation):
                    self._track(draft.job)  # also if that fails for long: what runs is to be observed
                    await self._freshness.confirm(draft.base)
                    if await self._submitting.is_free(draft, None):
                        seen = await self._submitting.submit_more(draft, seen)
                case _:
                    await self._act(draft, action)
        raise Retryable(f"not at rest after {MAX_STEPS} steps")

    async def _act(self, draft: Draft, action: actions.Action) -> None:
        now = self._clock.now()
        match action:
            case actions.Hold():
                await self._hold(draft)
                await self._repair(draft, Unseen.NOT_ASKED)
            case actions.Accept():
                await self._accept(draft)
            case actions.Note(status=status):
                draft.set_status(await self._submitting.told(draft.job, status), now)
            case actions.Finish(phase=phase, reason=reason, message=message):
                if draft.job.is_submitted:
                    # Nobody looks at it any more: if the service should have it after all, it is not to run on.
                    site = await self._sites.of(draft.job)
                    await site.provider.cancel(ref_of(draft.job), reason=reason)
                draft.finish(phase, reason=reason, message=message, now=self._clock.now())

    async def _flush(self, draft: Draft) -> bool:
        """Write the draft. False: the record knew better, decide again."""
        is_written = await self._recorder.flush(draft)
        if not is_written:
            await self._submitting.learn(draft)
        return is_written

    # --- one method an action ------------------------------------------------------------------------

    async def _hold(self, draft: Draft) -> None:
        job = draft.base
        tenant_id = await self._tenancy.tenant_of(job)
        labels = {names.LABEL_JOB_ID: job.job_id}
        if names.tenant_fault(tenant_id) is None:
            labels[names.LABEL_TENANT] = names.tenant_label(tenant_id)
        held = await self._resources.hold(job, labels)
        self._cache.put(held)
        draft.restart_from(held)

    async def _accept(self, draft: Draft) -> None:
        job = draft.job
        tenant_id = await self._tenancy.tenant_of(job)
        provider = job.spec.provider or job.status.provider or self._settings.default_provider
        draft.set_status(statuses.accepted(job, tenant_id=tenant_id, provider=provider), self._clock.now())
        fault = names.tenant_fault(tenant_id)
        if fault is not None:
            draft.finish(
                Phase.FAILED,
                reason=reasons.INVALID_SPEC,
                message=f"tenant {tenant_id!r} {fault}",
                now=self._clock.now(),
            )
            return
        if job.spec.tenant_id not in (None, "", tenant_id):
            # Recorded as its namespace's: of the tenant that it names nothing is written.
            draft.finish(
                Phase.FAILED,
                reason=reasons.TENANT_MISMATCH,
                message=f"spec.tenantId is {job.spec.tenant_id!r}, but jobs of the namespace "
                f"{job.metadata.namespace!r} belong to the tenant {tenant_id!r}; the namespace's label "
                f"{names.LABEL_TENANT} decides",
                now=self._clock.now(),
            )
            return
        try:
            size(job.spec, self._settings.profiles)
        except Invalid as error:
            draft.finish(Phase.FAILED, reason=reasons.INVALID_SPEC, message=f"spec.{error}", now=self._clock.now())

    async def _give_up(self, draft: Draft, refused: Permanent) -> None:
        """A job that the database cannot hold ends, at the service too, and is Failed in Kubernetes alone."""
        job = draft.job
        log.error("the record refused the job: %s", refused, extra=log_fields(job))
        if job.is_submitted and not job.is_finished:
            site = await self._sites.of(job)
            await site.provider.cancel(ref_of(job), reason=refused.reason)
        if not job.is_finished:
            draft.finish(Phase.FAILED, reason=refused.reason, message=str(refused), now=self._clock.now())
        await self._recorder.flush(draft, record=False)
        self._untrack(draft.job)

    async def _look_up(self, draft: Draft) -> Observation | Unseen:
        job = draft.job
        site = await self._sites.of(job)
        provider = site.provider
        seen = await provider.get(ref_of(job))
        if job.status.resource_path is not None and (seen is None or seen.uid != job.key):
            # The path may be wrong, by hand: by its name the job is found, and no other is ended in its place.
            is_anothers = seen is not None
            seen = await provider.get(msgspec.structs.replace(ref_of(job), resource_path=None))
            if is_anothers:
                draft.set_status(statuses.without_path(job.status), self._clock.now())
                job = draft.job
        if seen is None or seen.uid != job.key:
            self._intents.looked(job)
            if job.is_submitted and job.wants_end and job.spec.deletion_policy != "Orphan":
                # What is not shown yet may be there: ask for its end by the name or id that it must have.
                await provider.cancel(ref_of(job), reason=reasons.CANCEL_REQUESTED)
            return Unseen.ABSENT
        site.observer.note(seen)
        return seen

    async def _end_duplicates(self, draft: Draft, seen: Observation | Unseen) -> Observation | Unseen:
        site = await self._sites.of(draft.job)
        return await end_duplicates(
            draft,
            seen,
            provider=site.provider,
            observer=site.observer,
            policy=self._policy,
            now=self._clock.now(),
        )

    async def _cancel(self, draft: Draft, reason: str) -> bool:
        """Ask for the job's end. False: the service does not know the job."""
        job, now = draft.job, self._clock.now()
        site = await self._sites.of(job)
        if not await site.provider.cancel(ref_of(job), reason=reason):
            return False
        draft.set_status(statuses.cancelling(job, now, reason=reason), now)
        return True

    async def _release(self, job: Job) -> None:
        """Let a deleted object go, and with it, where DeleteJob asked for that, its row and its cloud job."""
        if job.is_purged:
            await self._freshness.confirm(job)
        site = self._sites.known(job)
        if job.is_purged and job.is_submitted and site and job.spec.deletion_policy != "Orphan":
            await site.provider.delete(ref_of(job))
        if job.is_purged:
            await self._delete_row(job)
        await self._resources.release(job)
        self._untrack(job)
        log.info("released", extra=log_fields(job))

    async def _delete_row(self, job: Job) -> None:
        tenant_id = await self._tenancy.tenant_of(job)
        if names.tenant_fault(tenant_id) is None:  # no database holds another
            await self._store.delete_job(tenant_id, job.job_id, uid=job.key)

    # --- small helpers -------------------------------------------------------------------------------

    def _resources_of(self, job: Job) -> ResourceSet:
        try:
            return resolve(job.spec, self._settings.profiles)
        except Invalid:
            return ResourceSet()  # `_accept` fails the job with the message; its row shows no figures

    def _seen(self, job: Job) -> Observation | Unseen:
        site = self._sites.known(job)
        return site.observer.seen(job) if site is not None else Unseen.NOT_ASKED

    def _track(self, job: Job) -> None:
        """Have a job that is at the service observed, and no other."""
        site = self._sites.known(job)
        if site is None:
            return
        if job.is_submitted and not job.is_finished and self._cache.get(job.key) is not None:
            site.observer.track(job)
        else:
            site.observer.untrack(job)

    def _untrack(self, job: Job) -> None:
        site = self._sites.known(job)
        if site is not None:
            site.observer.untrack(job)
