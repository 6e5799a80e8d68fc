"""A Pod as an attempt at one task: pure, and total over the phases of a Pod. Source: core/v1, PodStatus."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from controller.domain import names, reasons
from controller.providers.kubernetes import failure
from controller.providers.kubernetes.wire import Condition, ContainerState, Pod

NOT_RUN_AGAIN = f"{names.GROUP}/NotRunAgain"
"""A condition of ours on a Pod: its task is not run again. The failure policy of the Job knows it (`reruns`)."""


class State(StrEnum):
    """Where an attempt is."""

    REMOVED = "removed"
    """Its Pod was deleted while it ran, and how it ended was not seen."""

    UNSCHEDULED = "unscheduled"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


STATES: Mapping[str, State] = {
    "Pending": State.UNSCHEDULED,
    "Running": State.RUNNING,
    "Succeeded": State.SUCCEEDED,
    "Failed": State.FAILED,
    "Unknown": State.RUNNING,
}
"""Total over phases. A pending Pod that has a node is `State.SCHEDULED`; of one whose node does not answer nobody knows
better than that it ran."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a Pod."""

    name: str
    namespace: str
    uid: str
    job_uid: str
    """Of the Job that owns the Pod, as Kubernetes names it."""
    version: str
    index: int
    state: State
    created_at: datetime | None = None
    scheduled_at: datetime | None = None
    started_at: datetime | None = None
    """When the container did; None: it never has."""
    finished_at: datetime | None = None
    exit_code: int | None = None
    reason: str | None = None
    """A word of `domain.reasons`, for one that failed."""
    message: str | None = None
    earlier_failures: int = 0
    """Attempts at its task before it that failed and counted, as the Job controller says."""
    earlier_disruptions: int = 0
    """Those that the cluster put an end to."""
    is_disrupted: bool = False
    """Whether the cluster put an end to it: the Job makes a new one and does not count it."""
    is_final: bool = False
    """Whether its task must not be run again, whatever the limits (`failure.is_final`)."""
    is_marked: bool = False
    """Whether it says so to the Job controller (`reruns`)."""
    is_removed: bool = False
    """Whether its Pod was deleted while it ran, by a Job that is suspended say."""
    waits_reason: str | None = None
    waits_because: str = ""

    @property
    def has_ended(self) -> bool:
        return self.state in (State.SUCCEEDED, State.FAILED)

    @property
    def counts(self) -> bool:
        """Whether the Job counts it as a success or a failure."""
        return self.has_ended and (not self.is_disrupted or self.is_marked)


def attempt_of(pod: Pod) -> Attempt:
    """What that Pod tells."""
    meta, status = pod.metadata, pod.status
    conditions = {condition.type: condition for condition in status.conditions}
    scheduled, mark = conditions.get("PodScheduled"), conditions.get(NOT_RUN_AGAIN)
    is_scheduled = _is_true(scheduled)
    state = STATES.get(status.phase, State.RUNNING)
    if state is State.UNSCHEDULED and is_scheduled:
        state = State.SCHEDULED
    container = failure.task_state(pod)
    ended = container.terminated if state in (State.SUCCEEDED, State.FAILED) else None
    waits = _waits(pod, scheduled) if state in (State.UNSCHEDULED, State.SCHEDULED) else (None, "")
    why = failure.failure_of(pod) if state is State.FAILED else failure.invalid_image(pod) if waits[0] else None
    exit_code = ended.exit_code if ended and state is State.SUCCEEDED else why.exit_code if why else None
    reason, message = (why.reason, why.message) if why else (None, None)
    if mark is not None and _is_true(mark) and state is State.FAILED and mark.reason:
        # Written from all that the Pod told then: a kubelet may write less of it afterwards.
        reason, message = mark.reason, mark.message
    return Attempt(
        name=meta.name,
        namespace=meta.namespace,
        uid=meta.uid,
        job_uid=next((owner.uid for owner in meta.owner_references if owner.controller), ""),
        version=meta.resource_version,
        index=_number(meta.annotations.index or meta.labels.index),
        state=state,
        created_at=meta.creation_timestamp,
        scheduled_at=scheduled.last_transition_time if scheduled and is_scheduled else None,
        started_at=_started(container),
        finished_at=ended.finished_at if ended else None,
        exit_code=exit_code,
        reason=reason,
        message=message,
        earlier_failures=_number(meta.annotations.failures),
        earlier_disruptions=failure.earlier_disruptions(pod),
        is_disrupted=failure.disruption(pod) is not None,
        is_final=failure.is_final(pod),
        is_marked=_is_true(mark),
        is_removed=meta.deletion_timestamp is not None and state is State.RUNNING,
        waits_reason=waits[0],
        waits_because=waits[1],
    )


def _is_true(condition: Condition | None) -> bool:
    return condition is not None and condition.status == "True"


def _started(container: ContainerState) -> datetime | None:
    if container.running is not None:
        return container.running.started_at
    ended = container.terminated
    # One that the kubelet never started has the epoch there, or the time of its end alone.
    return ended.started_at if ended and ended.started_at and ended.started_at.year > 1970 else None


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _waits(pod: Pod, scheduled: Condition | None) -> tuple[str | None, str]:
    """Why a Pod does not run: our reason, and the cluster's words."""
    if scheduled is not None and scheduled.status != "True":
        reason = reasons.HELD_EXTERNALLY if scheduled.reason == "SchedulingGated" else reasons.WAITING_FOR_CAPACITY
        return reason, scheduled.message or scheduled.reason
    return failure.waiting(pod)
