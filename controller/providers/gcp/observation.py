"""The service's Job as an Observation: pure, and total over the states of the SDK's enum.

All messages here are plain protobuf messages (`google.cloud.batch.v1.Job`), not the SDK's wrappers of them, which
take ten times as long to read: a round of observation reads 10,000. Source: providers.md §1c.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from google.cloud import batch_v1

from controller.domain import reasons
from controller.domain.failures import Failure
from controller.domain.job import JobSpec, TaskCounts
from controller.domain.phases import Phase
from controller.ports import Observation
from controller.providers.gcp import events, exit_codes, failure, labels, places

State = batch_v1.JobStatus.State
TaskState = batch_v1.TaskStatus.State

PHASES: Mapping[int, Phase | None] = {
    State.STATE_UNSPECIFIED: None,
    State.QUEUED: Phase.PENDING,
    State.SCHEDULED: Phase.SCHEDULED,
    State.RUNNING: Phase.RUNNING,
    State.SUCCEEDED: Phase.COMPLETED,
    State.FAILED: Phase.FAILED,
    State.CANCELLATION_IN_PROGRESS: None,
    State.CANCELLED: Phase.CANCELLED,
    State.DELETION_IN_PROGRESS: None,
}
"""Total. None: the phase stays as it was. So it does for a state that a later version of the service may have."""

TASK_FIELDS: Mapping[int, str] = {
    TaskState.STATE_UNSPECIFIED: "pending",
    TaskState.PENDING: "pending",
    TaskState.ASSIGNED: "pending",
    TaskState.RUNNING: "running",
    TaskState.FAILED: "failed",
    TaskState.SUCCEEDED: "succeeded",
    TaskState.UNEXECUTED: "pending",
}
"""Total: the field of TaskCounts. A task that was not executed by its job's end stays pending: it never ran."""

_FIELD_OF_NAME = {TaskState(number).name: field for number, field in TASK_FIELDS.items()}


class Tasks(msgspec.Struct, frozen=True, kw_only=True):
    """What only a job's tasks tell, asked for once, after its end."""

    retries: int = 0
    preemptions: int = 0
    failed: int | None = None
    """The lowest index of those that failed. The rest is of that task; None: none did, or none is shown."""
    last: events.Attempt | None = None
    """Its last attempt that failed; None where its events have none."""
    texts: tuple[str, ...] = ()
    """What its events say, the newest first."""


def uid_of(job: Any) -> str:
    """The JennahJob's uid that the cloud job carries; "" for a job that is not ours."""
    return str(job.labels.get(labels.UID, ""))


def is_over_soon(job: Any) -> bool:
    """Whether the job has ended, or is being ended."""
    phase = PHASES.get(job.status.state)
    ending = (State.CANCELLATION_IN_PROGRESS, State.DELETION_IN_PROGRESS)
    return job.status.state in ending or (phase is not None and phase.is_terminal)


def needs_tasks(job: Any, spec: JobSpec | None) -> bool:
    """Whether the whole truth needs a look at the job's tasks: always after a failure; after a success where a
    first attempt may have failed (a spot VM, or the job's events speak of it). Other jobs that succeeded count as
    never retried: the service has no counter, and one more call for every job would not be cheap."""
    state = job.status.state
    if state == State.FAILED:
        return True
    return state == State.SUCCEEDED and (_was_spot(job, spec) or events.hints_at_retries(job.status.status_events))


def has_run(job: Any) -> bool:
    """Whether a task of the job ran: by its state, its counts, its events or its duration, each of which may lack."""
    status = job.status
    if status.state in (State.RUNNING, State.SUCCEEDED) or status.run_duration.ToTimedelta():
        return True
    numbers = counts(status)
    if numbers is not None and numbers.running + numbers.succeeded + numbers.failed:
        return True
    return events.times(status.status_events).started_at is not None


def observation(
    job: Any, tasks: Tasks | None, place: places.Place, spec: JobSpec | None = None, *, held: bool = False
) -> Observation:
    """How the job stands. `tasks`: what `needs_tasks` asked for; None where it did not. `spec`: what was asked for, as
    far as it is known. `held`: its end is not to be told yet, so the phase stays as it was."""
    status = job.status
    phase = None if held else PHASES.get(status.state)
    name = places.external_name(job.name)
    told = events.times(status.status_events)
    ended_at = _ended_at(job, told) if phase is not None and phase.is_terminal else None
    started_at = told.started_at if held else _started_at(job, told, ended_at)
    exit_code, reason, message = _outcome(job, phase, tasks, spec)
    waits = events.why_it_waits(status.status_events) if phase in (Phase.PENDING, Phase.SCHEDULED) else None
    return Observation(
        external_name=name,
        uid=uid_of(job),
        resource_path=job.name,
        phase=phase,
        is_cancelling=status.state in (State.CANCELLATION_IN_PROGRESS, State.DELETION_IN_PROGRESS),
        is_being_deleted=status.state == State.DELETION_IN_PROGRESS,
        submitted_at=created_at(job),
        scheduled_at=told.scheduled_at,
        started_at=started_at,
        completed_at=ended_at,
        exit_code=exit_code,
        retries=tasks.retries if tasks else 0,
        preemptions=tasks.preemptions if tasks else 0,
        tasks=counts(status) or (_all_succeeded(job, spec) if phase is Phase.COMPLETED else None),
        reason=reason,
        message=message,
        waits_because=waits,
        waits_reason=failure.waits_reason(waits) if waits else reasons.WAITING_FOR_CAPACITY,
        console_url=places.console_url(place, name),
        logs_url=places.logs_url(place, job.uid) if job.uid else None,
    )


