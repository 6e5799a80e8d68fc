"""One job of the stand-in. Its state follows from the time, worked out when it is read: idle jobs cost nothing."""

import itertools
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from dev.emulators.gcp.messages import SPOT, Job, JobState, Task, TaskState
from dev.emulators.gcp.runs import OTHER_FAILURE, PREEMPTED, TIMED_OUT, Plan, Preempted, TaskRun

NO_QUOTA_MACHINE = "x-no-quota"
"""A job with this machine type waits for ever, and its events say why."""
NO_CAPACITY_MACHINE = "x-stockout"
"""The same for want of machines."""
UNKNOWN_MACHINE = "x-unknown"
"""A job with this machine type fails before it has any task."""

NO_QUOTA_SCHEDULED_MACHINE = "x-no-quota-scheduled"
"""As `NO_QUOTA_MACHINE`, but it waits as SCHEDULED: the service has been seen to do both (providers.md §1c)."""
NO_CAPACITY_SCHEDULED_MACHINE = "x-stockout-scheduled"

_NO_QUOTA = (
    "CODE_GCE_QUOTA_EXCEEDED, description - error count is 4, latest message example: Instance creation failed: "
    "Quota 'CPUS' exceeded. Limit: 24.0 in region"
)
_NO_CAPACITY = (
    "CODE_GCE_ZONE_RESOURCE_POOL_EXHAUSTED, description - error count is 4, latest message example: Instance creation "
    "failed: The zone does not have enough resources available"
)
_CAUSES = {
    OTHER_FAILURE: " because the job was ended",
    PREEMPTED: " due to Spot Preemption",
    50002: " due to Batch no longer receives VM updates",
    50003: " due to VM is rebooted during task execution",
    50004: " due to tasks cannot be canceled",
    TIMED_OUT: " due to task runs over the maximum runtime",
    50006: " due to VM is recreated during task execution",
}
"""The service's words, by its exit code; those for `OTHER_FAILURE` are not known."""
_WAITS = {
    NO_QUOTA_MACHINE: (JobState.QUEUED, _NO_QUOTA),
    NO_CAPACITY_MACHINE: (JobState.QUEUED, _NO_CAPACITY),
    NO_QUOTA_SCHEDULED_MACHINE: (JobState.SCHEDULED, _NO_QUOTA),
    NO_CAPACITY_SCHEDULED_MACHINE: (JobState.SCHEDULED, _NO_CAPACITY),
}
"""In which state a job with that machine type waits, and what its events say."""

LONGEST_QUEUE_SECONDS = 2 * 86400.0
"""After this a job that is QUEUED fails."""
LONGEST_RUN_SECONDS = 14 * 86400.0
"""After this a job that runs is ended."""

ENDED = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})


class Delays(msgspec.Struct, frozen=True, kw_only=True):
    """How long the service takes for its own part, in seconds."""

    queue: float = 0.05
    schedule: float = 0.05
    cancel: float = 0.05
    delete: float = 0.05


class Change(msgspec.Struct, frozen=True):
    """The job came into that state then."""

    at: float
    state: JobState
    text: str = ""
    """What the event says beside it."""


