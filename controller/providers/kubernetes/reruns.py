"""Which tasks are run again and which are not, and how often they were. Pure.

The Job controller runs a task again that failed (up to `backoffLimitPerIndex`) or that the cluster put an end to (the
condition DisruptionTarget: without a limit). What else holds it does not know: a task that ran into its time limit is
not run again, and losses of the machine have a limit, spec.preemptionLimit. So the first rule of each Job's failure
policy is about a condition of ours, and the operator writes that condition on the Pod. The policy is looked at again
with each change of a Pod, and the next Pod is made 10 s after the end of the last one at the earliest (pkg/controller/
job: getFailJobMessage, isIndexFailed, DefaultJobPodFailureBackOff).
"""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime

import msgspec

from controller.domain import conditions
from controller.providers.kubernetes.attempts import NOT_RUN_AGAIN, Attempt, State
from controller.providers.kubernetes.template import Object
from controller.providers.kubernetes.wire import Job

DEFAULT_BACKOFF_LIMIT = 6
"""Of a Job that says nothing of it (batch/v1)."""
_EPOCH = datetime.fromtimestamp(0, UTC)


def rules(completions: int) -> list[Object]:
    """Rules of podFailurePolicy, of which the first that fits a failed Pod holds.

    Of a single task the mark ends the whole Job, also where a new Pod was made before it came. A disruption is no
    failure of the program: a Pod that was evicted, preempted or drained is made again and does not count.
    """
    marked = {"type": NOT_RUN_AGAIN, "status": "True"}
    disrupted = {"type": "DisruptionTarget", "status": "True"}
    return [
        {"action": "FailJob" if completions == 1 else "FailIndex", "onPodConditions": [marked]},
        {"action": "Ignore", "onPodConditions": [disrupted]},
    ]


class Mark(msgspec.Struct, frozen=True):
    """A Pod that is to tell the Job controller that its task is not run again."""

    attempt: Attempt

    @property
    def patch(self) -> Object:
        """The strategic merge patch of the Pod's status, for the Pod as it was read."""
        attempt = self.attempt
        told = {
            "type": NOT_RUN_AGAIN,
            "status": "True",
            "reason": attempt.reason or "",
            "message": conditions.shorten(attempt.message or ""),
        }
        status: Object = {"conditions": [told]}
        if not attempt.has_ended:
            status["phase"] = "Failed"  # it can never begin; its kubelet puts an end to it then
        return {"metadata": {"uid": attempt.uid, "resourceVersion": attempt.version}, "status": status}


class Tasks:
    """The attempts at each task of a Job, those of a task in their order."""

    def __init__(self, job: Job, attempts: Collection[Attempt]) -> None:
        self._job = job
        self._tasks: dict[int, list[Attempt]] = {}
        for attempt in sorted(attempts, key=_age):
            self._tasks.setdefault(attempt.index, []).append(attempt)

    def newest(self) -> dict[int, Attempt]:
        """The last attempt at each task, of those that a Job's suspension did not put an end to."""
        found = {index: self._last(mine) for index, mine in self._tasks.items()}
        return {index: one for index, one in found.items() if one is not None}

    def marks(self) -> Iterator[Mark]:
        """What is to be marked."""
        if not self._job.metadata.annotations.preemption_limit.isdecimal() or _is_over(self._job):
            return  # its failure policy does not know the mark: it is of an earlier release
        for mine in self._tasks.values():
            for number, attempt in enumerate(mine):
                if not attempt.is_marked and self._is_last(mine, number):
                    yield Mark(attempt)

    def is_decided(self, index: int) -> bool:
        """Whether no other attempt at that task comes."""
        mine = self._tasks[index]
        last = self._last(mine)
        if last is None or not last.has_ended:
            return False
        number = mine.index(last)
        if last.state is State.SUCCEEDED or last.is_marked or self._is_last(mine, number):
            return True
        return not last.is_disrupted and _failures(mine[:number], last) >= self._backoff_limit

    def retries(self) -> int:
        """Failures of the program that were followed by another attempt, of all tasks."""
        return sum(_failures(mine[:-1], mine[-1]) for mine in self._tasks.values())

    def preemptions(self) -> int:
        """Attempts that the cluster put an end to, of all tasks: disruptions, and those that a suspension took away."""
        return sum(self._preemptions(mine) for mine in self._tasks.values())

    @property
    def _backoff_limit(self) -> int:
        spec = self._job.spec
        if spec.backoff_limit_per_index is not None:
            return spec.backoff_limit_per_index
        return DEFAULT_BACKOFF_LIMIT if spec.backoff_limit is None else spec.backoff_limit

    def _is_last(self, mine: list[Attempt], number: int) -> bool:
        """Whether the task is not run again after that attempt, by what the Job controller does not know."""
        attempt, limit = mine[number], self._job.metadata.annotations.preemption_limit
        if attempt.is_final:
            return True
        if not attempt.is_disrupted or attempt.state is not State.FAILED or not limit.isdecimal():
            return False
        return _disruptions(mine[:number], attempt) >= int(limit)

    def _last(self, mine: list[Attempt]) -> Attempt | None:
        there = (one for one in reversed(mine) if one.state is not State.REMOVED)
        return next((one for one in there if not is_suspended(self._job, one)), None)

    def _preemptions(self, mine: list[Attempt]) -> int:
        last = mine[-1]
        disruptions = _disruptions(mine[:-1], last) + (last.is_disrupted and last.has_ended)
        return disruptions + sum(is_suspended(self._job, one) for one in mine)


def _is_over(job: Job) -> bool:
    ends = ("Complete", "Failed", "FailureTarget", "SuccessCriteriaMet")
    return any(one.type in ends and one.status == "True" for one in job.status.conditions)


def _disruptions(before: list[Attempt], attempt: Attempt) -> int:
    """Of its task before that attempt. The Job controller's count is of Pods that may be gone, and begins again with
    each suspension."""
    known = sum(one.is_disrupted and one.has_ended for one in before)
    return max(known, *(one.earlier_disruptions for one in (*before, attempt)), 0)


def _failures(before: list[Attempt], attempt: Attempt) -> int:
    """The same of failures of the program."""
    known = sum(one.state is State.FAILED and not one.is_disrupted and not one.is_removed for one in before)
    return max(known, *(one.earlier_failures for one in (*before, attempt)), 0)


def is_suspended(job: Job, attempt: Attempt) -> bool:
    """Whether a suspension of the Job, by Kueue for one, took it away. Pods that others delete count as failures."""
    told = next((one for one in job.status.conditions if one.type == "Suspended"), None)
    if not attempt.is_removed or attempt.is_disrupted or told is None:
        return False
    at, began = told.last_transition_time or _EPOCH, attempt.started_at or _EPOCH
    # Times are whole seconds, and each Job begins with a suspension that was over before its first Pod.
    return at >= began if told.status == "True" else at > began


def _age(attempt: Attempt) -> tuple[datetime, int, bool, datetime, str]:
    """Sorts the attempts at a task, the first one first."""
    earlier = attempt.earlier_failures + attempt.earlier_disruptions
    ended = attempt.finished_at or _EPOCH
    return attempt.created_at or _EPOCH, earlier, not attempt.has_ended, ended, attempt.version.zfill(20)
