"""A Pod as an attempt at one task: pure, and total over the phases of a Pod. Source: core/v1, PodStatus."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from controller.domain import reasons
from controller.providers.kubernetes import places
from controller.providers.kubernetes.wire import Condition, ContainerState, Pod, Terminated


class State(StrEnum):
    """Where an attempt is."""

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
"""Total. A pending Pod that has a node is `State.SCHEDULED`; of one whose node does not answer nobody knows better than
that it ran."""

IMAGE_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
"""The kubelet's words for an image that it does not get (pkg/kubelet/images/types.go)."""
START_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
"""Its words for a container that it cannot start."""
NOT_FOUND_REASONS = frozenset({"StartError", "ContainerCannotRun"})
"""A container that was made and whose command could not be executed."""
PREEMPTED_REASONS = frozenset({"PreemptionByScheduler", "DeletionByTaintManager", "DeletionByPodGC"})
"""Reasons of the condition DisruptionTarget of a Pod whose node was wanted by another, or was lost."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a Pod."""

    name: str
    namespace: str
    job_uid: str
    """Of the Job that owns the Pod, as Kubernetes names it."""
    version: str
    index: int
    state: State
    scheduled_at: datetime | None = None
    started_at: datetime | None = None
    """When the container did; None: it never has."""
    finished_at: datetime | None = None
    exit_code: int | None = None
    reason: str | None = None
    """A word of `domain.reasons`, for one that failed."""
    message: str | None = None
    is_disrupted: bool = False
    """Whether the cluster put an end to it: the Job makes a new one and does not count it."""
    waits_reason: str | None = None
    waits_because: str = ""

    @property
    def has_ended(self) -> bool:
        return self.state in (State.SUCCEEDED, State.FAILED)


def attempt_of(pod: Pod) -> Attempt:
    """What that Pod tells."""
    meta, status = pod.metadata, pod.status
    conditions = {condition.type: condition for condition in status.conditions}
    scheduled = conditions.get("PodScheduled")
    is_scheduled = _is_true(scheduled)
    state = STATES.get(status.phase, State.RUNNING)
    if state is State.UNSCHEDULED and is_scheduled:
        state = State.SCHEDULED
    container = _container(pod)
    ended = container.terminated if state in (State.SUCCEEDED, State.FAILED) else None
    waits = _waits(scheduled, container) if state in (State.UNSCHEDULED, State.SCHEDULED) else (None, "")
    reason, message = _failure(pod, ended, conditions) if state is State.FAILED else (None, None)
    return Attempt(
        name=meta.name,
        namespace=meta.namespace,
        job_uid=next((owner.uid for owner in meta.owner_references if owner.controller), ""),
        version=meta.resource_version,
        index=_index(pod),
        state=state,
        scheduled_at=scheduled.last_transition_time if scheduled and is_scheduled else None,
        started_at=_started(container),
        finished_at=ended.finished_at if ended else None,
        exit_code=ended.exit_code if ended else None,
        reason=reason,
        message=message,
        is_disrupted=_is_true(conditions.get("DisruptionTarget")),
        waits_reason=waits[0],
        waits_because=waits[1],
    )


def _is_true(condition: Condition | None) -> bool:
    return condition is not None and condition.status == "True"


def _container(pod: Pod) -> ContainerState:
    """How our container is; a Pod may have others, of a service mesh say."""
    statuses = pod.status.container_statuses
    return next((one.state for one in statuses if one.name == places.CONTAINER), ContainerState())


def _started(container: ContainerState) -> datetime | None:
    if container.running is not None:
        return container.running.started_at
    ended = container.terminated
    # One that the kubelet never started has the epoch there, or the time of its end alone.
    return ended.started_at if ended and ended.started_at and ended.started_at.year > 1970 else None


def _index(pod: Pod) -> int:
    text = pod.metadata.annotations.index or pod.metadata.labels.index
    return int(text) if text.isdecimal() else 0


def _waits(scheduled: Condition | None, container: ContainerState) -> tuple[str | None, str]:
    """Why a Pod does not run: our reason, and the cluster's words."""
    if scheduled is not None and scheduled.status != "True":
        reason = reasons.HELD_EXTERNALLY if scheduled.reason == "SchedulingGated" else reasons.WAITING_FOR_CAPACITY
        return reason, scheduled.message or scheduled.reason
    waiting = container.waiting
    if waiting is None or waiting.reason not in IMAGE_REASONS | START_REASONS:
        return None, ""
    reason = reasons.IMAGE_PULL_FAILED if waiting.reason in IMAGE_REASONS else reasons.CONTAINER_NOT_STARTED
    return reason, f"{waiting.reason}: {waiting.message}".rstrip(": ")


def _failure(pod: Pod, ended: Terminated | None, conditions: Mapping[str, Condition]) -> tuple[str, str]:
    """Why a Pod failed: our reason, and words that have the exit code where there is one."""
    status = pod.status
    disrupted = conditions.get("DisruptionTarget")
    said = status.message or (ended.message.strip() if ended else "")
    if status.reason == "DeadlineExceeded":
        return reasons.DEADLINE_EXCEEDED, said or "the task ran for longer than activeDeadlineSeconds"
    if disrupted is not None and _is_true(disrupted) and disrupted.reason in PREEMPTED_REASONS:
        return reasons.PREEMPTED, f"{disrupted.reason}: {disrupted.message or said}".rstrip(": ")
    if status.reason == "Evicted" or _is_true(disrupted):
        return reasons.EVICTED, said or (disrupted.message if disrupted else "") or "the node put the task out"
    if ended is None:
        return reasons.FAILED, " ".join(filter(None, (status.reason, said))) or "the task failed"
    if ended.reason == "OOMKilled":
        limit = "the container needed more memory than it was given (OOMKilled)"
        return reasons.OUT_OF_MEMORY, f"{limit}, exit code {ended.exit_code}"
    reason = reasons.COMMAND_NOT_FOUND if ended.reason in NOT_FOUND_REASONS else reasons.NON_ZERO_EXIT
    text = f"the task ended with exit code {ended.exit_code}"
    return reason, f"{text}: {said}" if said else text
