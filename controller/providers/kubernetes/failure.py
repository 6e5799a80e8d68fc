"""Why a Pod failed, from all that it tells: its phase, its reason, its conditions and every container. Pure.

Sources: core/v1 PodStatus; the kubelet's words (pkg/kubelet: images/types.go, container, lifecycle, eviction); reasons
of the condition DisruptionTarget; what runc, crun and gVisor say of a command.
"""

import re
from collections.abc import Sequence
from datetime import timedelta

from controller.domain import failures, reasons
from controller.domain.errors import Invalid
from controller.domain.failures import Failure
from controller.domain.resources import memory_mib
from controller.providers.kubernetes import places
from controller.providers.kubernetes.wire import Condition, ContainerState, ContainerStatus, Pod, Terminated

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
INVALID_IMAGE = "InvalidImageName"
"""Of these the one that no time heals."""
START_REASONS = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "PreCreateHookError",
        "PreStartHookError",
    }
)
"""Its words for a container that it cannot start, and tries to again."""
_EXEC_REASONS = frozenset({"StartError", "ContainerCannotRun"})
"""A container that was made and whose program could not be executed."""
_ARGUMENTS = "argument list too long"
_DISK_FULL = "no space left on device"
_NO_COMMAND = re.compile(
    r"exec:? .*(not found|no such file or directory|permission denied|exec format error|(not|is) a directory)"
    r"|executable file .*not found|error finding executable|open executable|exec format error",
    re.IGNORECASE | re.DOTALL,
)
"""What runtimes say of a command that is not there or is no program. A file that is missing elsewhere, for a mount say,
has no "exec" before it."""
_LOST = "ContainerStatusUnknown"
"""The kubelet's word for a container whose end it does not know; the exit code 137 that it writes is made up."""
_RAN = "used to be Running"
_OUT_OF_MEMORY = "OOMKilled"
PREEMPTED_REASONS = frozenset({"PreemptionByScheduler", "DeletionByTaintManager", "DeletionByPodGC"})
"""Reasons of the condition DisruptionTarget of a Pod whose node was wanted by another, or was lost."""
_TURNED_AWAY = re.compile(
    r"OutOf\S+|UnexpectedAdmissionError|NodeAffinity|NodePorts|NodeName|NodeUnschedulable|TaintToleration"
    r"|TopologyAffinityError|Preempting|PodOSSelectorNodeLabelDoesNotMatch|PodOSNotSupported"
)
"""Reasons of a Pod that the kubelet of its node turned away (pkg/kubelet/lifecycle/predicate.go): nothing of it ran."""
_NODE_WENT = frozenset({"NodeLost", "NodeShutdown", "Shutdown", "Terminated"})
"""Reasons of a Pod whose node was shut down or lost."""


def failure_of(pod: Pod) -> Failure:
    """Why that failed Pod failed; of an attempt that is not run again for that, see `is_final`."""
    status, task = pod.status, task_state(pod)
    ended = task.terminated
    words = _words(pod, ended)
    disrupted = disruption(pod)
    if status.reason == "DeadlineExceeded":
        return _late(pod, task, words)
    if disrupted is not None and _ended_before(ended, disrupted):
        return failures.result_lost(f"exit code 0; {words}".rstrip("; "))
    if disrupted is not None or (status.reason in _NODE_WENT and status.container_statuses):
        return _disrupted(pod, disrupted, words)
    if status.reason == "Evicted":
        return failures.evicted(words, _code(ended))
    if _TURNED_AWAY.fullmatch(status.reason) or status.reason in _NODE_WENT:
        return failures.machine_failed(f"{status.reason}: {words}".rstrip(": "), limit="")
    if ended is not None:
        return _ended(pod, ended, words)
    return _not_started(pod, words) or failures.unknown(" ".join(filter(None, (status.reason, words))))


