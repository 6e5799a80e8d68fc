"""How a status changes: pure functions from a status and what happened to the next status.

The transition number moves with the phase and only here, so that Kubernetes and the database count alike.
"""

import math
from datetime import datetime

import msgspec

from controller.domain import conditions, reasons
from controller.domain.conditions import Condition
from controller.domain.destination import Destination
from controller.domain.job import Job, JobStatus, Submission
from controller.domain.phases import Phase
from controller.domain.records import JobRow
from controller.ports import Observation

_END_CONDITION = {
    Phase.COMPLETED: conditions.COMPLETE,
    Phase.FAILED: conditions.FAILED,
    Phase.CANCELLED: conditions.CANCELLED,
}
_BEFORE_IT_RUNS = (Phase.PENDING, Phase.SCHEDULED)
_PHASE_REASON = {
    Phase.PENDING: reasons.PENDING,
    Phase.SCHEDULED: reasons.SCHEDULED,
    Phase.RUNNING: reasons.RUNNING,
    Phase.COMPLETED: reasons.COMPLETED,
    Phase.FAILED: reasons.FAILED,
    Phase.CANCELLED: reasons.CANCELLED,
}


def accepted(job: Job, *, tenant_id: str, provider: str) -> JobStatus:
    """The first status: transition 0, with all that identifies the job from now on.

    A status that says that the job ran, and is not credible otherwise, is still proof of that.
    """
    proof = job.metadata.creation_timestamp if job.status.proves_a_run else None
    return msgspec.structs.replace(
        without_end(job.status),
        observed_generation=job.metadata.generation,
        phase=Phase.PENDING,
        transition=0,
        job_id=job.job_id,
        tenant_id=tenant_id,
        provider=provider,
        external_name=job.external_name,
        submitted_at=job.status.submitted_at or proof,
        reason=reasons.ACCEPTED,
    )


def observed(job: Job, seen: Observation, now: datetime, *, unscheduled_after: float = 0.0) -> JobStatus:
    """The status after an observation. Times are the service's; what it does not say stays as it was.

    Why a job waits is told once it has waited for `unscheduled_after` seconds: before that it is no news.
    """
    old = job.status
    status = msgspec.structs.replace(
        old,
        observed_generation=job.metadata.generation,
        job_id=job.job_id,
        external_name=seen.external_name,
        resource_path=seen.resource_path,
        submission=old.submission if old.submission and old.submission.in_doubt else None,
        submitted_at=old.submitted_at or seen.submitted_at or now,
        scheduled_at=seen.scheduled_at or old.scheduled_at,
        started_at=seen.started_at or old.started_at,
        exit_code=seen.exit_code,
        retries=max(seen.retries, old.retries or 0) or None,
        preemptions=max(seen.preemptions, old.preemptions or 0) or None,
        tasks=seen.tasks or old.tasks,
        progress=seen.tasks.progress if seen.tasks else old.progress,
        console_url=seen.console_url or old.console_url,
        logs_url=seen.logs_url or old.logs_url,
    )
    status = _mark(job, status, conditions.SUBMITTED, True, reasons.SUBMITTED, "the service has the job", now)
    status = _visible(job, status, seen, now)
    if conditions.find(status.conditions, conditions.SUSPENDED) or job.spec.suspend:
        reason = reasons.ALREADY_SUBMITTED if job.spec.suspend else reasons.RESUMED
        status = _mark(job, status, conditions.SUSPENDED, False, reason, "the job has been submitted", now)
    environment = conditions.find(status.conditions, conditions.ENVIRONMENT_READY)
    if environment is not None and not environment.is_true:
        status = _mark(job, status, conditions.ENVIRONMENT_READY, True, reasons.SUBMITTED, "complete", now)
    if conditions.find(status.conditions, conditions.PROGRESSING) and not (seen.tasks_due or seen.has_ended):
        told = "the next tasks were submitted"
        status = _mark(job, status, conditions.PROGRESSING, True, reasons.SUBMITTED, told, now)
    for remark in seen.remarks:
        status = _mark(job, status, remark.condition, remark.status, remark.reason, remark.message, now)
    phase: Phase = seen.phase or old.phase or Phase.PENDING
    why, message = seen.reason, seen.message
    status = _waiting(job, status, seen, phase, now, unscheduled_after)
    if phase is Phase.CANCELLED and _is_too_late(job, seen):
        phase, why, message = Phase.FAILED, reasons.PENDING_DEADLINE_EXCEEDED, too_late(job)
    elif phase is Phase.CANCELLED and seen.failed_unless_asked and not _is_asked_to_end(job):
        phase, why = Phase.FAILED, seen.failed_unless_asked
    return moved(job, status, phase, reason=why, message=message, at=seen.completed_at or now, now=now)


