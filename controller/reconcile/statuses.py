"""How a status changes: pure functions from a status and what happened to the next status.

The transition number moves with the phase and only here, so that Kubernetes and the database count alike.
"""

from datetime import datetime

import msgspec

from controller.domain import conditions, reasons
from controller.domain.job import Job, JobStatus
from controller.domain.phases import Phase
from controller.ports import Observation

_END_CONDITION = {
    Phase.COMPLETED: conditions.COMPLETE,
    Phase.FAILED: conditions.FAILED,
    Phase.CANCELLED: conditions.CANCELLED,
}
_PHASE_REASON = {
    Phase.PENDING: reasons.PENDING,
    Phase.SCHEDULED: reasons.SCHEDULED,
    Phase.RUNNING: reasons.RUNNING,
    Phase.COMPLETED: reasons.COMPLETED,
    Phase.FAILED: reasons.FAILED,
    Phase.CANCELLED: reasons.CANCELLED,
}


def accepted(job: Job, *, tenant_id: str, provider: str) -> JobStatus:
    """The first status: transition 0, with all that identifies the job from now on."""
    return msgspec.structs.replace(
        job.status,
        observed_generation=job.metadata.generation,
        phase=Phase.PENDING,
        transition=0,
        job_id=job.job_id,
        tenant_id=tenant_id,
        provider=provider,
        external_name=job.external_name,
        reason=reasons.ACCEPTED,
    )


def observed(job: Job, seen: Observation, now: datetime) -> JobStatus:
    """The status after an observation. Times are the service's; what it does not say stays as it was."""
    old = job.status
    status = msgspec.structs.replace(
        old,
        observed_generation=job.metadata.generation,
        external_name=seen.external_name,
        resource_path=seen.resource_path,
        submission=None,
        submitted_at=old.submitted_at or seen.submitted_at or now,
        scheduled_at=seen.scheduled_at or old.scheduled_at,
        started_at=seen.started_at or old.started_at,
        exit_code=seen.exit_code,
        retries=seen.retries or old.retries,
        tasks=seen.tasks or old.tasks,
        console_url=seen.console_url or old.console_url,
        logs_url=seen.logs_url or old.logs_url,
    )
    status = _mark(job, status, conditions.SUBMITTED, True, reasons.SUBMITTED, "the service has the job", now)
    if conditions.find(status.conditions, conditions.OBSERVED):
        status = _mark(job, status, conditions.OBSERVED, True, reasons.OBSERVED, "the service knows the job", now)
    if conditions.find(status.conditions, conditions.SUSPENDED) or job.spec.suspend:
        reason = reasons.ALREADY_SUBMITTED if job.spec.suspend else reasons.RESUMED
        status = _mark(job, status, conditions.SUSPENDED, False, reason, "the job has been submitted", now)
    if conditions.find(status.conditions, conditions.ENVIRONMENT_READY):
        status = _mark(job, status, conditions.ENVIRONMENT_READY, True, reasons.SUBMITTED, "complete", now)
    phase = seen.phase or old.phase or Phase.PENDING
    return moved(job, status, phase, reason=seen.reason, message=seen.message, at=seen.completed_at or now, now=now)


def moved(
    job: Job, status: JobStatus, phase: Phase, *, reason: str | None, message: str | None, at: datetime, now: datetime
) -> JobStatus:
    """The status in that phase: a new transition number where the phase changed, and at the end the end's condition."""
    reason = reason or _PHASE_REASON[phase]
    text = conditions.shorten(message) if message else None
    changes: dict[str, object] = {"reason": reason, "message": text, "observed_generation": job.metadata.generation}
    if phase is not status.phase:
        number = 0 if status.transition is None else status.transition + 1
        changes |= {"phase": phase, "transition": number}
    if phase.is_terminal:
        changes |= {"completed_at": status.completed_at or at, "submission": None}
    status = msgspec.structs.replace(status, **changes)
    if not phase.is_terminal:
        return status
    if conditions.is_true(status.conditions, conditions.CANCELLING):
        status = _mark(job, status, conditions.CANCELLING, False, reason, "the job has ended", now)
    return _mark(job, status, _END_CONDITION[phase], True, reason, text or f"the job is {phase.value.lower()}", now)


def marked(job: Job, kind: str, value: bool, *, reason: str, message: str, now: datetime) -> JobStatus:
    """The job's status with one condition set."""
    status = msgspec.structs.replace(job.status, observed_generation=job.metadata.generation)
    return _mark(job, status, kind, value, reason, message, now)


def cancelling(job: Job, now: datetime) -> JobStatus:
    """The job's status after the service was asked to end it; asking again renews the condition's time."""
    others = tuple(c for c in job.status.conditions if c.type != conditions.CANCELLING)
    status = msgspec.structs.replace(job.status, conditions=others)
    message = "the service was asked to end the job"
    return _mark(job, status, conditions.CANCELLING, True, reasons.CANCEL_REQUESTED, message, now)


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