def is_final(pod: Pod) -> bool:
    """Whether the task must not be run again, whatever its limits: it ran into its time limit, or its program ended
    with 0, or its image's name is none."""
    if pod.status.phase != "Failed":
        return pod.status.phase == "Pending" and invalid_image(pod) is not None
    ended, disrupted = task_state(pod).terminated, disruption(pod)
    if disrupted is not None:
        return _ended_before(ended, disrupted)
    if ended is not None and ended.exit_code == 0:
        return True
    return pod.status.reason == "DeadlineExceeded" and not _ended_before_its_limit(pod, ended)


def invalid_image(pod: Pod) -> Failure | None:
    """The failure of a Pod one of whose images has a name that is none."""
    for one in _all(pod):
        if one.state.waiting is not None and one.state.waiting.reason == INVALID_IMAGE:
            return failures.image(_image(pod, one.name), f"{INVALID_IMAGE}: {one.state.waiting.message}".rstrip(": "))
    return None


def task_state(pod: Pod) -> ContainerState:
    """How our container is; a Pod may have others, of a service mesh say."""
    statuses = pod.status.container_statuses
    return next((one.state for one in statuses if one.name == places.CONTAINER), ContainerState())


def disruption(pod: Pod) -> Condition | None:
    """What says that the cluster put an end to it."""
    return next((one for one in pod.status.conditions if one.type == "DisruptionTarget" and one.status == "True"), None)


def waiting(pod: Pod) -> tuple[str | None, str]:
    """Why a Pod that has a node does not run: our reason, and the cluster's words. The task's container first."""
    for one in sorted(_all(pod), key=lambda each: each.name != places.CONTAINER):
        held = one.state.waiting
        if held is not None and held.reason in IMAGE_REASONS | START_REASONS:
            reason = reasons.IMAGE_PULL_FAILED if held.reason in IMAGE_REASONS else reasons.CONTAINER_NOT_STARTED
            which = "" if one.name == places.CONTAINER else f"container {one.name}: "
            return reason, f"{which}{held.reason}: {held.message}".rstrip(": ")
    return None, ""


def _late(pod: Pod, task: ContainerState, words: str) -> Failure:
    """Of a Pod that ran into its own time limit."""
    seconds, ended = pod.spec.active_deadline_seconds, task.terminated
    if ended is not None and _ended_before_its_limit(pod, ended):
        beside = [one.name for one in pod.status.container_statuses if one.name != places.CONTAINER]
        return failures.kept_running(beside, seconds) if ended.exit_code == 0 else _ended(pod, ended, "")
    if not _ran(pod):
        return _not_started(pod, words) or failures.not_begun_in_time(seconds, words)
    return failures.timed_out(seconds, words)


def _disrupted(pod: Pod, disrupted: Condition | None, words: str) -> Failure:
    """Of a Pod that the cluster put an end to. What its container came to by that is no evidence."""
    said = " ".join(filter(None, ((disrupted.message if disrupted else "") or words,)))
    reason = disrupted.reason if disrupted and disrupted.reason else pod.status.reason
    said = f"{reason}: {said}".strip(": ")
    if reason in PREEMPTED_REASONS or pod.status.reason in _NODE_WENT:
        return failures.preempted(said, 1 + earlier_disruptions(pod))
    return failures.evicted(said)


def earlier_disruptions(pod: Pod) -> int:
    """How often attempts at its task were disrupted before, as the Job controller wrote it."""
    text = pod.metadata.annotations.ignored_failures
    return int(text) if text.isdecimal() else 0


def _ended(pod: Pod, ended: Terminated, words: str) -> Failure:
    """Of a Pod whose container of the task ended by itself, or could not be begun."""
    if ended.reason == _OUT_OF_MEMORY:
        return failures.out_of_memory(_memory(pod), f"{_OUT_OF_MEMORY} {words}".rstrip(), ended.exit_code)
    if ended.reason in _EXEC_REASONS:
        if _DISK_FULL in words.lower():
            return failures.disk_full(words)
        if _ARGUMENTS in words.lower():
            return failures.not_started(words, "args, command and environment are too long together: shorten them")
        return failures.command_not_found(words) if _NO_COMMAND.search(words) else failures.not_started(words)
    if ended.reason == _LOST:
        said = f"{_LOST}: {words}".rstrip(": ")
        lost = failures.result_lost(said) if _ran(pod) else _not_started(pod, "")
        return lost or failures.machine_failed(said, limit="")
    if ended.exit_code == 0:
        beside = [one for one in pod.status.container_statuses if one.name != places.CONTAINER and _failed(one)]
        return failures.failed_beside([one.name for one in beside], "; ".join(map(_told, beside)))
    return failures.exited(ended.exit_code, words)


