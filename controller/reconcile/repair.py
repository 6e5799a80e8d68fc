"""Statuses that nobody of us can have written: somebody edited them by hand.

They are told by what they contradict, at no cost, so not every edit is told; what an observation shows it puts right.
Such a job is accepted anew: it begins at transition 0, of which the record says what has come of it since.
"""

import logging

import msgspec

from controller.domain import reasons
from controller.domain.job import Job
from controller.ports import BatchProvider, JobRecord, Observation
from controller.reconcile import statuses
from controller.reconcile.observer import ref_of
from controller.reconcile.recorder import log_fields

log = logging.getLogger(__name__)


def is_credible(job: Job) -> bool:
    """Whether we may have written that status, by itself."""
    if not job.is_accepted or job.is_purged:
        return True  # there is nothing to be wrong, or nobody is left to be told
    return _identifies(job) and statuses.has_whole_end(job.status) and _has_a_way_here(job)


def runs_on(job: Job, seen: Observation) -> bool:
    """Whether the service has that job not ended, though its status says that it has."""
    if not job.is_finished or job.is_purged or job.status.reason in reasons.REFUSED_BY_THE_RECORD:
        return False
    return seen.uid == job.key and not (seen.has_ended or seen.is_at_rest)


async def end_as_recorded(job: Job, seen: Observation, *, store: JobRecord, provider: BatchProvider) -> bool:
    """Where the record has the end of a job that `runs_on`, have what runs ended. False: the record has no end.

    What runs is a second job of it then, or one that the service did not show for so long that it was given up. The
    end that is told stays: it is nobody's edit. One that was made and never ran contradicts no end. Raises Retryable.
    """
    row = None if seen.is_unreleased else await store.get_job(job.status.tenant_id or "", job.job_id)
    if not seen.is_unreleased and (row is None or not row.status.is_terminal):
        return False
    if not (seen.is_cancelling or seen.is_being_deleted):
        ref = msgspec.structs.replace(ref_of(job), resource_path=seen.resource_path)
        await provider.cancel(ref, reason=reasons.DUPLICATE)
        log.warning("ended %s: it ran on after the job's end", seen.resource_path, extra=log_fields(job))
    return True


def _identifies(job: Job) -> bool:
    """Whether it says whose job it is, and of which service, as the spec does."""
    spec, status = job.spec, job.status
    if status.transition is None or not status.tenant_id or not status.provider:
        return False
    is_of_tenant = spec.tenant_id in (None, "", status.tenant_id) or status.reason == reasons.TENANT_MISMATCH
    return is_of_tenant and spec.provider in (None, "", status.provider)


def _has_a_way_here(job: Job) -> bool:
    """Whether a job gets into that phase: not beyond Pending without a cloud job, but to its end."""
    if job.is_finished or job.is_submitted or job.status.submission is not None:
        return True
    return not job.status.proves_a_run