class SimJob:
    """A job as it was created, and the changes of state that it has gone or will go through."""

    def __init__(self, message: Any, *, now: float, visible_at: float, delays: Delays, preempted: Preempted) -> None:
        self.created_at = now
        self.visible_at = visible_at
        self._delays = delays
        self._message = message
        self._plan = Plan(message.task_groups[0], preempted)
        self._machine = message.allocation_policy.instances[0].policy.machine_type if self._instances() else ""
        self.tasks: list[TaskRun] = []
        self._changes = [Change(now, JobState.QUEUED)]
        self._stale_at = now
        _set_time(message.create_time, now)
        message.uid = f"{message.name.rpartition('/')[2][:20]}-{uuid.uuid4()}"
        message.task_groups[0].name = f"{message.name}/taskGroups/group0"
        self._foresee(now)

    @property
    def name(self) -> str:
        return str(self._message.name)

    def state(self, now: float) -> JobState:
        return next(change.state for change in reversed(self._changes) if change.at <= now)

    def is_gone(self, now: float) -> bool:
        """Whether its deletion is over."""
        last = self._changes[-1]
        return last.state == JobState.DELETION_IN_PROGRESS and now >= last.at + self._delays.delete

    def read(self, now: float) -> Any:
        """The job's message as it is now; the same one until something changes. Not to be written to."""
        if now >= self._stale_at:
            self._write_status(now)
        return self._message

    def task(self, index: int, now: float) -> Any:
        """The message of one task."""
        return _task_message(self.name, index, self.tasks[index], now)

    def visible_tasks(self, now: float) -> range:
        """The indices of the tasks that exist by now: none before the job runs."""
        return range(len(self.tasks) if any(c.state == JobState.RUNNING and c.at <= now for c in self._changes) else 0)

    def cancel(self, now: float) -> None:
        """End it; a job that has ended or is about to stays as it is."""
        if self.state(now) in ENDED or self.state(now) == JobState.DELETION_IN_PROGRESS:
            return
        if self.state(now) != JobState.CANCELLATION_IN_PROGRESS:
            self._end(now, Change(now, JobState.CANCELLATION_IN_PROGRESS))
            self._changes.append(Change(now + self._delays.cancel, JobState.CANCELLED))

    def delete(self, now: float) -> None:
        if self.state(now) != JobState.DELETION_IN_PROGRESS:
            self._end(now, Change(now, JobState.DELETION_IN_PROGRESS))

    def preempt(self, now: float, code: int = PREEMPTED) -> None:
        """Take the VMs of all tasks that run; by the code, in another way than as spot VMs."""
        if self.state(now) != JobState.RUNNING:
            return
        for run in self.tasks:
            self._plan.preempt(run, now, code)
        self._changes = [change for change in self._changes if change.state not in ENDED]
        self._foresee_end()
        self._stale_at = now

    def ran_seconds(self, now: float) -> float:
        """How long its containers have run, over all attempts."""
        return sum(max(min(now, attempt.end) - attempt.start, 0.0) for run in self.tasks for attempt in run.attempts)

    def exit_code(self, now: float) -> int | None:
        """Of the first task that failed; 0 where the job succeeded."""
        state = self.state(now)
        if state == JobState.SUCCEEDED:
            return 0
        failed = [run for run in self.tasks if run.state(now) == TaskState.FAILED]
        return failed[0].attempts[-1].exit_code if failed and state in ENDED else None

    def _instances(self) -> Any:
        return self._message.allocation_policy.instances

    def _foresee(self, now: float) -> None:
        scheduled = now + self._delays.queue
        if self._machine in _WAITS:
            if _WAITS[self._machine][0] == JobState.SCHEDULED:
                self._changes.append(Change(scheduled, JobState.SCHEDULED))
            else:
                text = " Job failed because it was QUEUED for 2 days."
                self._changes.append(Change(now + LONGEST_QUEUE_SECONDS, JobState.FAILED, text))
            return
        if self._machine == UNKNOWN_MACHINE:
            text = f" Job failed because its VMs cannot be made: machine type {self._machine} does not exist."
            self._changes.append(Change(scheduled, JobState.FAILED, text))
            return
        running = scheduled + self._delays.schedule
        self._changes += [Change(scheduled, JobState.SCHEDULED), Change(running, JobState.RUNNING)]
        self.tasks = self._plan.tasks(running)
        self._foresee_end()

    def _foresee_end(self) -> None:
        end = max(run.ends_at for run in self.tasks)
        longest = next(one.at for one in self._changes if one.state == JobState.RUNNING) + LONGEST_RUN_SECONDS
        if end > longest:
            for run in self.tasks:
                run.cut(longest)
            text = " Job failed because it reached the maximum run time of a job, 14 days."
            self._changes.append(Change(longest, JobState.FAILED, text))
            return
        failed = [(index, run) for index, run in enumerate(self.tasks) if run.attempts[-1].exit_code]
        if not failed:
            self._changes.append(Change(end, JobState.SUCCEEDED))
            return
        index, run = failed[0]
        text = (
            f" Job failed due to task failure. Specifically, task with index {index} failed due to the following "
            f'task event: "{_failure_text(self.name, index, run.attempts[-1].exit_code)}"'
        )
        self._changes.append(Change(end, JobState.FAILED, text))

    def _end(self, now: float, change: Change) -> None:
        for run in self.tasks:
            run.cut(now)
        self._changes = [*(known for known in self._changes if known.at <= now), change]
        self._stale_at = now

    def _write_status(self, now: float) -> None:
        past = [change for change in self._changes if change.at <= now]
        status = self._message.status
        status.Clear()
        status.state = past[-1].state
        for before, after in itertools.pairwise(past):
            _add_event(
                status.status_events,
                "STATUS_CHANGED",
                f"Job state is set from {before.state.name} to {after.state.name} for job {self.name}.{after.text}",
                after.at,
            )
        waits_in, why = _WAITS.get(self._machine, (None, ""))
        waited = next((change for change in past if change.state == waits_in), None)
        if waited is not None:
            text = f"VM in Managed Instance Group meets error: Batch Error: code - {why}"
            _add_event(status.status_events, "OPERATIONAL_INFO", text, waited.at)
        _set_time(self._message.update_time, past[-1].at)
        running = next((change.at for change in past if change.state == JobState.RUNNING), None)
        if running is not None:
            self._write_group(status.task_groups["group0"], now)
            if past[-1].state in ENDED:
                status.run_duration.FromTimedelta(timedelta(seconds=past[-1].at - running))
        self._stale_at = self._next_change(now)

    def _write_group(self, group: Any, now: float) -> None:
        for state, number in Counter(run.state(now) for run in self.tasks).items():
            group.counts[state.name] = number
        instance = group.instances.add()
        for allocated in self._instances():
            instance.machine_type = allocated.policy.machine_type or "e2-standard-4"
            instance.provisioning_model = allocated.policy.provisioning_model

    def _next_change(self, now: float) -> float:
        times = [change.at for change in self._changes]
        times += [time for run in self.tasks for one in run.attempts for time in (one.start, one.end)]
        return min((time for time in times if time > now), default=float("inf"))


