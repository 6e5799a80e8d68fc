"""The service's tasks as an Observation: pure, and total over the states of the SDK's enums. Source: providers.md
§3c."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from urllib.parse import urlsplit

import msgspec
from azure.batch.models import BatchJobState, BatchTaskState

from controller.cloud_settings import AzureSettings
from controller.domain import reasons, redaction
from controller.domain.failures import Failure
from controller.domain.job import TaskCounts
from controller.domain.phases import Phase
from controller.ports import Observation
from controller.providers.azure import marker, places, results
from controller.providers.azure.holds import Hold
from controller.providers.azure.marker import Marker
from controller.providers.azure.places import Place
from controller.providers.azure.results import Result
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

DELETING = BatchJobState.DELETING.value

GONE = "gone"
"""In place of a state: the service has no such shared job."""


class _Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One task, understood."""

    index: int
    task: Task
    phase: Phase | None
    is_over: bool
    result: Result | None = None
    """Of a task that is completed."""

    @property
    def has_begun(self) -> bool:
        """Whether its program runs or ran, as far as the last attempt tells."""
        has_started = _execution(self.task).start_time is not None
        return has_started and (self.result is None or self.result.has_begun)


def uid_of(task: Task) -> str:
    """The JennahJob's uid that the task carries; "" for a task that is not ours."""
    return marker.decode(task.display_name).uid


def waits(tasks: Sequence[Task | None]) -> bool:
    """Whether any of them waits for its turn: then what holds it back matters."""
    return any(task is not None and task.state == BatchTaskState.ACTIVE.value for task in tasks)


def observation(
    external_name: str,
    where: Place,
    tasks: Sequence[Task | None],
    job_state: str,
    settings: AzureSettings,
    *,
    submitted: int | None = None,
    hidden: Collection[int] = (),
    hold: Hold | None = None,
) -> Observation:
    """How the JennahJob stands. `tasks`: one for each of its task ids, None where the service has none (not made yet,
    or removed); at least one is there. `job_state`: the shared job's, or `GONE`. `submitted`: those below this index
    were made; None: not known. `hidden`: indexes of tasks that were made, and may be there though no read shows them.
    `hold`: what keeps tasks that wait."""
    known = [task for task in tasks if task is not None]
    mark = marker.decode(known[0].display_name)
    is_deleted = job_state == DELETING  # what is left in it will soon be unknown
    shared_ended = JOB_ENDS.get(job_state, job_state == GONE) and not is_deleted
    seen = [
        _understood(index, task, mark, shared_ended=shared_ended)
        for index, task in enumerate(tasks)
        if task is not None
    ]
    made = made_of(tasks, submitted)
    to_come = sum(task is None for task in tasks[made:])
    removed = sum(task is None for task in tasks[:made]) - len(hidden)
    is_under_way = bool(hidden) or not all(one.is_over for one in seen)
    phase = _phase(seen, removed, to_come, is_under_way=is_under_way, shared_ended=shared_ended)
    is_over = phase is not None and phase.is_terminal
    end = _outcome(phase, seen, removed, is_set=where.is_set)
    why = end.why
    may_come = to_come > 0 and not shared_ended
    due = _due(tasks, seen, made, mark.parallelism or len(tasks), hidden) if may_come and not is_deleted else 0
    held = hold if phase is Phase.PENDING else None
    return Observation(
        external_name=external_name,
        uid=mark.uid,
        resource_path=places.path(settings, where),
        phase=phase,
        is_being_deleted=is_deleted and not is_over,
        submitted_at=min((t.creation_time for t in known if t.creation_time), default=None),
        started_at=min((at for one in seen if one.has_begun and (at := _execution(one.task).start_time)), default=None),
        completed_at=max(filter(None, map(_ended_at, known)), default=None) if is_over else None,
        exit_code=0 if phase is Phase.COMPLETED else why.exit_code if why else None,
        retries=sum(e.retry_count for e in map(_execution, known)),
        preemptions=sum(e.requeue_count for e in map(_execution, known)),
        tasks=_counts(seen, len(tasks), made if where.is_set else None),
        tasks_due=due,
        is_at_rest=may_come and not is_under_way,
        reason=reasons.CANCELLED if end.phase is Phase.CANCELLED else why.reason if why else None,
        failed_unless_asked=end.unless_asked,
        message=_clean(why.message if why else None, settings),
        waits_because=held.words if held else None,
        waits_reason=held.reason if held else reasons.WAITING_FOR_CAPACITY,
        remarks=marker.remarks(mark),
        console_url=places.console_url(settings),
        logs_url=places.logs_url(settings, where),
    )


