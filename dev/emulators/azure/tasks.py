"""Tasks that move by themselves: a task's life is laid out when it is made, and read off the clock.

Only its pool's coming or going, or its being ended, lays it out anew; nothing runs between two requests.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec

from dev.emulators import commands
from dev.emulators.azure import starts

ACTIVE, RUNNING, COMPLETED = "active", "running", "completed"
KILLED = 137
NEVER = float("inf")


class Run(msgspec.Struct, kw_only=True):
    """One attempt. Times are seconds since 1970."""

    start: float
    stop: float
    exit_code: int


class Task(msgspec.Struct, kw_only=True):
    """One task of a job."""

    id: str
    number: int
    """Counts up over the account: the order of creation."""
    wire: dict[str, Any]
    """As it was added."""
    created: float
    visible: float
    """Reads do not know it before."""
    uid: str
    seconds: float
    exit_code: int
    ready: float
    """When it may be scheduled; `NEVER` while it waits for a pool."""
    runs: list[Run] = []
    steps: list[tuple[float, str]] = []
    failure: dict[str, Any] | None = None
    """What failureInfo will say at its end."""
    removed: float | None = None
    requeues: int = 0

    @property
    def words(self) -> dict[str, str]:
        """Those of its display name, by what is in front of the "=" (`controller.providers.azure.marker`)."""
        told = (word.partition("=") for word in (self.wire.get("displayName") or "").split())
        return {name: text for name, _, text in told}

    @property
    def ends(self) -> float:
        """When it is completed; `NEVER` for a task that waits."""
        at, state = self.steps[-1]
        return at if state == COMPLETED else NEVER

    def state(self, now: float) -> str:
        found = ACTIVE
        for at, state in self.steps:
            if at > now:
                break
            found = state
        return found

    def since(self, now: float) -> float:
        """When it came to where it is."""
        return max((at for at, _ in self.steps if at <= now), default=self.created)

    def ran_seconds(self, now: float) -> float:
        return sum(max(min(run.stop, now) - run.start, 0.0) for run in self.runs)

    def has_started(self, now: float) -> bool:
        return bool(self.runs) and self.runs[0].start <= now

    def lay_out(self, ready: float, step: float) -> None:
        """A life from that time on: `step` seconds in the queue before each attempt."""
        self.ready, self.runs, self.failure = ready, [], None
        self.steps = [(self.created, ACTIVE)]
        if ready == NEVER:
            return
        fault = starts.fault(self.wire)
        if fault is not None:
            self.failure = fault
            self.steps.append((ready + step, COMPLETED))
            return
        constraints = self.wire.get("constraints") or {}
        retries = constraints.get("maxTaskRetryCount") or 0
        limit = seconds_of(constraints.get("maxWallClockTime"))
        now = ready
        attempt = 0
        while True:
            start = now + step
            self.steps.append((start, RUNNING))
            if limit is not None and self.seconds > limit:
                now = start + limit
                self.runs.append(Run(start=start, stop=now, exit_code=KILLED))
                self.failure = {
                    "category": "ServerError",
                    "code": "TaskEnded",
                    "message": "The task was ended: it ran for longer than its constraints allow.",
                }
                break
            now = start + self.seconds
            self.runs.append(Run(start=start, stop=now, exit_code=self.exit_code))
            if self.exit_code == 0:
                break
            if 0 <= retries <= attempt:
                self.failure = {
                    "category": "UserError",
                    "code": "FailureExitCode",
                    "message": "The task exited with an exit code representing a failure",
                }
                break
            attempt += 1
            self.steps.append((now, ACTIVE))
        self.steps.append((now, COMPLETED))

    def put_back(self, at: float, ready: float, step: float) -> None:
        """Have it begin anew, from that later time on, whatever it does then: its node has gone, or comes."""
        has_begun = self.state(at) != ACTIVE
        self._stop(at)
        steps, runs = self.steps, self.runs
        self.lay_out(max(ready, at), step)
        self.steps = [*steps, *([(at, ACTIVE)] if has_begun else []), *self.steps[1:]]
        self.runs = [*runs, *self.runs]
        self.requeues += has_begun

    def cut(self, at: float) -> None:
        """Have it ended by somebody then, if it has not ended by itself."""
        self._stop(at)
        self.steps.append((at, COMPLETED))
        self.failure = {
            "category": "UserError",
            "code": "TaskEnded",
            "message": "Task Was Ended by User Request",
        }

    def freeze(self, at: float) -> None:
        """Have it stay where it is: its job has ended."""
        self._stop(at)

    def _stop(self, at: float) -> None:
        self.steps = [self.steps[0], *(step for step in self.steps[1:] if step[0] <= at)]
        self.runs = [run for run in self.runs if run.start <= at]
        if self.runs and self.runs[-1].stop > at:
            self.runs[-1].stop, self.runs[-1].exit_code = at, KILLED

    def shown(self, now: float, job_url: str) -> dict[str, Any]:
        """BatchTask."""
        state = self.state(now)
        shown = {
            **self.wire,
            "url": f"{job_url}/tasks/{self.id}",
            "eTag": f"0x{self.number:X}",
            "creationTime": stamp(self.created),
            "lastModified": stamp(self.created),
            "state": state,
            "stateTransitionTime": stamp(self.since(now)),
            "executionInfo": self._execution(state, now),
        }
        if state != ACTIVE and self.has_started(now):
            shown["nodeInfo"] = {"nodeId": "node-1", "poolId": "pool"}
        return shown

    def _execution(self, state: str, now: float) -> dict[str, Any]:
        begun = [run for run in self.runs if run.start <= now]
        retries = max(len(begun) - 1 - self.requeues, 0)
        info: dict[str, Any] = {"retryCount": retries, "requeueCount": self.requeues}
        if state != ACTIVE and begun:
            info["startTime"] = stamp(begun[-1].start)
        if state == COMPLETED:
            info["endTime"] = stamp(self.since(now))
            if begun:
                info["exitCode"] = begun[-1].exit_code
            info["result"] = "failure" if self.failure else "success"
            if self.failure:
                info["failureInfo"] = self.failure
        return info


def made(number: int, wire: dict[str, Any], *, created: float, visible: float) -> Task:
    """A task as it was added; it has no life yet."""
    plan = commands.plan(starts.words_of(wire.get("commandLine") or ""))
    task = Task(
        id=wire["id"],
        number=number,
        wire=wire,
        created=created,
        visible=visible,
        uid="",
        seconds=plan.seconds,
        exit_code=plan.exit_code,
        ready=NEVER,
        steps=[(created, ACTIVE)],
    )
    task.uid = task.words.get("uid", "")
    return task


def stamp(seconds: float) -> str:
    """A time as the service writes it: seven digits behind the point."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"


def seconds_of(duration: str | None) -> float | None:
    """An ISO 8601 duration of days, hours, minutes and seconds; None for none."""
    if not duration:
        return None
    days, _, rest = duration.removeprefix("P").partition("T")
    total = float(days.removesuffix("D") or 0) * 86400
    for unit, factor in (("H", 3600), ("M", 60), ("S", 1)):
        number, sign, after = rest.partition(unit)
        if sign:
            total, rest = total + float(number) * factor, after
    return total