def is_spot(message: Any) -> bool:
    """Whether the job's VMs can be taken back."""
    return any(one.policy.provisioning_model == SPOT for one in message.allocation_policy.instances)


def _task_message(job: str, index: int, run: TaskRun, now: float) -> Any:
    task = Task(name=f"{job}/taskGroups/group0/tasks/{index}")
    task.status.state = run.state(now)
    events, where = task.status.status_events, _where(job, index)
    for number, attempt in enumerate(run.attempts):
        if attempt.start > now:
            break
        if number:
            text = "Task state is updated from FAILED to PENDING"
            _add_event(events, "STATUS_CHANGED", text, attempt.start, state=TaskState.PENDING)
        for before, after in ((TaskState.PENDING, TaskState.ASSIGNED), (TaskState.ASSIGNED, TaskState.RUNNING)):
            text = f"Task state is updated from {before.name} to {after.name} on {where}"
            _add_event(events, "STATUS_CHANGED", text, attempt.start, state=after)
        if attempt.end > now:
            break
        if attempt.exit_code == 0:
            text = f"Task state is updated from RUNNING to SUCCEEDED on {where}"
            _add_event(events, "STATUS_CHANGED", text, attempt.end, state=TaskState.SUCCEEDED)
        else:
            text = _failure_text(job, index, attempt.exit_code)
            event = _add_event(events, "STATUS_CHANGED", text, attempt.end, state=TaskState.FAILED)
            event.task_execution.exit_code = attempt.exit_code  # there where the task failed, and only there
    return task


def _failure_text(job: str, index: int, exit_code: int) -> str:
    why = _CAUSES.get(exit_code, "")
    return f"Task state is updated from RUNNING to FAILED on {_where(job, index)}{why} with exit code {exit_code}."


def _where(job: str, index: int) -> str:
    region = job.split("/")[3]
    return f"zones/{region}-a/instances/{uuid.uuid5(uuid.NAMESPACE_URL, f'{job}/{index}').int % 10**18}"


def _add_event(events: Any, kind: str, text: str, at: float, *, state: TaskState | None = None) -> Any:
    event = events.add(type_=kind, description=text)
    _set_time(event.event_time, at)
    if state is not None:
        event.task_state = state
    return event


def _set_time(timestamp: Any, at: float) -> None:
    timestamp.FromDatetime(datetime.fromtimestamp(at, UTC))


def new_message(request: Any, name: str) -> Any:
    """The job that a CreateJobRequest asks for, without what only the service may set."""
    message = Job()
    message.CopyFrom(request.job)
    message.name = name
    message.ClearField("status")
    return message
