"""The service's tasks as an Observation: pure, and total over the states of the SDK's enums. Source: providers.md
§3c."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from azure.batch.models import BatchJobState, BatchTaskExecutionResult, BatchTaskState

from controller.cloud_settings import AzureSettings
from controller.domain import reasons
from controller.domain.job import TaskCounts
from controller.domain.phases import Phase
from controller.ports import Observation
from controller.providers.azure import marker, places
from controller.providers.azure.places import Place
from controller.providers.azure.wire import Execution, Task

ENDED = BatchTaskState.COMPLETED.value

PHASES: Mapping[str, Phase] = {
    BatchTaskState.ACTIVE.value: Phase.PENDING,
    BatchTaskState.PREPARING.value: Phase.SCHEDULED,
    BatchTaskState.RUNNING.value: Phase.RUNNING,
}
"""Total but for `ENDED`, whose phase is the result's. A state that a later version may have leaves the phase as it
was."""

JOB_ENDS: Mapping[str, bool] = {
    BatchJobState.ACTIVE.value: False,
    BatchJobState.DISABLING.value: False,
    BatchJobState.DISABLED.value: False,
    BatchJobState.ENABLING.value: False,
    BatchJobState.TERMINATING.value: True,
    BatchJobState.COMPLETED.value: True,
    BatchJobState.DELETING.value: True,
}
"""Total: whether a shared job in that state takes and starts no tasks any more."""

HELD = frozenset({BatchJobState.DISABLING.value, BatchJobState.DISABLED.value, BatchJobState.ENABLING.value})
"""Somebody holds the shared job back; its tasks wait."""

GONE = "gone"
"""In place of a state: the service has no such shared job."""

_ENDED_BY_SOMEBODY = "TaskEnded"
_NO_COMMAND = frozenset({"CommandProgramNotFound", "CommandLaunchFailed"})
_NO_COMMAND_CODES = frozenset({126, 127})


class _Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One task, understood."""

    task: Task
    phase: Phase | None
    is_over: bool


def uid_of(task: Task) -> str:
    """The JennahJob's uid that the task carries; "" for a task that is not ours."""
    return marker.decode(task.display_name).uid


def is_complete(tasks: Sequence[Task | None]) -> bool:
    """Whether all tasks were ever made, which the last one tells (`places.Place.last_id`)."""
    return tasks[-1] is not None


def observation(
    external_name: str, where: Place, tasks: Sequence[Task | None], job_state: str, settings: AzureSettings
) -> Observation:
    """How the JennahJob stands. `tasks`: one for each of its task ids, None where the service has none (not made yet,
    or removed); at least one is there. `job_state`: the shared job's, or `GONE`."""
    known = [task for task in tasks if task is not None]
    mark = marker.decode(known[0].display_name)
    shared_ended = JOB_ENDS.get(job_state, job_state == GONE)
    seen = [_understood(task, mark.limit, shared_ended=shared_ended) for task in known]
    missing = len(tasks) - len(known)
    phase = _phase(seen, missing, is_complete=is_complete(tasks), shared_ended=shared_ended)
    is_over = phase is not None and phase.is_terminal
    code, reason, message = _outcome(phase, seen, mark.limit, missing)
    return Observation(
        external_name=external_name,
        uid=mark.uid,
        resource_path=places.path(settings, where),
        phase=phase,
        submitted_at=min((t.creation_time for t in known if t.creation_time), default=None),
        started_at=min((e.start_time for e in map(_execution, known) if e.start_time), default=None),
        completed_at=max(filter(None, map(_ended_at, known)), default=None) if is_over else None,
        exit_code=code,
        retries=sum(e.retry_count + e.requeue_count for e in map(_execution, known)),
        tasks=_counts(seen, len(tasks)),
        reason=reason,
        message=message,
        waits_because=_why_it_waits(phase, job_state),
        remarks=marker.remarks(mark),
        console_url=places.console_url(settings),
        logs_url=places.logs_url(settings, where),
    )


def _understood(task: Task, limit: int, *, shared_ended: bool) -> _Seen:
    if task.state == ENDED:
        return _Seen(task=task, phase=_result(task, limit), is_over=True)
    if shared_ended and task.state == BatchTaskState.ACTIVE.value:
        # Tasks that wait when their job ends stay active in it for ever (providers.md §3e).
        return _Seen(task=task, phase=Phase.FAILED, is_over=True)
    return _Seen(task=task, phase=PHASES.get(task.state), is_over=False)


def _result(task: Task, limit: int) -> Phase:
    execution = _execution(task)
    if execution.result.lower() == BatchTaskExecutionResult.SUCCESS.value:
        return Phase.COMPLETED
    return Phase.CANCELLED if _was_ended(execution) and not _was_too_long(execution, limit) else Phase.FAILED


