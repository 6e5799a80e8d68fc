"""Writing what a pass has decided: first the database, then Kubernetes, then the event for people (design §3)."""

import logging
from datetime import datetime

import msgspec

from controller.domain import conditions, names, reasons
from controller.domain.destination import Destination, from_text
from controller.domain.errors import Unavailable
from controller.domain.job import Job, JobStatus
from controller.domain.phases import Phase
from controller.domain.records import Recorded
from controller.ports import Clock, JobResources, JobWriter
from controller.reconcile import statuses
from controller.reconcile.cache import JobCache
from controller.reconcile.draft import Draft
from controller.reconcile.freshness import Freshness

log = logging.getLogger(__name__)

WAITS = frozenset({reasons.WAITING_FOR_ENVIRONMENT, reasons.PROVIDER_NOT_CONFIGURED, reasons.DESTINATION_UNREACHABLE})
"""What a job waits for until a person sees to it, as the reasons of conditions that are False. Of others there is no
event: an outage meets all jobs at once."""


class Recorder:
    """Writes drafts. A draft without changes costs nothing."""

    def __init__(
        self, *, resources: JobResources, writer: JobWriter, cache: JobCache, clock: Clock, freshness: Freshness
    ) -> None:
        self._resources = resources
        self._writer = writer
        self._cache = cache
        self._clock = clock
        self._freshness = freshness

    async def flush(self, draft: Draft, *, record: bool = True) -> bool:
        """Write the draft. False: the record knew better and the draft goes on from there, decide again.

        Raises Conflict where Kubernetes has a newer version, Unavailable where a side cannot be reached,
        Permanent where the database will never take the row.
        """
        patch = draft.patch()
        if not patch:
            return True
        if record and not await self.record(draft):
            return False
        before = draft.base.status
        written = await self._resources.write_status(draft.base, patch)
        self._cache.put(written)
        draft.restart_from(written)
        if written.status.phase is not before.phase:
            self._announce(written)
        self._announce_waits(written, before)
        self.post_events(draft)
        return True

    async def record(self, draft: Draft) -> bool:
        """Write the draft to the database alone. False and errors as in `flush`."""
        return await self._record(draft) is not None

    async def ask(self, draft: Draft, destination: Destination | None) -> Recorded | None:
        """Write the draft to the database, with where the job is about to be sent, and hear what the record has of it.

        None: it knew better, as in `flush`. Errors as there.
        """
        return await self._record(draft, destination, is_asked=True)

    async def _record(
        self, draft: Draft, destination: Destination | None = None, *, is_asked: bool = False
    ) -> Recorded | None:
        status, now = draft.job.status, self._clock.now()
        transitions = draft.transitions(now, destination, is_asked=is_asked)
        ours = Recorded(number=status.transition or 0, phase=status.phase or Phase.PENDING)
        # A tenant that no database can hold is in Kubernetes only; of a purged job nothing is recorded any more.
        if not transitions or draft.job.is_purged or names.tenant_fault(status.tenant_id or "") is not None:
            return ours
        await self._freshness.confirm(draft.base)
        truth = await self._writer.write(transitions)
        if (truth.number, truth.phase) == (ours.number, ours.phase):
            draft.mark_recorded()
            return truth
        # A writer died between the database and Kubernetes: go on from what the record says.
        log.info("the record is ahead: %s, transition %d", truth.phase, truth.number, extra=log_fields(draft.job))
        _rebase(draft, truth, now)
        return None

    def _announce(self, job: Job) -> None:
        status = job.status
        if status.phase is None or status.phase is Phase.PENDING:
            return
        kind = "Warning" if status.phase is Phase.FAILED else "Normal"
        message = status.message or f"the job is {status.phase.value.lower()}"
        self._resources.post_event(job, kind=kind, reason=status.reason or status.phase.value, message=message)
        log.info("phase %s", status.phase.value, extra=log_fields(job))

    def _announce_waits(self, job: Job, before: JobStatus) -> None:
        """One event when a wait begins, not one a pass."""
        for condition in job.status.conditions:
            if condition.reason in WAITS and not condition.is_true:
                old = conditions.find(before.conditions, condition.type)
                if old is None or old.reason != condition.reason:
                    self._resources.post_event(job, kind="Warning", reason=condition.reason, message=condition.message)

    def post_events(self, draft: Draft) -> None:
        """Post what the pass wants people to see in ``kubectl describe``."""
        for kind, reason, message in draft.events:
            self._resources.post_event(draft.job, kind=kind, reason=reason, message=message)
        draft.events.clear()


def log_fields(job: Job) -> dict[str, str]:
    """The log fields that tell which job a line is about."""
    return {
        "job": f"{job.metadata.namespace}/{job.metadata.name}",
        "tenant": job.status.tenant_id or job.spec.tenant_id or "",
        "provider": job.status.provider or "",
        "external_name": job.external_name,
    }


def _rebase(draft: Draft, truth: Recorded, now: datetime) -> None:
    """Take the record's phase and number for the job's own; the facts of this pass stay."""
    base, job = draft.base, draft.job
    is_same = base.status.phase is truth.phase
    before = statuses.without_end(base.status, but=truth.phase if is_same and truth.phase.is_terminal else None)
    status = msgspec.structs.replace(
        job.status, phase=before.phase, conditions=before.conditions, completed_at=before.completed_at
    )
    reason, message = (before.reason, before.message) if is_same else (None, None)
    status = statuses.moved(job, status, truth.phase, reason=reason, message=message, at=now, now=now)
    draft.restart_from(base)
    status = statuses.sent_to(status, destination_of(truth)) if status.destination is None else status
    draft.job = msgspec.structs.replace(job, status=msgspec.structs.replace(status, transition=truth.number))


def destination_of(truth: Recorded) -> Destination | None:
    """Where the job may have been sent, by the record. Raises Unavailable for a text of another release."""
    if truth.destination is None:
        return None
    try:
        return from_text(truth.destination)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"the destination in the record cannot be read: {error}") from error