def _not_started(pod: Pod, words: str) -> Failure | None:
    """Of a Pod whose task never began: what its containers, those of its start included, wait or failed for."""
    held, said = waiting(pod)
    if held == reasons.IMAGE_PULL_FAILED:
        which = next(one for one in _all(pod) if one.state.waiting and one.state.waiting.reason in IMAGE_REASONS)
        return failures.image(_image(pod, which.name), said)
    if held is not None:
        return failures.not_started(said)
    before = [one for one in pod.status.init_container_statuses if _failed(one)]
    if before:
        said = "; ".join(map(_told, before))
        return failures.not_started(f"{said} {words}".rstrip(), "a container that runs before it failed")
    return None


def _ended_before_its_limit(pod: Pod, ended: Terminated | None) -> bool:
    """Whether the program ended by itself, and others kept the Pod: a program that is told to end at the limit may well
    end with 0. Both times are the node's."""
    began, limit = pod.status.start_time, pod.spec.active_deadline_seconds
    if ended is None or ended.finished_at is None or began is None or limit is None or not _ran(pod):
        return False
    return ended.finished_at < began + timedelta(seconds=limit)


def _ended_before(ended: Terminated | None, disrupted: Condition) -> bool:
    """Whether the program had ended well before the cluster put an end to its Pod; one that is told to end may well end
    with 0 and have more to do."""
    if ended is None or ended.exit_code != 0 or ended.finished_at is None:
        return False
    return disrupted.last_transition_time is not None and ended.finished_at < disrupted.last_transition_time


def _ran(pod: Pod) -> bool:
    """Whether the task's container had ever been running."""
    for one in pod.status.container_statuses:
        if one.name == places.CONTAINER:
            ends = [state.terminated for state in (one.state, one.last_state) if state.terminated is not None]
            lost = any(end.reason == _LOST and _RAN in end.message for end in ends)
            ran = any(end.reason not in (_LOST, *_EXEC_REASONS) for end in ends)
            return one.state.running is not None or lost or ran
    return False


def _failed(one: ContainerStatus) -> bool:
    return one.state.terminated is not None and one.state.terminated.exit_code != 0


def _told(one: ContainerStatus) -> str:
    ended = one.state.terminated
    if ended is None:
        return one.name
    said = " ".join(filter(None, (ended.reason, ended.message.strip())))
    return f"container {one.name} ended with exit code {ended.exit_code} ({said})" if said else one.name


def _words(pod: Pod, ended: Terminated | None) -> str:
    """The cluster's own words, whole: of the Pod, and of the task's container."""
    said = (pod.status.message.strip(), ended.message.strip() if ended else "")
    return "; ".join(dict.fromkeys(filter(None, said)))


def _code(ended: Terminated | None) -> int | None:
    """The exit code, where it is the program's."""
    return ended.exit_code if ended is not None and ended.reason not in (*_EXEC_REASONS, _LOST) else None


def _memory(pod: Pod) -> int | None:
    """The limit of the task's memory, in MiB."""
    text = next((one.resources.limits.memory for one in pod.spec.containers if one.name == places.CONTAINER), "")
    try:
        return memory_mib(text) if text else None
    except Invalid:
        return None  # a webhook wrote it in another way


def _image(pod: Pod, container: str) -> str:
    return next((one.image for one in pod.spec.containers if one.name == container), "")


def _all(pod: Pod) -> Sequence[ContainerStatus]:
    return (*pod.status.init_container_statuses, *pod.status.container_statuses)