def _visible(job: Job, status: JobStatus, seen: Observation, now: datetime) -> JobStatus:
    """The status with the condition that says whether the service knows the job, where that was ever in question."""
    if seen.is_being_deleted:
        message = "somebody removes the job at the service"
        return _mark(job, status, conditions.OBSERVED, False, reasons.DELETED_EXTERNALLY, message, now)
    if conditions.find(status.conditions, conditions.OBSERVED):
        return _mark(job, status, conditions.OBSERVED, True, reasons.OBSERVED, "the service knows the job", now)
    return status


def until_told(job: Job, seen: Observation, now: datetime, unscheduled_after: float) -> float | None:
    """The seconds until it is told why the job waits; None where it is told already, or does not wait."""
    if seen.waits_because is None or job.status.submitted_at is None:
        return None
    left = _told_after(job, unscheduled_after) - (now - job.status.submitted_at).total_seconds()
    return left if left > 0 else None


def _told_after(job: Job, unscheduled_after: float) -> float:
    """How long a job waits for a machine before a condition says why. When its end is asked for that is told at once:
    the service may never say it again."""
    if _is_asked_to_end(job):
        return 0.0
    return min(unscheduled_after, job.spec.pending_deadline_seconds or math.inf)


def _waiting(job: Job, status: JobStatus, seen: Observation, phase: Phase, now: datetime, limit: float) -> JobStatus:
    """The status with the condition that says why the job gets no machine, once that lasts."""
    if seen.waits_because and not phase.is_terminal:
        waited, after = (now - (status.submitted_at or now)).total_seconds(), _told_after(job, limit)
        told = conditions.find(status.conditions, conditions.SCHEDULED)
        # The words count tries and name machines: only another reason is news, or each round would be a write.
        if waited < after or (told is not None and not told.is_true and told.reason == seen.waits_reason):
            return status
        return _mark(job, status, conditions.SCHEDULED, False, seen.waits_reason, seen.waits_because, now)
    told = conditions.find(status.conditions, conditions.SCHEDULED)
    if told is not None and not told.is_true and seen.phase is Phase.PENDING:
        if told.reason == reasons.WAITING_FOR_CAPACITY:
            return status
        message = "what held the job back is over; it waits for a machine"
        return _mark(job, status, conditions.SCHEDULED, False, reasons.WAITING_FOR_CAPACITY, message, now)
    has_machine = seen.phase in (Phase.SCHEDULED, Phase.RUNNING, Phase.COMPLETED)
    if told is None or not has_machine:  # "no news", of a job that is being ended say, is no evidence of a machine
        return status
    return _mark(job, status, conditions.SCHEDULED, True, reasons.SCHEDULED, "the job has a machine", now)


def _is_too_late(job: Job, seen: Observation) -> bool:
    """Whether it was we who ended the job, because it waited for too long."""
    if job.wants_end:
        return False
    asked = conditions.find(job.status.conditions, conditions.CANCELLING)
    if asked is not None:
        return asked.reason == reasons.PENDING_DEADLINE_EXCEEDED
    # Who asked may have died before it was noted: then what ended without having run, and not before its time, is ours.
    limit, ended = job.spec.pending_deadline_seconds, seen.completed_at
    since = job.status.submitted_at or seen.submitted_at
    if not seen.failed_unless_asked or limit is None or since is None or ended is None:
        return False
    return seen.started_at is None and (ended - since).total_seconds() >= limit


