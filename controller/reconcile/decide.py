"""The rules, in one pure function: from what is, the one thing to do next. Read this file first.

Level-triggered: `decide` gets the newest object and what is known of its cloud job, never what changed.
It is called again after each action, until it answers `Wait`.
"""

from datetime import datetime, timedelta
from enum import Enum, auto

import msgspec

from controller.domain import conditions, reasons
from controller.domain.job import Job
from controller.domain.phases import Phase
from controller.ports import Observation
from controller.reconcile import statuses
from controller.reconcile.actions import (
    Accept,
    Action,
    Cancel,
    Delete,
    Finish,
    Hold,
    LookUp,
    Note,
    Release,
    Submit,
    Wait,
)


class Unseen(Enum):
    """What is known of a cloud job that no observation exists of."""

    NOT_ASKED = auto()
    """Nothing: the next bulk observation will tell."""
    IN_DOUBT = auto()
    """A bulk observation did not have it; it must be asked for singly."""
    ABSENT = auto()
    """Asked for singly just now: the service does not know it."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that decisions depend on; all times in seconds."""

    providers: frozenset[str]
    """The services that this controller is set up for."""
    missing_grace: float = 300
    """How long a submitted job that the service does not know is looked for, before it is Failed."""
    ending_grace: float = 30
    """The same for a job whose end was asked for: that it is gone is what we want to see."""
    look_again: float = 15
    """The pause between two looks for a missing job."""
    cancel_again: float = 60
    """The pause before a service that shows no reaction is asked to cancel again."""


def decide(job: Job, seen: Observation | Unseen, now: datetime, policy: Policy) -> Action:
    """The next action for that job. Pure: same input, same answer."""
    if not job.is_held and not job.is_finished:
        return Wait() if job.is_being_deleted else Hold()
    if not job.is_accepted:
        return Accept()
    if job.is_purged and not job.is_being_deleted:
        # DeleteJob died between its two steps; what it began is carried on.
        return Delete(reason=reasons.PURGED, message="DeleteJob asked for it")
    if job.is_being_deleted and (job.is_finished or _is_left_alone(job, seen)):
        return Release() if job.is_held else Wait()
    if job.is_finished:
        return _after_the_end(job, now)
    if isinstance(seen, Observation) and seen.uid == job.metadata.uid:
        return _with_a_cloud_job(job, seen, now, policy)
    if job.is_submitted:
        return _without_its_cloud_job(job, seen, now, policy)
    return _before_submission(job, seen, now, policy)


def _is_left_alone(job: Job, seen: Observation | Unseen) -> bool:
    """Whether a deleted object leaves its cloud job to itself."""
    return job.spec.deletion_policy == "Orphan" and (job.is_submitted or isinstance(seen, Observation))


def _after_the_end(job: Job, now: datetime) -> Action:
    ttl, ended = job.spec.ttl_seconds_after_finished, job.status.completed_at
    if ttl is None or ended is None:
        return Wait()
    left = (ended + timedelta(seconds=ttl) - now).total_seconds()
    if left > 0:
        return Wait(seconds=left)
    return Delete(reason=reasons.EXPIRED, message="ttlSecondsAfterFinished is over")


def _with_a_cloud_job(job: Job, seen: Observation, now: datetime, policy: Policy) -> Action:
    status = statuses.observed(job, seen, now)
    if status != job.status:
        return Note(status=status)
    if not job.wants_end or seen.is_cancelling:
        return Wait()
    asked = conditions.find(job.status.conditions, conditions.CANCELLING)
    if asked is None or not asked.is_true:
        return Cancel()
    left = policy.cancel_again - (now - asked.last_transition_time).total_seconds()
    return Cancel() if left <= 0 else Wait(seconds=left)


def _without_its_cloud_job(job: Job, seen: Observation | Unseen, now: datetime, policy: Policy) -> Action:
    if seen is Unseen.NOT_ASKED:
        return Wait()
    if seen is Unseen.IN_DOUBT:
        return LookUp()
    missing = conditions.find(job.status.conditions, conditions.OBSERVED)
    if missing is None or missing.is_true:
        message = "the service does not know the job; it is looked for"
        return Note(
            status=statuses.marked(
                job, conditions.OBSERVED, False, reason=reasons.PROVIDER_JOB_MISSING, message=message, now=now
            )
        )
    waited = (now - missing.last_transition_time).total_seconds()
    grace = min(policy.ending_grace, policy.missing_grace) if job.wants_end else policy.missing_grace
    if waited < grace:
        return Wait(seconds=min(policy.look_again, grace - waited))
    if job.wants_end:
        return Finish(phase=Phase.CANCELLED, reason=reasons.CANCELLED, message="the service no longer has the job")
    return Finish(
        phase=Phase.FAILED,
        reason=reasons.PROVIDER_JOB_MISSING,
        message=f"the service does not know the job {job.external_name} any more (looked for it for {waited:.0f} s)",
    )


def _before_submission(job: Job, seen: Observation | Unseen, now: datetime, policy: Policy) -> Action:
    if job.status.provider not in policy.providers:
        return _without_a_provider(job, now, policy)
    if job.wants_end:
        # A submission may have gone out whose result was lost: only the service knows.
        if seen is not Unseen.ABSENT:
            return LookUp()
        return Finish(
            phase=Phase.CANCELLED,
            reason=reasons.CANCELLED_BEFORE_SUBMISSION,
            message="cancelled before it was submitted",
        )
    if job.spec.suspend:
        message = "held back by spec.suspend"
        return _note_once(job, conditions.SUSPENDED, True, reason=reasons.SUSPENDED, message=message, now=now)
    return Submit()


def _without_a_provider(job: Job, now: datetime, policy: Policy) -> Action:
    if job.wants_end:
        message = "cancelled; this controller never had its provider"
        return Finish(phase=Phase.CANCELLED, reason=reasons.CANCELLED_BEFORE_SUBMISSION, message=message)
    known = ", ".join(sorted(policy.providers))
    message = f"provider {job.status.provider} is not set up in this controller (it has: {known})"
    return _note_once(
        job, conditions.SUBMITTED, False, reason=reasons.PROVIDER_NOT_CONFIGURED, message=message, now=now
    )


def _note_once(job: Job, kind: str, value: bool, *, reason: str, message: str, now: datetime) -> Action:
    status = statuses.marked(job, kind, value, reason=reason, message=message, now=now)
    return Wait() if status == job.status else Note(status=status)
