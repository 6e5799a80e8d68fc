"""What the service says of a job, as an Observation: pure and total (providers.md §2c)."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum

from controller.domain import failures, names, reasons
from controller.domain.conditions import shorten
from controller.domain.failures import Failure
from controller.domain.job import TaskCounts
from controller.domain.phases import Phase
from controller.ports import Observation
from controller.providers.aws import ends, links, remarks, tags
from controller.providers.aws.ends import Asked, End
from controller.providers.aws.wire import ArrayProperties, Container, Detail, RetryStrategy, Summary

log = logging.getLogger(__name__)

CANCEL_MARK = "Jennah: "
"""Every reason that we end a job with begins so: the service has no state for a cancelled job."""
REASON_MAX = 1024
DEFAULT_LOG_GROUP = "/aws/batch/job"


class NativeState(StrEnum):
    """JobStatus in its order. The lists of active jobs are asked for in this order, too."""

    SUBMITTED = "SUBMITTED"
    PENDING = "PENDING"
    RUNNABLE = "RUNNABLE"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


PHASES = {
    NativeState.SUBMITTED: Phase.PENDING,
    NativeState.PENDING: Phase.PENDING,
    NativeState.RUNNABLE: Phase.PENDING,
    NativeState.STARTING: Phase.SCHEDULED,
    NativeState.RUNNING: Phase.RUNNING,
    NativeState.SUCCEEDED: Phase.COMPLETED,
    NativeState.FAILED: Phase.FAILED,
}
"""Total. A FAILED job that was ended is Cancelled (see `Observation.failed_unless_asked`); an array that waits for its
tasks is where they are."""

ACTIVE = tuple(state for state in NativeState if not PHASES[state].is_terminal)
ENDED = tuple(state for state in NativeState if PHASES[state].is_terminal)
ORDER = {state: place for place, state in enumerate(NativeState)}

_WAITING = ("CAPACITY:", "MISCONFIGURATION:", "ACTION_REQUIRED", "UNDETERMINED")
_unknown_states: set[str] = set()


def cancel_reason(reason: str) -> str:
    """What is sent with TerminateJob, so that the job's end can be told from a failure."""
    return f"{CANCEL_MARK}{reason}"[:REASON_MAX]


def native_state(job: Summary) -> NativeState | None:
    """Where the service says it is. None, and one line in the log, for a state that we do not know."""
    status = job.status or ""
    if status in ORDER:
        return NativeState(status)
    if status not in _unknown_states and len(_unknown_states) < 100:
        _unknown_states.add(status)
        log.warning("AWS Batch has a job state that is not known here: %r", status)
    return None


def observation(job: Detail, region: str, failed_tasks: Sequence[Summary] = ()) -> Observation | None:
    """What that means. None for a state that we do not know. `failed_tasks` are some of a failed array's tasks."""
    state = native_state(job)
    if state is None:
        return None
    ours = next((one for one in (job, *failed_tasks) if has_cancel_mark(one)), None)
    phase = _phase(job, state, is_ours=ours is not None)
    arn = job.job_arn or ""
    had_start = state is NativeState.RUNNING or phase.is_terminal
    ended = ends.of_attempts(job, has_ended=phase.is_terminal)
    failure = _failure(job, ended, failed_tasks) if phase is Phase.FAILED else None
    if failure is not None and not is_array(job):
        had_start = any(ends.began(ends.failure(end, Asked())) for end in ended)
    waits = _waits_because(job, state)
    container, attempts = job.container or Container(), job.attempts or ()
    stream = container.log_stream_name or next(
        (a.container.log_stream_name for a in reversed(attempts) if a.container and a.container.log_stream_name), None
    )
    return Observation(
        external_name=job.job_name,
        uid=uid_of(job),
        resource_path=job.job_arn or job.job_id,
        phase=phase,
        is_cancelling=was_ended(job) and not phase.is_terminal,
        submitted_at=_time(job.created_at),
        started_at=_time(job.started_at) if had_start else None,
        completed_at=_time(job.stopped_at) if phase.is_terminal else None,
        exit_code=failure.exit_code if failure is not None else _exit_code(job, phase),
        retries=_retries(ended, phase),
        preemptions=sum(map(ends.is_loss, ended)),
        tasks=_tasks(job, phase),
        reason=failure.reason if failure is not None else reasons.CANCELLED if phase is Phase.CANCELLED else None,
        failed_unless_asked=reasons.DELETED_EXTERNALLY if phase is Phase.CANCELLED and ours is None else None,
        message=shorten(failure.message) if failure is not None else _end_words(job, ours, phase),
        waits_because=waits,
        remarks=remarks.decode((job.tags or {}).get(tags.ASKED, "")),
        console_url=links.job(arn, region, job.job_id),
        logs_url=links.log(arn, region, log_group(container), stream) if stream else None,
    )


def uid_of(job: Detail) -> str:
    """The JennahJob's uid that it carries; "" for a job that is not ours. Where a reply has no tags, or lacks them yet,
    the name tells, which ends with the whole uid: that a job was not found is a proof on which another is made. Never a
    task of an array, which has the array's name and no tags."""
    if ":" in job.job_id:
        return ""
    return (job.tags or {}).get(tags.UID) or names.uid_in(job.job_name) or ""


def log_group(container: Container) -> str:
    """The CloudWatch log group that a container's streams are in."""
    configuration = container.log_configuration
    options = (configuration.options if configuration else None) or {}
    return options.get("awslogs-group", DEFAULT_LOG_GROUP)