def too_late(job: Job) -> str:
    """That a job waited for too long, and what for, as far as that was told."""
    text = f"the job did not run within {job.spec.pending_deadline_seconds} s (spec.pendingDeadlineSeconds)"
    told = conditions.find(job.status.conditions, conditions.SCHEDULED)
    return f"{text}: {told.reason}: {told.message}" if told is not None and not told.is_true else text


def _is_asked_to_end(job: Job) -> bool:
    """Whether the job's end is our doing: a call of ours, which may have been made and not noted, precedes it."""
    return job.wants_end or conditions.find(job.status.conditions, conditions.CANCELLING) is not None


def moved(
    job: Job, status: JobStatus, phase: Phase, *, reason: str | None, message: str | None, at: datetime, now: datetime
) -> JobStatus:
    """The status in that phase: a new transition number where the phase changed, and at the end the end's condition.

    What a job waits for is its reason as long as it does, and is told with its end if it was cancelled meanwhile.
    """
    waits = conditions.waiting(status.conditions)
    reason = reason or _PHASE_REASON[phase]
    if waits is not None and phase is Phase.CANCELLED and status.phase is not Phase.RUNNING:
        message = _and_what_it_waited_for(message or "the job was cancelled", waits)
    elif waits is not None and phase in _BEFORE_IT_RUNS:
        reason, message = waits.reason, waits.message
    text = conditions.shorten(message) if message else None
    changes: dict[str, object] = {"reason": reason, "message": text, "observed_generation": job.metadata.generation}
    if phase is Phase.FAILED and status.exit_code == 0:
        changes["exit_code"] = None  # of a task that succeeded, or of a wrapper: it does not explain a failure
    if phase is not status.phase:
        number = 0 if status.transition is None else status.transition + 1
        changes |= {"phase": phase, "transition": number}
    if phase.is_terminal:
        changes |= {"completed_at": status.completed_at or at}
        if status.submission is not None:
            # An end that does not come from the service says nothing about a call that is under way.
            changes |= {"submission": msgspec.structs.replace(status.submission, in_doubt=True)}
    status = msgspec.structs.replace(status, **changes)
    if not phase.is_terminal:
        return status
    if conditions.is_true(status.conditions, conditions.CANCELLING):
        status = _mark(job, status, conditions.CANCELLING, False, reason, "the job has ended", now)
    ended = f"the job is {phase.value.lower()}"
    status = _mark(job, status, conditions.FINISHED, True, phase.value, ended, now)
    return _mark(job, status, _END_CONDITION[phase], True, reason, text or ended, now)


def _and_what_it_waited_for(message: str, waits: Condition) -> str:
    """The message of an end with what the job waited for until then; as it is where it has that already."""
    return message if waits.message in message else f"{message}; it waited: {waits.reason}: {waits.message}"


def without_path(status: JobStatus) -> JobStatus:
    """The status of a job whose path leads to another's job."""
    return msgspec.structs.replace(status, resource_path=None)


def without_end(status: JobStatus, *, but: Phase | None = None) -> JobStatus:
    """The status of a job that has not ended, or that has in the phase `but`: what tells of other ends is taken off."""
    ends = [kind for phase, kind in _END_CONDITION.items() if phase is not but]
    if but is None:
        ends.append(conditions.FINISHED)
    kept = tuple(one for one in status.conditions if one.type not in ends)
    return msgspec.structs.replace(status, conditions=kept, completed_at=status.completed_at if but else None)


def has_whole_end(status: JobStatus) -> bool:
    """Whether a status has of a job's end all that is written with it, and nothing of another."""
    ends = {one.type for one in status.conditions if one.type in _END_CONDITION.values() and one.is_true}
    if status.phase is None or not status.phase.is_terminal:
        return not ends
    return ends == {_END_CONDITION[status.phase]} and status.completed_at is not None


def ended_as(status: JobStatus, row: JobRow) -> JobStatus:
    """An end's status with the facts that the record has of it."""
    return msgspec.structs.replace(
        status,
        resource_path=row.resource_path or status.resource_path,
        scheduled_at=row.scheduled_at or status.scheduled_at,
        started_at=row.started_at or status.started_at,
        completed_at=row.completed_at or status.completed_at,
        message=row.error_message or status.message,
    )


