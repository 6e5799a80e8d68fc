"""A Job and its Pods as an Observation: pure, and total over what a Job can be.

Source: batch/v1, JobStatus. Since Kubernetes 1.31 a Job whose end is decided says so first (SuccessCriteriaMet,
FailureTarget), and Complete or Failed only once all of its Pods have ended.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import msgspec

from controller.domain import failures, reasons
from controller.domain.job import TaskCounts
from controller.domain.phases import Phase
from controller.ports import Observation, OwnedJob
from controller.providers.kubernetes import attempts as pods
from controller.providers.kubernetes import labels
from controller.providers.kubernetes.attempts import Attempt
from controller.providers.kubernetes.places import Place
from controller.providers.kubernetes.reruns import Tasks, is_suspended
from controller.providers.kubernetes.wire import Condition, Job


class State(StrEnum):
    """What a Job is, by its conditions, its deletion and its Pods."""

    SUSPENDED = "suspended"
    WAITING = "waiting"
    """None of its Pods has a node."""
    SCHEDULED = "scheduled"
    RUNNING = "running"
    ENDING = "ending"
    """How it ends is decided; Pods of it may still run."""
    DELETING = "deleting"
    COMPLETE = "complete"
    FAILED = "failed"
    BROKEN_OFF = "broken off"
    """It failed while it was being deleted: the Job controller counts the Pods that end by that as failures, and the
    last one may use up the limit before the Job goes (pkg/controller/job, syncJob)."""


PHASES: Mapping[State, Phase | None] = {
    State.SUSPENDED: Phase.PENDING,
    State.WAITING: Phase.PENDING,
    State.SCHEDULED: Phase.SCHEDULED,
    State.RUNNING: Phase.RUNNING,
    State.ENDING: None,
    State.DELETING: None,
    State.COMPLETE: Phase.COMPLETED,
    State.FAILED: Phase.FAILED,
    State.BROKEN_OFF: Phase.CANCELLED,
}
"""Total. None: the phase stays as it was."""

_JOB_DEADLINE = "DeadlineExceeded"
"""The one reason of a Job's end that says more than its Pods, of a Job that somebody gave a deadline of its own.
BackoffLimitExceeded, FailedIndexes, MaxFailedIndexesExceeded and PodFailurePolicy only say that a Pod failed."""

_OVER = (State.COMPLETE, State.FAILED, State.BROKEN_OFF)
CLOCKS = timedelta(seconds=10)
"""How far the clocks of a control plane may be apart."""
_EPOCH = datetime.fromtimestamp(0, UTC)


def state_of(job: Job, attempts: Collection[Attempt]) -> State:
    """What the Job is. An end is one even while the Job is being deleted."""
    if _has(job, "Complete"):
        return State.COMPLETE
    failed, deleted = _find(job, "Failed"), job.metadata.deletion_timestamp
    if failed is not None:
        is_before = deleted is None or (failed.last_transition_time or _EPOCH) < deleted - CLOCKS
        return State.FAILED if is_before else State.BROKEN_OFF
    if deleted is not None:
        return State.DELETING
    if _has(job, "SuccessCriteriaMet") or _has(job, "FailureTarget"):
        return State.ENDING
    if job.spec.suspend and _has(job, "Suspended"):
        return State.SUSPENDED
    tasks = Tasks(job, attempts)
    newest = tasks.newest()
    states = {attempt.state for attempt in newest.values()}
    if pods.State.RUNNING in states:
        return State.RUNNING
    if len(newest) == _total(job) and all(map(tasks.is_decided, newest)):
        return State.ENDING  # the Job controller is about to say so
    # An array runs from its first task to its last; a single task that is tried again waits again.
    has_ended_one = any(one.has_ended and not is_suspended(job, one) for one in attempts)
    if _total(job) > 1 and (has_ended_one or job.status.succeeded or job.status.failed_indexes):
        return State.RUNNING
    return State.SCHEDULED if pods.State.SCHEDULED in states else State.WAITING


def has_ended(job: Job) -> bool:
    return _has(job, "Complete") or _has(job, "Failed")


def is_unreleased(job: Job) -> bool:
    """Whether it was made and not let go: who made it is at it, or died."""
    return bool(job.metadata.annotations.unreleased) and not has_ended(job) and not job.metadata.deletion_timestamp


def ended_at(job: Job) -> datetime | None:
    """When it did."""
    condition = _find(job, "Complete") or _find(job, "Failed")
    return job.status.completion_time or (condition.last_transition_time if condition else None)


def is_accounted_for(job: Job, attempts: Collection[Attempt]) -> bool:
    """Whether the Pods that are known are all that the Job counts: its news may be ahead of theirs."""
    counted = sum(attempt.counts for attempt in attempts)
    return counted >= job.status.succeeded + job.status.failed


def observation(job: Job, attempts: Collection[Attempt]) -> Observation:
    """How the job stands."""
    state = state_of(job, attempts)
    phase = PHASES[state]
    counts = _counts(job, attempts, state)
    started = min((one.started_at for one in attempts if one.started_at), default=None)
    exit_code, reason, message = _outcome(job, attempts, state)
    waits_reason, waits_because = _waits(job, attempts, state)
    is_over = phase is not None and phase.is_terminal
    tasks = Tasks(job, attempts)
    # Of a Job that has ended Pods may be gone, and of the failures it counts each failed task has one that is the last.
    retries = max(job.status.failed - counts.failed, 0) if is_over else tasks.retries()
    return Observation(
        external_name=job.metadata.labels.external_name or job.metadata.name,
        uid=job.metadata.labels.uid,
        resource_path=Place(job.metadata.namespace, job.metadata.name).path,
        phase=phase,
        is_cancelling=state is State.DELETING,
        submitted_at=job.metadata.creation_timestamp,
        scheduled_at=min((one.scheduled_at for one in attempts if one.scheduled_at), default=None),
        started_at=started or (job.status.start_time if state is State.COMPLETE else None),
        completed_at=ended_at(job) if is_over else None,
        exit_code=exit_code,
        retries=retries,
        preemptions=tasks.preemptions(),
        tasks=counts,
        is_unreleased=is_unreleased(job),
        reason=reasons.CANCELLED if state is State.BROKEN_OFF else reason,
        failed_unless_asked=reason if state is State.BROKEN_OFF else None,
        message=message,
        waits_because=waits_because,
        waits_reason=waits_reason or reasons.WAITING_FOR_CAPACITY,
    )


def removed(last: Observation, deleted_at: datetime) -> Observation:
    """What remains of a job whose Job is gone: its end, if it had one. Else a call ended it, and whose is not told."""
    if last.has_ended:
        return last
    ended = max(filter(None, (deleted_at, last.started_at)))
    return msgspec.structs.replace(
        last,
        phase=Phase.CANCELLED,
        is_cancelling=False,
        is_unreleased=False,
        completed_at=ended,
        reason=reasons.CANCELLED,
        failed_unless_asked=reasons.DELETED_EXTERNALLY,
        message="the Job was deleted",
        tasks=_stopped(last.tasks),
        waits_because=None,
    )


def owned(job: Job, seen: Observation) -> OwnedJob:
    """The job with what it carries of its JennahJob."""
    carried = job.metadata.labels
    return OwnedJob(
        seen=seen,
        has_ended=has_ended(job),
        namespace=carried.namespace,
        tenant_id=job.metadata.annotations.tenant_id or carried.tenant_id,
        job_id=carried.job_id,
        is_left_alone=carried.deletion_policy == labels.ORPHAN,
    )


def _stopped(counts: TaskCounts | None) -> TaskCounts | None:
    if counts is None:
        return None
    return msgspec.structs.replace(counts, running=0, failed=counts.failed + counts.running)


def _find(job: Job, kind: str) -> Condition | None:
    return next((one for one in job.status.conditions if one.type == kind and one.status == "True"), None)


def _has(job: Job, kind: str) -> bool:
    return _find(job, kind) is not None


def _total(job: Job) -> int:
    return job.spec.completions or 1


def _counts(job: Job, attempts: Collection[Attempt], state: State) -> TaskCounts:
    total = _total(job)
    succeeded = total if state is State.COMPLETE else min(job.status.succeeded, total)
    failed = len(indexes(job.status.failed_indexes))
    if state in (State.FAILED, State.BROKEN_OFF) and not failed:
        failed = max(job.status.failed, 1)
    failed = min(failed, total - succeeded)
    running = 0
    if state not in _OVER:
        running = len({one.index for one in attempts if one.state is pods.State.RUNNING})
    running = min(running, total - succeeded - failed)
    pending = total - succeeded - failed - running
    return TaskCounts(total=total, pending=pending, running=running, succeeded=succeeded, failed=failed)


def _outcome(job: Job, attempts: Collection[Attempt], state: State) -> tuple[int | None, str | None, str | None]:
    """Exit code, reason and message of a Job that ended; nothing of one that has not."""
    if state is State.COMPLETE:
        return 0, None, None
    end = _find(job, "Failed")
    if state not in _OVER or end is None:
        return None, None, None
    told = end.message or end.reason or "the Job failed"
    if end.reason == _JOB_DEADLINE:
        late = failures.timed_out(None, told)
        return None, late.reason, late.message
    last = _last_failure(job, attempts)
    if last is None:
        unknown = failures.unknown(told)
        return None, unknown.reason, unknown.message
    which = f"task {last.index}: " if _total(job) > 1 else ""
    return last.exit_code, last.reason, f"{which}{last.message}"


def _last_failure(job: Job, attempts: Collection[Attempt]) -> Attempt | None:
    """The last attempt at the failed task with the lowest index; one that is marked says best why it is the last."""
    known = set(indexes(job.status.failed_indexes))
    newest = {}
    for attempt in sorted((one for one in attempts if not is_suspended(job, one)), key=_lateness):
        if attempt.has_ended:
            newest[attempt.index] = attempt
    failed = {index: one for index, one in newest.items() if one.state is pods.State.FAILED}
    failed = {index: one for index, one in failed.items() if index in known} or failed
    return failed[min(failed)] if failed else None


def _lateness(attempt: Attempt) -> tuple[bool, bool, bool, datetime, str]:
    """Sorts attempts at a task: those that count after others, of these the latest last; a success is the last of
    all."""
    is_good, ended = attempt.state is pods.State.SUCCEEDED, attempt.finished_at or _EPOCH
    return is_good, attempt.is_marked, not attempt.is_disrupted, ended, attempt.version.zfill(20)


def _waits(job: Job, attempts: Collection[Attempt], state: State) -> tuple[str | None, str | None]:
    """Why a job does not run."""
    if state is State.SUSPENDED:
        suspended = _find(job, "Suspended")
        told = suspended.message if suspended else ""
        return reasons.HELD_EXTERNALLY, told or "somebody has suspended the Job (spec.suspend)"
    if state not in (State.WAITING, State.SCHEDULED):
        return None, None
    for attempt in sorted(attempts, key=lambda one: one.index):
        if attempt.waits_reason is not None:
            return attempt.waits_reason, attempt.waits_because
    if not attempts and not job.status.failed:
        return None, "no Pod of the Job could be made yet; its events say why (a quota, an admission rule)"
    return None, None


def indexes(text: str) -> list[int]:
    """The numbers of ``1,3-5``, as batch/v1 writes them."""
    found: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found
