"""The rules, in one pure function: from what is, the one thing to do next. Read this file first.

Level-triggered: `decide` gets the newest object and what is known of its cloud job, never what changed.
It is called again after each action, until it answers `Wait`.
"""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum, auto

import msgspec

from controller.domain import conditions, reasons
from controller.domain.job import Job, JobStatus, Submission
from controller.domain.phases import Phase
from controller.ports import Observation
from controller.reconcile import statuses
from controller.reconcile.actions import (
    Accept,
    Action,
    Cancel,
    Delete,
    EndDuplicates,
    Finish,
    Hold,
    LookUp,
    Note,
    Release,
    Submit,
    SubmitMore,
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
    intent_first: frozenset[str] = frozenset()
    """Those of them that do not let us name jobs: the intent is written before the call (design §3)."""
    gone_when_ended: frozenset[str] = frozenset()
    """Those that end a job by removing it, and whose single reads are never behind."""
    submit_limit: float = 12
    """From the writing of an intent until its call is over, whatever happens."""
    submit_settle: float = 30
    """From then until the service must show the job, if one was made."""
    duplicate_watch: float = 330
    """From the end of an intent's call until the service can no longer take it (AWS: a signature is good for five
    minutes). So long duplicates are looked for."""
    unscheduled_after: float = 120
    """How long a job waits for a machine before a condition says why."""
    takeover_settle: float = 0
    """From the beginning of our leadership until the last calls of the one before us must show: its intents are not
    known where names are ids."""
    missing_grace: float = 300
    """How long a submitted job that the service does not know is looked for, before it is Failed."""
    ending_grace: float = 30
    """The same for a job whose end was asked for: that it is gone is what we want to see."""
    look_again: float = 15
    """The pause between two looks for a missing job."""
    cancel_again: float = 60
    """The pause before a service that shows no reaction is asked to cancel again."""
    remembers: Mapping[str, float] = {}
    """By service, for how long it shows a job after its end. Later than that absence says nothing; unset: for ever."""


class Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """What this process knows of submissions whose outcome is unknown. By its own clock: another's may be wrong."""

    led: float = math.inf
    """Seconds since it leads."""
    has_called: bool = False
    """Whether it submitted the job itself in this term, so that no call but its own can be unknown to it."""
    unknown: float = 0.0
    """Seconds since the first of its own calls whose outcome it does not know; 0 where there is none."""
    sent: float = math.inf
    """Seconds since it called a service that lets us name jobs, and does not know what came of it."""
    age: float = 0.0
    """Seconds since it first saw the job's open intent."""
    looks: int = 0
    """How often it has searched the service in vain since the intent was settled."""
    looked: float = 0.0
    """Seconds since the last of them."""


NO_DOUBT = Doubt()

DUPLICATE_LOOKS = 5
"""How often duplicates are looked for in `Policy.duplicate_watch`."""
LOOKS = 2
"""Searches in vain, half of `submit_settle` apart, after which a submission in doubt is known to have made no job."""


def decide(job: Job, seen: Observation | Unseen, now: datetime, policy: Policy, doubt: Doubt = NO_DOUBT) -> Action:
    """The next action for that job. Pure: same input, same answer."""
    if not job.is_held and not job.is_finished and not (job.is_being_deleted and job.is_accepted):
        # A deleted object takes no finalizers; if ours was taken off, what runs is ended as long as there is one.
        return Wait() if job.is_being_deleted else Hold()
    if not job.is_accepted:
        return Accept()
    if job.is_purged and not job.is_being_deleted:
        # DeleteJob died between its two steps; what it began is carried on.
        return Delete(reason=reasons.PURGED, message="DeleteJob asked for it")
    if job.is_finished and job.status.submission is not None:
        return _watch(job, job.status, now, policy)
    if job.is_being_deleted and (job.is_finished or _is_left_alone(job, seen)) and job.status.submission is None:
        return Release() if job.is_held else Wait()
    if job.is_finished:
        return _after_the_end(job, now)
    if isinstance(seen, Observation) and seen.uid == job.metadata.uid:
        if seen.is_unreleased:
            return _with_one_that_never_ran(job, now, policy, doubt)
        return _with_a_cloud_job(job, seen, now, policy, doubt)
    if job.is_submitted:
        return _without_its_cloud_job(job, seen, now, policy, doubt)
    return _before_submission(job, seen, now, policy, doubt)


def _is_left_alone(job: Job, seen: Observation | Unseen) -> bool:
    """Whether a deleted object leaves its cloud job to itself: as soon as that has all of its tasks, or nobody can make
    the rest."""
    if job.spec.deletion_policy != "Orphan" or not (job.is_submitted or isinstance(seen, Observation)):
        return False
    if isinstance(seen, Observation) and seen.is_unreleased:
        return False
    tasks = seen.tasks if isinstance(seen, Observation) else job.status.tasks
    if tasks is None or tasks.is_all_submitted:
        return True
    stuck = conditions.find(job.status.conditions, conditions.PROGRESSING)
    return stuck is not None and not stuck.is_true and stuck.reason != reasons.PROVIDER_ERROR


def _after_the_end(job: Job, now: datetime) -> Action:
    ttl, ended = job.spec.ttl_seconds_after_finished, job.status.completed_at
    if ttl is None or ended is None:
        return Wait()
    left = (ended + timedelta(seconds=ttl) - now).total_seconds()
    if left > 0:
        return Wait(seconds=left)
    return Delete(reason=reasons.EXPIRED, message="ttlSecondsAfterFinished is over")


def _with_a_cloud_job(job: Job, seen: Observation, now: datetime, policy: Policy, doubt: Doubt) -> Action:
    is_ending, unsettled = _is_asked_to_end(job), None
    if seen.is_at_rest and is_ending:
        # More tasks may be on their way: by the one who led before us, or by a call of ours of unknown outcome.
        left = policy.takeover_settle - min(doubt.led, doubt.sent)
        seen, unsettled = (seen, left) if left > 0 else (seen.as_ended(), None)
    status = statuses.observed(job, seen, now, unscheduled_after=policy.unscheduled_after)
    if status.submission is not None and status.submission.is_open:
        status = statuses.settled(status, next_look(now, policy))
    if status != job.status:
        return Note(status=status)
    ending = _end(job, seen, now, policy)
    if isinstance(ending, Cancel):
        return ending
    if seen.tasks_due and not is_ending:
        return SubmitMore()
    timers = [ending.seconds, unsettled, statuses.until_told(job, seen, now, policy.unscheduled_after)]
    if status.submission is not None:
        look = _watch(job, status, now, policy)
        if not isinstance(look, Wait):
            return look
        timers.append(look.seconds)
    return Wait(seconds=min((seconds for seconds in timers if seconds is not None), default=None))


def _with_one_that_never_ran(job: Job, now: datetime, policy: Policy, doubt: Doubt) -> Action:
    """The service has a job of it that was made and not let go. Submitting again does that, and costs nothing twice;
    but of one that was submitted already it is a second one, of a process whose time was over."""
    if job.is_submitted:
        return _without_its_cloud_job(job, Unseen.ABSENT, now, policy, doubt)
    return Cancel(reason=reasons.CANCEL_REQUESTED) if job.wants_end else Submit()


def _is_asked_to_end(job: Job) -> bool:
    """Whether the service was asked for the job's end, or is about to be: no more tasks are made."""
    asked = conditions.find(job.status.conditions, conditions.CANCELLING)
    return asked is not None or bool(job.spec.cancel) or (job.is_being_deleted and job.spec.deletion_policy != "Orphan")


def _end(job: Job, seen: Observation, now: datetime, policy: Policy) -> Cancel | Wait:
    """Ask for the job's end, or wait until that may be due."""
    reason, seconds = _end_wanted(job, seen, now)
    if reason is None or seen.is_cancelling:
        return Wait(seconds=seconds)
    asked = conditions.find(job.status.conditions, conditions.CANCELLING)
    if asked is None or not asked.is_true:
        return Cancel(reason=reason)
    left = policy.cancel_again - (now - asked.last_transition_time).total_seconds()
    return Cancel(reason=reason) if left <= 0 else Wait(seconds=left)


def _end_wanted(job: Job, seen: Observation, now: datetime) -> tuple[str | None, float | None]:
    """Why the job shall end, if it shall; else the seconds until that may be."""
    if job.spec.cancel or (job.is_being_deleted and job.spec.deletion_policy != "Orphan"):
        return reasons.CANCEL_REQUESTED, None
    asked = conditions.find(job.status.conditions, conditions.CANCELLING)
    if asked is not None and asked.reason == reasons.PENDING_DEADLINE_EXCEEDED:
        return asked.reason, None
    limit, since = job.spec.pending_deadline_seconds, job.status.submitted_at
    if limit is None or since is None or seen.phase not in (Phase.PENDING, Phase.SCHEDULED) or job.status.started_at:
        return None, None
    left = limit - (now - since).total_seconds()
    return (reasons.PENDING_DEADLINE_EXCEEDED, None) if left <= 0 else (None, left)


def _watch(job: Job, status: JobStatus, now: datetime, policy: Policy) -> Action:
    """A job whose submission was once in doubt: second jobs of it are looked for, as long as one can still come."""
    submission = status.submission
    if submission is None or submission.look_again_at is None:
        return Note(status=statuses.settled(status, next_look(now, policy)))
    left = (submission.look_again_at - now).total_seconds()
    if 0 < left <= _between_looks(policy):  # a date that is later comes from a clock that was ahead
        return Wait(seconds=left)
    return EndDuplicates() if _is_served(job, policy) else Note(status=statuses.forgotten(status))


def next_look(now: datetime, policy: Policy) -> datetime:
    """When duplicates are looked for again."""
    return now + timedelta(seconds=_between_looks(policy))


def _between_looks(policy: Policy) -> float:
    return policy.duplicate_watch / DUPLICATE_LOOKS


def is_watch_over(intent: Submission, now: datetime, policy: Policy) -> bool:
    """Whether the service can no longer take that intent's call."""
    return now >= intent.deadline + timedelta(seconds=policy.duplicate_watch)


def _without_its_cloud_job(job: Job, seen: Observation | Unseen, now: datetime, policy: Policy, doubt: Doubt) -> Action:
    if seen is Unseen.NOT_ASKED:
        return Wait()
    if seen is Unseen.IN_DOUBT or isinstance(seen, Observation):
        return LookUp()  # it was not seen, or the path is another job's
    if job.status.provider in policy.gone_when_ended and conditions.is_true(
        job.status.conditions, conditions.CANCELLING
    ):
        return _removed_by_us(job)
    age = (now - (job.status.submitted_at or now)).total_seconds()
    missing = conditions.find(job.status.conditions, conditions.OBSERVED)
    if missing is not None and missing.reason == reasons.DESTINATION_UNREACHABLE:
        missing = None  # time in which the place could not be reached does not count
    if missing is None and age < policy.submit_settle:
        return Wait(seconds=min(policy.look_again, policy.submit_settle - age))  # it need not show yet
    if missing is None or missing.is_true:
        return Note(status=statuses.missing(job, now))
    # Noted by a leader before us, whose clock may have been behind: what counts is our own time as well.
    waited = min((now - missing.last_transition_time).total_seconds(), doubt.led)
    if missing.reason == reasons.DELETED_EXTERNALLY:
        phase, reason = (Phase.CANCELLED, reasons.CANCELLED) if job.wants_end else (Phase.FAILED, missing.reason)
        return Finish(phase=phase, reason=reason, message="the job was removed at the service")
    # A job that is wanted gone and is gone need not be looked for as long; unless it was made just now.
    is_young = age < policy.missing_grace
    grace = policy.missing_grace if is_young or not job.wants_end else min(policy.ending_grace, policy.missing_grace)
    if waited < grace:
        return Wait(seconds=min(policy.look_again, grace - waited))
    if job.wants_end:
        return Finish(phase=Phase.CANCELLED, reason=reasons.CANCELLED, message="the service no longer has the job")
    return Finish(
        phase=Phase.FAILED,
        reason=reasons.PROVIDER_JOB_MISSING,
        message=f"the service does not know the job {job.external_name} any more (looked for it for {waited:.0f} s)",
    )


def _removed_by_us(job: Job) -> Action:
    """The end of a job that the service removed because we asked it to, and of which nothing else is known."""
    asked = conditions.find(job.status.conditions, conditions.CANCELLING)
    if asked is not None and asked.reason == reasons.PENDING_DEADLINE_EXCEEDED and not job.wants_end:
        return Finish(phase=Phase.FAILED, reason=asked.reason, message=statuses.too_late(job))
    return Finish(
        phase=Phase.CANCELLED, reason=reasons.CANCELLED, message="the service removed the job, as it was asked"
    )


def _is_served(job: Job, policy: Policy) -> bool:
    """Whether this controller has a client for the job: one of today's, or one for where it was sent."""
    return job.status.destination is not None or job.status.provider in policy.providers


def _before_submission(job: Job, seen: Observation | Unseen, now: datetime, policy: Policy, doubt: Doubt) -> Action:
    """No observation has the job, and no record says that the service ever had it."""
    if not _is_served(job, policy):
        return _without_a_provider(job, now, policy)
    if job.status.provider in policy.intent_first:
        unsettled = _settle(job, seen, now, policy, doubt)
        if unsettled is not None:
            return unsettled
    elif job.wants_end:
        # A submission may have gone out whose result was lost: by us, or by the one who led before us.
        if doubt.sent < math.inf:
            return Submit()  # again, under the same name: the only way to know; then it can be ended
        if seen is not Unseen.ABSENT:
            return LookUp()
        if doubt.led < policy.takeover_settle:
            return Wait(seconds=policy.takeover_settle - doubt.led)
    elif job.status.destination is not None:
        # An earlier leader, or an earlier call whose outcome is unknown, may have sent the job. If that was long ago,
        # the job may have ended, and the service may have forgotten it.
        old = _since(job.status.destination.at, now) if not doubt.has_called else doubt.unknown
        is_forgotten = old > policy.remembers.get(job.status.provider or "", math.inf)
        if seen is not Unseen.ABSENT and (is_forgotten or not doubt.has_called):
            return LookUp()
        if is_forgotten:
            return _lost(job)
    if job.wants_end:
        return Finish(
            phase=Phase.CANCELLED,
            reason=reasons.CANCELLED_BEFORE_SUBMISSION,
            message="cancelled before it was submitted",
        )
    if job.spec.suspend:
        message = "held back by spec.suspend"
        rest = _note_once(job, conditions.SUSPENDED, True, reason=reasons.SUSPENDED, message=message, now=now)
        doubted = job.status.submission
        if isinstance(rest, Note) or doubted is None or is_watch_over(doubted, now, policy):
            return rest
        return Wait(seconds=_apart(policy))  # a job of an earlier submission may still turn up
    return Submit()


def _since(at: datetime | None, now: datetime) -> float:
    return (now - at).total_seconds() if at is not None else 0.0


def _lost(job: Job) -> Finish:
    """The end of a job that may have run, and of which no record is left that could tell: it is not run again."""
    if job.wants_end:
        return Finish(phase=Phase.CANCELLED, reason=reasons.CANCELLED, message="the service no longer has the job")
    return Finish(
        phase=Phase.FAILED,
        reason=reasons.PROVIDER_JOB_MISSING,
        message="it is not known whether the job ran: the outcome of its submission was lost, and the service does not "
        "show ended jobs for long enough to tell; it is not run again",
    )


def _settle(job: Job, seen: Observation | Unseen, now: datetime, policy: Policy, doubt: Doubt) -> Action | None:
    """What finds out if an intent without a result made a job; None where there is none, or it made no job.

    The one who wrote it may be another process that is still alive: nothing is done before its call must be over
    and the service must show the job, by our own clock; and nothing is sent before that by the intent's own dates.
    """
    intent = job.status.submission
    if intent is None or not intent.is_open:
        # Its last call is known to have made nothing; but status may be an old one, and only who called can tell.
        is_unsure = job.status.destination is not None and not doubt.has_called
        return Note(status=statuses.in_doubt(job, now)) if is_unsure else None
    if not intent.in_doubt:
        return Note(status=statuses.in_doubt(job, now))
    left = policy.submit_limit + policy.submit_settle - doubt.age
    if left > 0:
        return Wait(seconds=left)
    if doubt.looks >= LOOKS and seen is Unseen.ABSENT:
        left = policy.submit_settle - _since_deadline(intent, now, doubt)
        if left > 0:
            return Wait(seconds=min(left, _apart(policy)))
        is_forgotten = _since(intent.at, now) > policy.remembers.get(job.status.provider or "", math.inf)
        return _lost(job) if is_forgotten else None
    if doubt.looks and doubt.looked < _apart(policy):
        return Wait(seconds=_apart(policy) - doubt.looked)
    return LookUp()


def _since_deadline(intent: Submission, now: datetime, doubt: Doubt) -> float:
    """The seconds since an intent's call must be over; negative before that. By its date; where the clock that wrote it
    was ahead, by our own time: it was written before we saw it."""
    allowed = (intent.deadline - intent.at).total_seconds()
    return max((now - intent.deadline).total_seconds(), doubt.age - allowed)


def _apart(policy: Policy) -> float:
    """The seconds between two searches for a job."""
    return max(policy.submit_settle / 2, 1.0)


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
