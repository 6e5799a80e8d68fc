"""Second cloud jobs of a JennahJob, from a submission whose outcome was unknown: they are found and ended."""

import logging
from collections.abc import Sequence
from datetime import datetime

import msgspec

from controller import metrics
from controller.domain import reasons
from controller.domain.errors import NotLeading, Retryable
from controller.domain.phases import Phase
from controller.ports import BatchProvider, Observation
from controller.reconcile import statuses
from controller.reconcile.decide import Policy, Unseen, is_watch_over, next_look
from controller.reconcile.draft import Draft
from controller.reconcile.observer import Observer, ref_of
from controller.reconcile.recorder import log_fields

log = logging.getLogger(__name__)


async def end_duplicates(
    draft: Draft,
    seen: Observation | Unseen,
    *,
    provider: BatchProvider,
    observer: Observer,
    policy: Policy,
    now: datetime,
) -> Observation | Unseen:
    """End all of the job's cloud jobs but one: the oldest, or the one whose end is recorded.

    It is looked again until there is none to be ended and none can come any more; then the doubt is over.
    """
    job = draft.job
    try:
        found = await provider.find(ref_of(job))
    except NotLeading:
        raise
    except Retryable as error:
        log.warning("the search for duplicates is put off: %s", error, extra=log_fields(job))
        draft.set_status(statuses.settled(draft.job.status, next_look(now, policy)), now)
        return seen
    kept = job.status.resource_path
    if not job.is_finished:
        oldest = _oldest(found, kept)
        if oldest is None:  # the answer lacks our own job: ages cannot be compared
            draft.set_status(statuses.settled(draft.job.status, next_look(now, policy)), now)
            return seen
        if oldest.resource_path != kept:
            seen, kept = oldest, oldest.resource_path
            observer.note(oldest)
            draft.set_status(statuses.observed(job, oldest, now), now)
    running = [one for one in found if one.resource_path != kept and not one.has_ended]
    for one in running:
        ref = msgspec.structs.replace(ref_of(job), resource_path=one.resource_path)
        await provider.cancel(ref, reason=reasons.DUPLICATE)
        metrics.DUPLICATES_ENDED.labels(provider.name).inc()
        message = f"ended {one.resource_path}: a second job, from a submission whose outcome was unknown"
        draft.events.append(("Warning", reasons.DUPLICATE, message))
        log.warning("%s", message, extra=log_fields(job))
    intent = job.status.submission
    if running or (intent is not None and not is_watch_over(intent, now, policy)):
        draft.set_status(statuses.settled(draft.job.status, next_look(now, policy)), now)
    else:
        draft.set_status(statuses.forgotten(draft.job.status), now)
    return seen


def _oldest(found: Sequence[Observation], kept: str | None) -> Observation | None:
    """Of one job's cloud jobs the one to keep: the oldest, so that any two controllers that do this agree; but for
    those that were ended as duplicates already. None where `kept`, our own, is not among them."""
    if all(one.resource_path != kept for one in found):
        return None
    return next(one for one in found if one.resource_path == kept or one.phase is not Phase.CANCELLED)
