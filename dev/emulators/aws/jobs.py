"""Jobs that move by themselves: a job's whole life is laid out when it is submitted, and read off the clock.

So nothing runs between two requests, and ten thousand jobs cost nothing until they are asked for.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from dev.emulators.aws.outcomes import KILLED, Outcome, is_run_again

STATES = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
ENDED = ("SUCCEEDED", "FAILED")
NOT_STARTED = ("SUBMITTED", "PENDING", "RUNNABLE")
NO_CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - All compute environments have insufficient capacity."


class Run(msgspec.Struct, kw_only=True):
    """One attempt."""

    start: float
    stop: float
    exit_code: int | None
    reason: str
    status_reason: str
    stream: str
    begins: bool = True
    """Whether the program began; if not, `start` is when its container was to be started."""


class Life(msgspec.Struct, kw_only=True):
    """When a job, or each task of an array, is where. Times are seconds since 1970."""

    steps: list[tuple[float, str]]
    runs: list[Run]
    end_reason: str = ""

    def state(self, now: float) -> str:
        found = self.steps[0][1]
        for at, state in self.steps:
            if at > now:
                break
            found = state
        return found

    def since(self, now: float) -> float:
        """When it came to where it is."""
        return max(at for at, _ in self.steps if at <= now or at == self.steps[0][0])

    def cut(self, at: float, reason: str) -> None:
        """Have it FAILED from then on, if it has not ended by then."""
        if self.state(at) in ENDED:
            return
        self.steps = [step for step in self.steps if step[0] < at or step is self.steps[0]]
        self.steps.append((at, "FAILED"))
        self.runs = [run for run in self.runs if run.start < at]
        for run in self.runs:
            if run.stop > at:
                run.stop, run.exit_code, run.reason, run.status_reason = at, KILLED, "", reason
        self.end_reason = reason


def lay_out(
    created: float,
    *,
    step: float,
    outcomes: Iterator[Outcome],
    attempts: int,
    rules: Sequence[Mapping[str, str]],
    has_capacity: bool,
    stream: str,
) -> Life:
    """A life with `step` seconds in each state before RUNNING, and a run for each attempt."""
    steps = [(created, "SUBMITTED"), (created + step, "RUNNABLE")]
    runs: list[Run] = []
    if not has_capacity:
        return Life(steps=steps, runs=runs)
    now = created + step
    for attempt in range(attempts):
        outcome = next(outcomes)
        steps.append((now + step, "STARTING"))
        start = now + 2 * step
        if outcome.begins:
            steps.append((start, "RUNNING"))
        now = start + outcome.seconds
        run = Run(
            start=start,
            stop=now,
            exit_code=outcome.exit_code,
            reason=outcome.reason,
            status_reason=outcome.status_reason,
            stream=f"{stream}/{attempt}" if outcome.begins else "",
            begins=outcome.begins,
        )
        runs.append(run)
        if outcome.exit_code == 0:
            steps.append((now, "SUCCEEDED"))
            break
        if attempt == attempts - 1 or not is_run_again(outcome, rules):
            steps.append((now, "FAILED"))
            break
        steps.append((now, "RUNNABLE"))
    return Life(steps=steps, runs=runs, end_reason=runs[-1].status_reason)


def refused(created: float, reason: str, step: float) -> Life:
    """The life of a job that the service takes and never runs."""
    steps = [(created, "SUBMITTED"), (created + step, "RUNNABLE"), (created + 2 * step, "FAILED")]
    return Life(steps=steps, runs=[], end_reason=reason)


class Job(msgspec.Struct, kw_only=True):
    """A job, or the parent of an array: its tasks all live the same life."""

    number: int
    """Counts up: the order of creation."""
    id: str
    arn: str
    name: str
    queue: str
    definition: str
    created: float
    visible: float
    """Reads do not know it before."""
    request: dict[str, Any]
    container: dict[str, Any]
    """The definition's part of ContainerDetail."""
    life: Life
    size: int | None = None
    terminated: float | None = None
    cancelled: float | None = None

    def state(self, now: float) -> str:
        """What the service says; an array waits for its tasks in PENDING."""
        state = self.life.state(now)
        return "PENDING" if self.size and state in ("RUNNABLE", "STARTING", "RUNNING") else state

    def ran_seconds(self, now: float) -> float:
        return sum(max(min(run.stop, now) - run.start, 0.0) for run in self.life.runs) * (self.size or 1)

    def summary(self, now: float) -> dict[str, Any]:
        """JobSummary."""
        return _clean({**self._common(now), "container": self._ending(now)})

    def detail(self, now: float) -> dict[str, Any]:
        """JobDetail."""
        runs = [] if self.size else [run for run in self.life.runs if run.start <= now]
        attempts = [
            _clean(
                {
                    "startedAt": _millis(run.start) if run.begins else None,
                    "stoppedAt": _millis(run.stop),
                    "statusReason": run.status_reason,
                    "container": _clean(
                        {
                            "exitCode": run.exit_code,
                            "reason": run.reason or None,
                            "logStreamName": run.stream or None,
                        }
                    ),
                }
            )
            for run in runs
            if run.stop <= now
        ]
        overrides = self.request.get("containerOverrides", {})
        container = {**self.container, **overrides, **(self._ending(now) or {})}
        if runs and runs[-1].stream:
            container["logStreamName"] = runs[-1].stream
        asked = ("shareIdentifier", "retryStrategy", "timeout", "tags", "parameters")
        return _clean(
            {
                **self._common(now),
                "startedAt": self._started(now) or 0,
                "jobQueue": self.queue,
                "attempts": attempts,
                "container": container,
                "dependsOn": [],
                **{name: self.request.get(name) for name in asked},
                "schedulingPriority": self.request.get("schedulingPriorityOverride"),
            }
        )

    def child_summary(self, index: int, now: float) -> dict[str, Any]:
        """JobSummary of one task of an array."""
        return {**self.child(index).summary(now), "arrayProperties": {"index": index}}

    def child_detail(self, index: int, now: float) -> dict[str, Any]:
        """JobDetail of one task of an array; tasks have no tags (providers.md §2d)."""
        detail = {**self.child(index).detail(now), "arrayProperties": {"index": index}}
        detail.pop("tags", None)
        return detail

    def child(self, index: int) -> "Job":
        return msgspec.structs.replace(self, id=f"{self.id}:{index}", arn=f"{self.arn}:{index}", size=None)

    def _common(self, now: float) -> dict[str, Any]:
        state = self.state(now)
        common: dict[str, Any] = {
            "jobArn": self.arn,
            "jobId": self.id,
            "jobName": self.name,
            "jobDefinition": self.definition,
            "createdAt": _millis(self.created),
            "status": state,
            "statusReason": self._status_reason(state, now),
            "startedAt": self._started(now),
            "stoppedAt": _millis(self.life.since(now)) if state in ENDED else None,
            "isTerminated": self.terminated is not None and self.terminated <= now,
            "isCancelled": self.cancelled is not None and self.cancelled <= now,
        }
        if self.size:
            counts = dict.fromkeys(STATES, 0)
            counts[self.life.state(now)] = self.size
            common["arrayProperties"] = {
                "size": self.size,
                "statusSummary": counts,
                "statusSummaryLastUpdatedAt": _millis(now),
            }
        return common

    def _started(self, now: float) -> int | None:
        started = [run for run in self.life.runs if run.begins and run.start <= now]
        if not started or (self.size and self.life.state(now) not in ENDED):
            return None
        return _millis(started[-1].start)

    def _ending(self, now: float) -> dict[str, Any] | None:
        if self.size or self.life.state(now) not in ENDED or not self.life.runs:
            return None
        last = self.life.runs[-1]
        return _clean({"exitCode": last.exit_code, "reason": last.reason or None})

    def _status_reason(self, state: str, now: float) -> str | None:
        if state in ENDED:
            return self.life.end_reason
        if state == "RUNNABLE" and len(self.life.steps) == 2 and not self.life.runs:
            return NO_CAPACITY
        return None


def _millis(seconds: float) -> int:
    return int(seconds * 1000)


def _clean(wire: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wire.items() if value is not None}


def newest_first(jobs: Sequence[Job]) -> list[Job]:
    return sorted(jobs, key=lambda job: -job.number)