def is_array(job: Summary) -> bool:
    """Whether it is the parent of an array."""
    array = job.array_properties
    return array is not None and (array.size or 0) > 0 and array.index is None


def has_cancel_mark(job: Summary) -> bool:
    """Whether it says that we ended it. The service may put words of its own before ours."""
    return CANCEL_MARK in (job.status_reason or "")


def was_ended(job: Summary) -> bool:
    """Whether it was cancelled or terminated, by whomever."""
    return bool(job.is_terminated or job.is_cancelled)


def _phase(job: Detail, state: NativeState, *, is_ours: bool) -> Phase:
    # Of an array the tasks may have our words, and the parent only that one of them failed.
    if state is NativeState.FAILED and (was_ended(job) or is_ours):
        return Phase.CANCELLED
    phase = PHASES[state]
    if not is_array(job) or phase.is_terminal:
        return phase
    counts = _counts(job.array_properties)
    if any(counts[s] for s in (NativeState.RUNNING, NativeState.SUCCEEDED, NativeState.FAILED)):
        return Phase.RUNNING
    return Phase.SCHEDULED if counts[NativeState.STARTING] else phase


def _counts(array: ArrayProperties | None) -> dict[NativeState, int]:
    summary = (array.status_summary if array else None) or {}
    return {state: max(summary.get(state.value, 0), 0) for state in NativeState}


def _tasks(job: Detail, phase: Phase) -> TaskCounts:
    if not is_array(job):
        return _one_task(phase)
    total = (job.array_properties.size if job.array_properties else None) or 0
    counts = _counts(job.array_properties)
    succeeded = min(counts[NativeState.SUCCEEDED], total)
    failed = min(counts[NativeState.FAILED], total - succeeded)
    running = min(counts[NativeState.RUNNING], total - succeeded - failed)
    if phase is Phase.COMPLETED:  # the summary may be older than the state
        succeeded, failed, running = total, 0, 0
    elif phase.is_terminal:
        failed, running = total - succeeded, 0
    return TaskCounts(
        total=total, pending=total - succeeded - failed - running, running=running, succeeded=succeeded, failed=failed
    )


def _one_task(phase: Phase) -> TaskCounts:
    return TaskCounts(
        total=1,
        pending=int(phase in (Phase.PENDING, Phase.SCHEDULED)),
        running=int(phase is Phase.RUNNING),
        succeeded=int(phase is Phase.COMPLETED),
        failed=int(phase in (Phase.FAILED, Phase.CANCELLED)),
    )


def _retries(ended: Sequence[End], phase: Phase) -> int:
    """Attempts that failed by the program and were run again: the last one of a job that ended was not."""
    again = ended[:-1] if phase.is_terminal else ended
    return sum(1 for end in again if not ends.is_loss(end))


def _failure(job: Detail, ended: Sequence[End], failed_tasks: Sequence[Summary]) -> Failure:
    """Why it failed; of an array the first of these tasks that tells a reason, or the first."""
    asked = _asked(job)
    if not failed_tasks:
        return ends.told(ended, asked)
    tasks = [ends.told([ends.of_summary(task)], asked).of_task(_index(task)) for task in failed_tasks]
    return next((one for one in tasks if one.reason != reasons.FAILED), tasks[0])


def _asked(job: Detail) -> Asked:
    container = job.container or Container()
    needs = {one.type: one.value or "" for one in container.resource_requirements or ()}
    memory = needs.get("MEMORY", "")
    return Asked(
        image=container.image or "",
        memory_mib=int(memory) if memory.isascii() and memory.isdecimal() else None,
        seconds=job.timeout.attempt_duration_seconds if job.timeout else None,
        log_group=log_group(container),
        is_spot=remarks.is_spot((job.tags or {}).get(tags.ASKED, "")),
        # Without rules for losses they count like failures (`retries`).
        losses_limit=failures.SHARED_LIMIT if _retries_all(job.retry_strategy) else failures.OWN_LIMIT,
    )


def _retries_all(strategy: RetryStrategy | None) -> bool:
    return strategy is not None and (strategy.attempts or 1) > 1 and not strategy.evaluate_on_exit


def _index(task: Summary) -> int | None:
    return task.array_properties.index if task.array_properties else None


def _exit_code(job: Detail, phase: Phase) -> int | None:
    if phase is Phase.COMPLETED:
        return 0
    return job.container.exit_code if phase is Phase.CANCELLED and job.container else None


def _end_words(job: Detail, ours: Summary | None, phase: Phase) -> str | None:
    """The words that a job was ended with: ours, without the mark, or somebody else's."""
    if phase is not Phase.CANCELLED:
        return None
    text = (ours or job).status_reason or ""
    if ours is None and text.startswith(_WAITING):  # by the queue's jobStateTimeLimitActions, whose reasons these are
        return shorten(failures.queue_limit(text))
    return shorten(text.partition(CANCEL_MARK)[2] or text)


def _waits_because(job: Detail, state: NativeState) -> str | None:
    """Why it gets no machine. After an attempt the text may still be about that attempt: then only known words."""
    text = job.status_reason
    if state is not NativeState.RUNNABLE or not text:
        return None
    return text if not job.attempts or text.startswith(_WAITING) else None


def _time(millis: float | None) -> datetime | None:
    """Milliseconds since 1970; 0 and what no clock shows are "the service does not say"."""
    try:
        return datetime.fromtimestamp(millis / 1000, UTC) if millis and millis > 0 else None
    except (ValueError, OverflowError, OSError):
        return None