def created_at(job: Any) -> datetime | None:
    """When the service made the job."""
    return events.moment(job.create_time) if job.HasField("create_time") else None


def counts(status: Any) -> TaskCounts | None:
    """How many tasks are where; None until the service counts them. States without a field are pending."""
    numbers = dict.fromkeys(("pending", "running", "succeeded", "failed"), 0)
    for group in status.task_groups.values():
        for name, number in group.counts.items():
            numbers[_FIELD_OF_NAME.get(name.upper(), "pending")] += number
    total = sum(numbers.values())
    return TaskCounts(total=total, **numbers) if total else None


def tasks_of(tasks: Iterable[Any]) -> Tasks:
    """What the tasks of an ended job tell. An empty list tells nothing: a job can fail before it has any."""
    retries, preemptions = 0, 0
    first: tuple[int, Any] | None = None
    for task in tasks:
        of_program, lost = _repeats(task.status)
        retries, preemptions = retries + of_program, preemptions + lost
        if task.status.state == TaskState.FAILED:
            index = _index(task.name)
            if first is None or index < first[0]:
                first = (index, task.status)
    if first is None:
        return Tasks(retries=retries, preemptions=preemptions)
    attempts = events.failed_attempts(first[1].status_events)
    last = attempts[-1] if attempts else None
    told = events.telling(first[1].status_events)
    return Tasks(
        retries=retries,
        preemptions=preemptions,
        failed=first[0],
        last=last,
        texts=(last.text, *(text for text in told if text != last.text)) if last else tuple(told),
    )


def _outcome(
    job: Any, phase: Phase | None, tasks: Tasks | None, spec: JobSpec | None
) -> tuple[int | None, str | None, str | None]:
    """Exit code, reason and message of a job that ended; nothing of one that did not.

    A job that succeeded has exit code 0 whatever an old event says: that of a first, preempted attempt is still there.
    """
    if phase is Phase.COMPLETED:
        return 0, None, None
    if phase is Phase.CANCELLED:
        return None, reasons.CANCELLED, events.why_it_failed(job.status.status_events)
    if phase is not Phase.FAILED:
        return None, None, None
    judged = _failure(job, tasks or Tasks(), spec)
    return judged.exit_code, judged.reason, judged.message


def _failure(job: Any, tasks: Tasks, spec: JobSpec | None) -> Failure:
    seen = failure.Evidence(
        exit_code=tasks.last.exit_code if tasks.last else None,
        had_begun=tasks.last.had_begun if tasks.last else has_run(job),
        of_task=[text for text in tasks.texts if text],
        of_job=events.telling(job.status.status_events),
        preemptions=tasks.preemptions,
        spec=spec,
    )
    is_one_of_many = (spec is not None and spec.completions > 1) or (counts(job.status) or TaskCounts()).total > 1
    return failure.judge(seen).of_task(tasks.failed if is_one_of_many else None)


def _ended_at(job: Any, told: events.Times) -> datetime | None:
    if told.ended_at is not None:
        return told.ended_at
    return events.moment(job.update_time) if job.HasField("update_time") else None


def _started_at(job: Any, told: events.Times, ended_at: datetime | None) -> datetime | None:
    """When the first task ran. Where no event says so: the end less the duration, else the last known time before it
    (providers.md §1c). Never the time of the last update, which moves with every event."""
    if told.started_at is not None:
        return told.started_at
    if ended_at is not None and job.status.HasField("run_duration"):
        before: datetime = ended_at - job.status.run_duration.ToTimedelta()
        return before
    if job.status.state == State.RUNNING or (ended_at is not None and has_run(job)):
        return told.scheduled_at or created_at(job)
    return None


def _all_succeeded(job: Any, spec: JobSpec | None) -> TaskCounts | None:
    """The counts of a job that succeeded and that the service does not count; None where the total is not known."""
    total = spec.completions if spec is not None else sum(group.task_count for group in job.task_groups)
    return TaskCounts(total=total, succeeded=total) if total else None


def _was_spot(job: Any, spec: JobSpec | None) -> bool:
    """By the VMs that it had, by what was asked for, or by its policy, which a field mask leaves out: any may lack."""
    spot = batch_v1.AllocationPolicy.ProvisioningModel.SPOT
    return (
        (spec is not None and bool(spec.spot))
        or any(vm.provisioning_model == spot for group in job.status.task_groups.values() for vm in group.instances)
        or any(vm.policy.provisioning_model == spot for vm in job.allocation_policy.instances)
    )


def _repeats(status: Any) -> tuple[int, int]:
    """The attempts of a task that failed by the program and were repeated, and those that lost their machine. Events
    may be missing, so both the starts and the failures are counted."""
    starts: int = sum(event.task_state == TaskState.RUNNING for event in status.status_events)
    failed = events.failed_attempts(status.status_events)
    has_failed = status.state == TaskState.FAILED
    repeats = max(starts - 1, len(failed) - has_failed, 0)
    repeated = failed[:-1] if has_failed else failed
    lost = sum(attempt.exit_code in exit_codes.MACHINE_LOST for attempt in failed)
    lost_and_repeated = sum(attempt.exit_code in exit_codes.MACHINE_LOST for attempt in repeated)
    return max(repeats - lost_and_repeated, 0), lost


def _index(task_name: str) -> int:
    last = task_name.rpartition("/")[2]
    return int(last) if last.isdecimal() else 0