def sent_to(status: JobStatus, destination: Destination | None) -> JobStatus:
    """The status of a job that may have been sent there; as it is where that is not known."""
    if destination is None:
        return status
    return msgspec.structs.replace(status, provider=destination.provider, destination=destination)


def as_recorded(status: JobStatus, row: JobRow) -> JobStatus:
    """The status of a job that the record knows to have run, which Kubernetes has lost. It was submitted, no sooner
    than it was created."""
    return msgspec.structs.replace(
        status,
        resource_path=row.resource_path or status.resource_path,
        submitted_at=row.created_at,
        scheduled_at=row.scheduled_at or status.scheduled_at,
        started_at=row.started_at or status.started_at,
    )


def missing(job: Job, now: datetime) -> JobStatus:
    """The job's status while the service does not know it. Time in which its place was out of reach does not count."""
    others = tuple(one for one in job.status.conditions if one.type != conditions.OBSERVED)
    status = msgspec.structs.replace(job.status, conditions=others)
    message = "the service does not know the job; it is looked for"
    return _mark(job, status, conditions.OBSERVED, False, reasons.PROVIDER_JOB_MISSING, message, now)


def unreachable(job: Job, message: str, now: datetime) -> JobStatus:
    """The job's status while the place that it was sent to cannot be reached."""
    kind = conditions.OBSERVED if job.is_submitted else conditions.SUBMITTED
    return marked(job, kind, False, reason=reasons.DESTINATION_UNREACHABLE, message=message, now=now)


def marked(job: Job, kind: str, value: bool, *, reason: str, message: str, now: datetime) -> JobStatus:
    """The job's status with one condition set. What a job waits for is its reason, too."""
    status = msgspec.structs.replace(job.status, observed_generation=job.metadata.generation)
    status = _mark(job, status, kind, value, reason, message, now)
    waits = conditions.waiting(status.conditions)
    if waits is None or status.phase not in _BEFORE_IT_RUNS:
        return status
    return msgspec.structs.replace(status, reason=waits.reason, message=waits.message)


def in_doubt(job: Job, now: datetime) -> JobStatus:
    """The job's status while nobody knows whether a submission made a job (design §3)."""
    status = marked(
        job,
        conditions.SUBMITTED,
        False,
        reason=reasons.SUBMITTING,
        message="the outcome of a submission is unknown; the service is searched for the job before it is sent again",
        now=now,
    )
    sent = status.destination.at if status.destination is not None else None
    unknown = Submission(attempt=1, by="unknown", at=sent or now, deadline=sent or now)
    known = status.submission if status.submission is not None and status.submission.is_open else unknown
    submission = msgspec.structs.replace(known, in_doubt=True)
    return msgspec.structs.replace(status, submission=submission)


def settled(status: JobStatus, look_again_at: datetime) -> JobStatus:
    """The status once it is known what came of the submission: of one that was in doubt remains a date."""
    submission = status.submission
    if submission is not None:
        # It is over by now, so a deadline that is later comes from a clock that was ahead: nobody is to wait for that.
        deadline = min(submission.deadline, look_again_at)
        doubted = msgspec.structs.replace(submission, deadline=deadline, look_again_at=look_again_at)
        status = msgspec.structs.replace(status, submission=doubted if submission.in_doubt else None)
    return status


def forgotten(status: JobStatus) -> JobStatus:
    """The status once the service was searched for duplicates and had none."""
    return msgspec.structs.replace(status, submission=None)


def cancelling(job: Job, now: datetime, *, reason: str = reasons.CANCEL_REQUESTED) -> JobStatus:
    """The job's status after the service was asked to end it; asking again renews the condition's time."""
    others = tuple(c for c in job.status.conditions if c.type != conditions.CANCELLING)
    status = msgspec.structs.replace(job.status, conditions=others)
    message = "the service was asked to end the job"
    return _mark(job, status, conditions.CANCELLING, True, reason, message, now)


def _mark(job: Job, status: JobStatus, kind: str, value: bool, reason: str, message: str, now: datetime) -> JobStatus:
    return msgspec.structs.replace(
        status,
        conditions=conditions.with_condition(
            status.conditions,
            kind,
            value,
            reason=reason,
            message=message,
            now=now,
            generation=job.metadata.generation,
        ),
    )
