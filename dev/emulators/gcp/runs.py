"""When the tasks of a job run, and how they end: planned at once, so that nothing has to happen in between.

All times are seconds since 1970.
"""

import heapq
from collections.abc import Callable
from typing import Any

import msgspec

from dev.emulators import commands
from dev.emulators.gcp.messages import RETRY_TASK, TaskState

PREEMPTED = 50001
TIMED_OUT = 50005
OTHER_FAILURE = 50000
RETRY_SECONDS = 0.05
MAX_PARALLEL = 5_000

Preempted = Callable[[float], float | None]
"""Of an attempt that would last so long: after how many seconds its VM is taken back, or None."""


class Attempt(msgspec.Struct):
    start: float
    end: float
    exit_code: int


class TaskRun(msgspec.Struct):
    """One task: its attempts, and what became of it at last."""

    attempts: list[Attempt]
    was_cut: bool = False
    """Whether its job was ended before it was done."""

    @property
    def ends_at(self) -> float:
        return self.attempts[-1].end

    def state(self, now: float) -> TaskState:
        """Its state at that time."""
        if not self.attempts:
            return TaskState.UNEXECUTED if self.was_cut else TaskState.PENDING
        last = self.attempts[-1]
        if now >= last.end:
            return TaskState.SUCCEEDED if last.exit_code == 0 else TaskState.FAILED
        running = any(attempt.start <= now < attempt.end for attempt in self.attempts)
        return TaskState.RUNNING if running else TaskState.PENDING

    def cut(self, now: float) -> None:
        """End it now, whatever it does."""
        if self.attempts and self.ends_at <= now:
            return
        self.was_cut = True
        self.attempts = [attempt for attempt in self.attempts if attempt.start < now]
        if self.attempts and self.ends_at > now:
            self.attempts[-1].end = now
            self.attempts[-1].exit_code = OTHER_FAILURE


class Plan:
    """How a task spec's tasks go: the command's own time and exit code, the time limit, retries, preemptions."""

    def __init__(self, group: Any, preempted: Preempted) -> None:
        spec = group.task_spec
        container = spec.runnables[0].container
        words = [container.entrypoint, *container.commands] if container.entrypoint else list(container.commands)
        planned = commands.plan(words)
        limit = spec.max_run_duration.ToTimedelta().total_seconds() if spec.HasField("max_run_duration") else 0.0
        if limit and planned.seconds > limit:
            planned = commands.Plan(limit, TIMED_OUT)
        self._seconds, self._exit_code = planned.seconds, planned.exit_code
        self._preempted = preempted
        self._retries = spec.max_retry_count
        self._policy = spec.lifecycle_policies[0] if spec.lifecycle_policies else None
        self.count = group.task_count or 1
        self._slots = min(group.parallelism or self.count, self.count, MAX_PARALLEL)

    def tasks(self, start: float) -> list[TaskRun]:
        """All tasks of a job that starts then."""
        free = [start] * self._slots
        found = []
        for _ in range(self.count):
            run = TaskRun(attempts=[])
            self.go_on(run, heapq.heappop(free))
            heapq.heappush(free, run.ends_at)
            found.append(run)
        return found

    def go_on(self, run: TaskRun, start: float) -> None:
        """Attempts from that time on, until one is the last."""
        while True:
            after = self._preempted(self._seconds)
            seconds, code = (self._seconds, self._exit_code) if after is None else (after, PREEMPTED)
            run.attempts.append(Attempt(start, start + seconds, code))
            if code == 0 or not self._is_retried(run):
                return
            start = run.ends_at + RETRY_SECONDS

    def preempt(self, run: TaskRun, now: float, code: int) -> None:
        """Take the VM from under the attempt that runs now, which ends with that code."""
        kept = [attempt for attempt in run.attempts if attempt.start <= now]
        if not kept or kept[-1].end <= now:
            return
        kept[-1].end, kept[-1].exit_code = now, code
        run.attempts = kept
        if self._is_retried(run):
            self.go_on(run, now + RETRY_SECONDS)

    def _is_retried(self, run: TaskRun) -> bool:
        """By the count, and by the policy as LifecyclePolicy.action has it: what does not match gets the opposite.

        For FAIL_TASK that is a retry, as in TaskSpec.lifecycle_policies; for RETRY_TASK it is the stricter of the
        two readings.
        """
        if len(run.attempts) > self._retries:
            return False
        if self._policy is None:
            return True
        matches = run.attempts[-1].exit_code in self._policy.action_condition.exit_codes
        return bool(matches == (self._policy.action == RETRY_TASK))