def _was_ended(execution: Execution) -> bool:
    """Whether a terminate call ended it. The service keeps no other word of that than this code: seen in the wild with
    category usererror and "Task Was Ended by User Request"; Azure's guide names the same code, with category
    ServerError, for a task that ran too long (UNCONFIRMED here)."""
    return execution.failure_info is not None and execution.failure_info.code == _ENDED_BY_SOMEBODY


def _was_too_long(execution: Execution, limit: int) -> bool:
    failure = execution.failure_info
    if failure is None or not _was_ended(execution):
        return False
    if failure.category.lower() == "servererror":
        return True
    if not limit or execution.start_time is None or execution.end_time is None:
        return False
    return (execution.end_time - execution.start_time).total_seconds() >= limit


def _phase(seen: Sequence[_Seen], missing: int, *, is_complete: bool, shared_ended: bool) -> Phase | None:
    phases = [one.phase for one in seen]
    # What was never made keeps a set from its end, unless nobody will make it any more. What somebody removed does not.
    may_come = bool(missing) and not is_complete and not shared_ended and Phase.CANCELLED not in phases
    if all(one.is_over for one in seen) and not may_come:
        if Phase.CANCELLED in phases:
            return Phase.CANCELLED
        return Phase.FAILED if missing or Phase.FAILED in phases else Phase.COMPLETED
    if None in phases:
        return None
    if Phase.RUNNING in phases or any(one.is_over for one in seen):
        return Phase.RUNNING
    return Phase.SCHEDULED if Phase.SCHEDULED in phases else Phase.PENDING


def _counts(seen: Sequence[_Seen], total: int) -> TaskCounts:
    """A task that was ended counts as failed if it had started; one that never ran stays pending."""
    running = sum(one.phase is Phase.RUNNING for one in seen)
    succeeded = sum(one.phase is Phase.COMPLETED for one in seen)
    failed = sum(one.is_over and one.phase is not Phase.COMPLETED and _has_run(one.task) for one in seen)
    return TaskCounts(
        total=total, pending=total - running - succeeded - failed, running=running, succeeded=succeeded, failed=failed
    )


def _has_run(task: Task) -> bool:
    return task.state == ENDED and _execution(task).start_time is not None


def _outcome(
    phase: Phase | None, seen: Sequence[_Seen], limit: int, missing: int
) -> tuple[int | None, str | None, str | None]:
    """Exit code, reason and message of a job that ended: those of the failed task with the lowest index."""
    if phase is Phase.COMPLETED:
        return 0, None, None
    if phase is Phase.CANCELLED:
        return None, reasons.CANCELLED, None
    if phase is not Phase.FAILED:
        return None, None, None
    failed = [one for one in seen if one.phase is Phase.FAILED]
    first = next((one.task for one in failed if one.task.state == ENDED), None)
    if first is None:
        what = f"{missing} of its tasks" if missing and not failed else "the Azure job that its task waited in"
        return None, reasons.DELETED_EXTERNALLY, f"somebody ended or removed {what}"
    return _failure(_execution(first), limit)


def _failure(execution: Execution, limit: int) -> tuple[int | None, str, str]:
    failure = execution.failure_info
    words = _words(execution)
    code = execution.exit_code or None  # 0 is no failure's code
    if _was_too_long(execution, limit):
        return code, reasons.DEADLINE_EXCEEDED, words or f"the task ran for more than {limit} seconds"
    if code in _NO_COMMAND_CODES or (failure is not None and failure.code in _NO_COMMAND):
        return code, reasons.COMMAND_NOT_FOUND, words or f"exit code {code}"
    if "image" in words.lower() and ("pull" in words.lower() or "Image" in (failure.code if failure else "")):
        return code, reasons.IMAGE_PULL_FAILED, words
    if code is not None:
        text = f"the task ended with exit code {code}"
        return code, reasons.NON_ZERO_EXIT, f"{text}: {words}" if words else text
    return None, reasons.FAILED, words or "the task failed"


def _words(execution: Execution) -> str:
    """The service's own, without its request ids."""
    failure, container = execution.failure_info, execution.container_info
    text = " ".join(failure.message.split()) if failure else ""
    parts = [f"{text} ({failure.code})" if failure and text else (failure.code if failure else "")]
    parts.append(container.error if container else "")
    return "; ".join(part for part in parts if part)[:600]


def _why_it_waits(phase: Phase | None, job_state: str) -> str | None:
    if phase is Phase.PENDING and job_state in HELD:
        return f"somebody has disabled the Azure job that its task waits in ({job_state})"
    return None


def _execution(task: Task) -> Execution:
    return task.execution_info or _NOTHING


def _ended_at(task: Task) -> datetime | None:
    execution = _execution(task)
    if task.state == ENDED:
        return execution.end_time or task.state_transition_time
    return task.state_transition_time


_NOTHING = Execution()
