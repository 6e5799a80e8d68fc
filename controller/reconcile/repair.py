"""Statuses that nobody of us can have written: somebody edited them by hand.

They are told by what they contradict, at no cost, so not every edit is told; what an observation shows it puts right.
Such a job is accepted anew: it begins at transition 0, of which the record says what has come of it since.
"""

from controller.domain import reasons
from controller.domain.job import Job
from controller.domain.phases import Phase
from controller.ports import Observation
from controller.reconcile import statuses
from controller.reconcile.decide import Unseen


def is_credible(job: Job, seen: Observation | Unseen) -> bool:
    """Whether we may have written that status. `seen`: what is known of the cloud job."""
    if not job.is_accepted or job.is_purged:
        return True  # there is nothing to be wrong, or nobody is left to be told
    return _identifies(job) and statuses.has_whole_end(job.status) and _has_a_way_here(job, seen)


def _identifies(job: Job) -> bool:
    """Whether it says whose job it is, and of which service, as the spec does."""
    spec, status = job.spec, job.status
    if status.transition is None or not status.tenant_id or not status.provider:
        return False
    return spec.tenant_id in (None, "", status.tenant_id) and spec.provider in (None, "", status.provider)


def _has_a_way_here(job: Job, seen: Observation | Unseen) -> bool:
    """Whether a job gets into that phase: not to its end while it runs, and not beyond Pending without a cloud job."""
    status = job.status
    if job.is_finished:
        runs = isinstance(seen, Observation) and seen.uid == job.key and not seen.has_ended
        return not runs or status.reason == reasons.RECORD_REJECTED
    if job.is_submitted or status.submission is not None:
        return True
    return status.phase is Phase.PENDING and status.transition == 0