def lost_too_often(tasks: Sequence[Task | None]) -> list[str]:
    """The ids of those that lost their node more often than their job allows and go on: the service would run them
    again without end."""
    return [
        task.id
        for task in tasks
        if task is not None
        and task.state != ENDED
        and _execution(task).requeue_count  # of most it is 0, and what they say of themselves takes longer to read
        and results.is_lost_too_often(_execution(task), marker.decode(task.display_name))
    ]


def _understood(index: int, task: Task, mark: Marker, *, shared_ended: bool) -> _Seen:
    if task.state == ENDED:
        end = results.result(_execution(task), mark)
        return _Seen(index=index, task=task, phase=end.phase, is_over=True, result=end)
    if shared_ended and task.state == BatchTaskState.ACTIVE.value:
        # Tasks that wait when their job ends stay active in it for ever (providers.md §3e).
        return _Seen(index=index, task=task, phase=Phase.FAILED, is_over=True)
    return _Seen(index=index, task=task, phase=PHASES.get(task.state), is_over=False)


def made_of(tasks: Sequence[Task | None], submitted: int | None) -> int:
    """Below which index all tasks were made: what is not there of those was removed, or is not shown yet.

    They are made in order, but one call makes many and may leave some out: so what is there above `submitted` proves
    nothing of those before it.
    """
    if submitted is None:  # nobody remembers: rather too many are taken for removed than one is made again
        return max(index for index, task in enumerate(tasks) if task is not None) + 1
    made = min(submitted, len(tasks))
    while made < len(tasks) and tasks[made] is not None:
        made += 1
    return made


def _due(tasks: Sequence[Task | None], seen: Sequence[_Seen], made: int, window: int, hidden: Collection[int]) -> int:
    """How many tasks from that index on may be made, or are there already, so that no more than `window` are under
    way."""
    room = window - len(hidden) - sum(not one.is_over for one in seen)
    due = 0
    for task in tasks[made:]:
        room -= task is None
        if room < 0:
            break
        due += 1
    return due


def _phase(
    seen: Sequence[_Seen], removed: int, to_come: int, *, is_under_way: bool, shared_ended: bool
) -> Phase | None:
    phases = [one.phase for one in seen]
    # What is to come keeps a set from its end, unless nobody can make it any more. What somebody removed does not.
    if not is_under_way and (shared_ended or not to_come):
        if Phase.CANCELLED in phases:
            return Phase.CANCELLED
        return Phase.FAILED if removed or to_come or Phase.FAILED in phases else Phase.COMPLETED
    if None in phases:
        return None
    if Phase.RUNNING in phases or any(one.is_over and one.has_begun for one in seen):
        return Phase.RUNNING
    return Phase.SCHEDULED if Phase.SCHEDULED in phases else Phase.PENDING


def _counts(seen: Sequence[_Seen], total: int, submitted: int | None) -> TaskCounts:
    """A task that failed counts as that, whether or not it began. One that was ended does if it had begun; one that
    never ran stays pending."""
    running = sum(one.phase is Phase.RUNNING for one in seen)
    succeeded = sum(one.phase is Phase.COMPLETED for one in seen)
    ended = [one for one in seen if one.is_over and one.phase is not Phase.COMPLETED]
    failed = sum(one.phase is Phase.FAILED or one.has_begun for one in ended)
    return TaskCounts(
        total=total,
        pending=total - running - succeeded - failed,
        running=running,
        succeeded=succeeded,
        failed=failed,
        submitted=submitted,
    )


def _outcome(phase: Phase | None, seen: Sequence[_Seen], removed: int, *, is_set: bool) -> Result:
    """What is told of a job that ended: the result of the failed task with the lowest index, or of the one that was
    ended."""
    if phase not in (Phase.CANCELLED, Phase.FAILED):
        return Result(phase=Phase.PENDING)
    for one in seen:
        end = one.result
        if end is not None and end.phase is phase and end.why is not None:
            return msgspec.structs.replace(end, why=end.why.of_task(one.index if is_set else None))
    is_missing = bool(removed) and not any(one.phase is Phase.FAILED for one in seen)
    what = f"{removed} of its tasks" if is_missing else "the Azure job that its task waited in"
    return Result(
        phase=phase, why=Failure(reason=reasons.DELETED_EXTERNALLY, message=f"somebody ended or removed {what}")
    )


def _clean(message: str | None, settings: AzureSettings) -> str | None:
    """The service may name the address that output goes to, which can hold a signature."""
    signature = urlsplit(settings.output_url).query
    return redaction.without_values(message, [signature]) if message and signature else message


def _execution(task: Task) -> Execution:
    return task.execution_info or _NOTHING


def _ended_at(task: Task) -> datetime | None:
    execution = _execution(task)
    if task.state == ENDED:
        return execution.end_time or task.state_transition_time
    return task.state_transition_time


_NOTHING = Execution()
