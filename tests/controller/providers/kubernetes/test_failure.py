"""Why Pods failed: statuses in the shapes that clusters were seen to write, and what is said of each."""

from typing import Any

import pytest

from controller.domain import reasons
from controller.providers.kubernetes.attempts import Attempt, attempt_of
from tests.controller.providers.kubernetes.harness import at, condition, pod, terminated

SPEC = {
    "activeDeadlineSeconds": 600,
    "containers": [{"name": "mesh"}, {"name": "task", "image": "acme/x:1", "resources": {"limits": {"memory": "2Gi"}}}],
}
LOST = "The container could not be located when the pod was terminated"
WAS_RUNNING = "The container could not be located when the pod was deleted.  The container used to be Running"
SHIM = "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
RUNC = SHIM + "runc create failed: unable to start container process: "


def lost(message: str = LOST) -> dict[str, Any]:
    """As the kubelet writes a container whose end it does not know."""
    ended = {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": message}
    return {"terminated": {**ended, "startedAt": None, "finishedAt": None}}


def not_begun(message: str, exit_code: int = 128, reason: str = "StartError") -> dict[str, Any]:
    times = {"startedAt": "1970-01-01T00:00:00Z", "finishedAt": at(5)}
    return {"terminated": {"exitCode": exit_code, "reason": reason, "message": message, **times}}


def waiting(reason: str, message: str = "words") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def disrupted(reason: str, message: str = "words", minute: int = 4) -> tuple[dict[str, str], ...]:
    return (condition("DisruptionTarget", reason=reason, message=message) | {"lastTransitionTime": at(minute)},)


def failed(**status: Any) -> Attempt:
    return attempt_of(pod("Failed", **{"spec": SPEC, **status}))


CORPUS = {
    "ended by itself": (
        {"state": terminated(3)},
        (reasons.NON_ZERO_EXIT, 3), "exit code 3; see its logs"),
    "127 of a shell is the program's own": (
        {"state": terminated(127)},
        (reasons.NON_ZERO_EXIT, 127), "by custom, a command in it does not exist"),
    "runc: not in the PATH": (
        {"state": not_begun(RUNC + 'exec: "trainn": executable file not found in $PATH: unknown')},
        (reasons.COMMAND_NOT_FOUND, None), "check command and args"),
    "runc: no such path": (
        {"state": not_begun(RUNC + 'error during container init: exec: "/app": stat /app: no such file or directory')},
        (reasons.COMMAND_NOT_FOUND, None), "stat /app"),
    "runc: another machine's program": (
        {"state": not_begun(RUNC + "exec /bin/sh: exec format error")},
        (reasons.COMMAND_NOT_FOUND, None), "exec format error"),
    "crun: not in the PATH": (
        {"state": not_begun("executable file `trainn` not found in $PATH: No such file or directory")},
        (reasons.COMMAND_NOT_FOUND, None), "trainn"),
    "Docker: not executable": (
        {"state": not_begun('starting container process caused: exec: "/run.sh": permission denied: unknown', 126,
                            "ContainerCannotRun")},
        (reasons.COMMAND_NOT_FOUND, None), "permission denied"),
    "arguments that are too long": (
        {"state": not_begun(RUNC + "exec /bin/sh: argument list too long")},
        (reasons.CONTAINER_NOT_STARTED, None), "shorten them"),
    "no room for the container": (
        {"state": not_begun(SHIM + "mkdir /var/lib/containerd/x: no space left on device")},
        (reasons.MACHINE_FAILED, None), "the disk of the machine is full"),
    "a mount, not the command": (
        {"state": not_begun(SHIM + 'error mounting "/host/x" to rootfs at "/x": no such file or directory: unknown')},
        (reasons.CONTAINER_NOT_STARTED, None), "error mounting"),
    "out of memory": (
        {"state": terminated(137, "OOMKilled")},
        (reasons.OUT_OF_MEMORY, 137), "its 2048 MiB"),
    "out of memory, the limit written otherwise": (
        {"state": terminated(137, "OOMKilled"),
         "spec": {"containers": [{"name": "task", "resources": {"limits": {"memory": "2e9"}}}]}},
        (reasons.OUT_OF_MEMORY, 137), "more memory than it was given"),
    "too long": (
        {"state": terminated(137, minute=12), "reason": "DeadlineExceeded", "startTime": at(1), "message": "too long"},
        (reasons.DEADLINE_EXCEEDED, None), "its limit of 600 s and is not run again"),
    "too long, and told to end it ended well": (
        {"state": terminated(0, minute=11), "reason": "DeadlineExceeded", "startTime": at(1)},
        (reasons.DEADLINE_EXCEEDED, None), "the program ran longer"),
    "it ended well and a container next to it ran on": (
        {"state": terminated(0, minute=5), "reason": "DeadlineExceeded", "startTime": at(1)},
        (reasons.DEADLINE_EXCEEDED, None), "exit code 0, and the container mesh next to it kept"),
    "it ended badly and a container next to it ran on": (
        {"state": terminated(3, minute=5), "reason": "DeadlineExceeded", "startTime": at(1)},
        (reasons.NON_ZERO_EXIT, 3), "exit code 3"),
    "the image did not come within its limit": (
        {"state": waiting("ImagePullBackOff", "Back-off pulling image"), "reason": "DeadlineExceeded"},
        (reasons.IMAGE_PULL_FAILED, None), "the image acme/x:1 cannot be pulled"),
    "it did not begin within its limit": (
        {"state": lost(), "reason": "DeadlineExceeded", "startTime": at(1)},
        (reasons.DEADLINE_EXCEEDED, None), "did not begin within its limit of 600 s"),
    "it ended well and a container next to it failed": (
        {"state": terminated(0), "beside": terminated(1, message="no upstream")},
        (reasons.FAILED, None), "the container mesh next to it failed the task"),
    "evicted for what it wrote": (
        {"state": lost(), "reason": "Evicted",
         "message": "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. "},
        (reasons.EVICTED, None), "exceeds the total limit of containers 1Gi."),
    "evicted, known by its container's code": (
        {"state": terminated(137), "reason": "Evicted", "message": "disk"},
        (reasons.EVICTED, 137), "disk"),
    "evicted, and only the condition says so": (
        {"state": lost(), "conditions": disrupted("TerminationByKubelet", "The node was low on resource: memory.")},
        (reasons.EVICTED, None), "low on resource: memory."),
    "evicted before it began": (
        {"state": waiting("ContainerCreating"), "reason": "Evicted", "message": "low on disk"},
        (reasons.EVICTED, None), "low on disk"),
    "drained": (
        {"state": terminated(143), "conditions": disrupted("EvictionByEvictionAPI")},
        (reasons.EVICTED, None), "EvictionByEvictionAPI"),
    "preempted": (
        {"state": terminated(143), "conditions": disrupted("PreemptionByScheduler"), "disruptions": 3},
        (reasons.PREEMPTED, None), "taken back 4 times"),
    "its node was lost": (
        {"state": {}, "conditions": disrupted("DeletionByTaintManager")},
        (reasons.PREEMPTED, None), "DeletionByTaintManager"),
    "its node was shut down": (
        {"state": terminated(143), "reason": "Terminated", "message": "in response to imminent node shutdown.",
         "conditions": disrupted("TerminationByKubelet", "")},
        (reasons.PREEMPTED, None), "imminent node shutdown"),
    "turned away by a node that is shut down": (
        {"reason": "NodeShutdown", "message": "Pod was rejected as the node is shutting down."},
        (reasons.MACHINE_FAILED, None), "before the program began; submit the job again"),
    "turned away for want of CPU": (
        {"reason": "OutOfcpu", "message": "Pod was rejected: Node didn't have enough resource: cpu"},
        (reasons.MACHINE_FAILED, None), "OutOfcpu: Pod was rejected"),
    "turned away for want of a GPU": (
        {"reason": "OutOfnvidia.com/gpu", "message": "Pod was rejected"},
        (reasons.MACHINE_FAILED, None), "OutOfnvidia.com/gpu"),
    "turned away as a device is gone": (
        {"reason": "UnexpectedAdmissionError", "message": "requested number of devices unavailable for nvidia.com/gpu"},
        (reasons.MACHINE_FAILED, None), "devices unavailable"),
    "it ran and its end is not known": (
        {"state": lost(WAS_RUNNING)},
        (reasons.RESULT_LOST, None), "may have done its work"),
    "the machine failed before it began": (
        {"state": lost()},
        (reasons.MACHINE_FAILED, None), "before the program began"),
    "a container before it failed": (
        {"state": waiting("PodInitializing"),
         "initContainerStatuses": [{"name": "fetch", "state": terminated(2, message="no route")}]},
        (reasons.CONTAINER_NOT_STARTED, None), "container fetch ended with exit code 2 (Error no route)"),
    "a container that could not be made": (
        {"state": waiting("CreateContainerError", "context deadline exceeded")},
        (reasons.CONTAINER_NOT_STARTED, None), "CreateContainerError: context deadline exceeded"),
    "words alone": (
        {"message": "the mesh says no"},
        (reasons.FAILED, None), "the mesh says no"),
}  # fmt: skip


@pytest.mark.parametrize("name", CORPUS)
def test_why_a_pod_failed(name: str) -> None:
    status, (reason, exit_code), words = CORPUS[name]
    found = failed(**status)
    assert (found.reason, found.exit_code) == (reason, exit_code)
    assert words in (found.message or "")


def test_what_the_kubelet_knew_before_is_evidence_as_well() -> None:
    """A container that was lost twice: its newest state says less than its last one."""
    statuses = [{"name": "task", "state": lost(), "lastState": lost(WAS_RUNNING)}]
    assert failed(containerStatuses=statuses).reason == reasons.RESULT_LOST


def test_a_whole_text_is_told() -> None:
    assert "x" * 3000 in (failed(state=not_begun("x" * 3000)).message or "")


@pytest.mark.parametrize(
    "name",
    [
        "too long",
        "too long, and told to end it ended well",
        "it ended well and a container next to it ran on",
        "the image did not come within its limit",
        "it ended well and a container next to it failed",
    ],
)
def test_what_is_not_run_again(name: str) -> None:
    assert failed(**CORPUS[name][0]).is_final


@pytest.mark.parametrize(
    "name", ["ended by itself", "out of memory", "it ended badly and a container next to it ran on", "preempted"]
)
def test_what_may_be_run_again(name: str) -> None:
    assert not failed(**CORPUS[name][0]).is_final


def test_a_program_that_was_told_to_end_has_more_to_do_and_one_that_had_ended_has_not() -> None:
    before = failed(state=terminated(0, minute=3), conditions=disrupted("TerminationByKubelet", minute=4))
    assert (before.is_final, before.reason) == (True, reasons.RESULT_LOST)
    after = failed(state=terminated(0, minute=5), conditions=disrupted("TerminationByKubelet", minute=4))
    assert (after.is_final, after.reason) == (False, reasons.EVICTED)


def test_an_image_whose_name_is_none_never_comes() -> None:
    one = attempt_of(pod("Pending", state=waiting("InvalidImageName", "couldn't parse it"), spec=SPEC))
    assert (one.is_final, one.reason, one.waits_reason) == (True, reasons.IMAGE_PULL_FAILED, reasons.IMAGE_PULL_FAILED)
    assert "acme/x:1" in (one.message or "")
    assert not attempt_of(pod("Pending", state=waiting("ImagePullBackOff"), spec=SPEC)).is_final


def test_what_keeps_the_task_from_its_start_may_be_a_container_beside_it() -> None:
    waits = [{"name": "fetch", "state": waiting("ErrImagePull")}]
    one = attempt_of(pod("Pending", conditions=(condition("PodScheduled"),), initContainerStatuses=waits))
    assert (one.waits_reason, one.waits_because) == (
        reasons.IMAGE_PULL_FAILED,
        "container fetch: ErrImagePull: words",
    )


def test_the_mark_keeps_what_was_known_when_it_was_written() -> None:
    """A kubelet that puts an end to a Pod may write less of it than was there."""
    mark = condition("jennah.alphaus.cloud/NotRunAgain", reason=reasons.IMAGE_PULL_FAILED, message="no image")
    found = failed(state=lost(), conditions=(mark,))
    assert (found.reason, found.message, found.exit_code) == (reasons.IMAGE_PULL_FAILED, "no image", None)
