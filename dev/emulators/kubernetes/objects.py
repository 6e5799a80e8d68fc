"""Pods and statuses in the shapes that a cluster of Kubernetes 1.31 or newer writes them."""

import hashlib
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from dev.kubeapi import podlogs

Object = dict[str, Any]

INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"
FAULT = "jennah.dev/fault"
"""A label or annotation of the Pod, one of `FAULTS`: what goes wrong with it."""
FAULTS = (
    "OOMKilled",
    "Evicted",
    "Preempted",
    "PreemptedEachTime",
    "ImagePullBackOff",
    "InvalidImageName",
    "SidecarRunsOn",
    "Unschedulable",
)

LOG_LENGTH = 1000
"""Nothing is run, so a container writes its command line."""

MESSAGES = {
    "BackoffLimitExceeded": "Job has reached the specified backoff limit",
    "FailedIndexes": "Job has failed indexes",
    "DeadlineExceeded": "Job was active longer than specified deadline",
    "CompletionsReached": "Reached expected number of succeeded pods",
    "Unschedulable": "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No "
    "preemption victims found for incoming pod.",
    "ErrImagePull": 'failed to pull and unpack image "{image}": failed to resolve reference: not found',
    "ImagePullBackOff": 'Back-off pulling image "{image}"',
    "InvalidImageName": 'Failed to apply default image tag "{image}": invalid reference format',
    "Evicted": "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ",
    "Deadline": "Pod was active on the node longer than the specified deadline",
    "Preempted": "default-scheduler: preempting to accommodate a higher priority pod",
}


def now() -> str:
    """As the API server writes times: whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(kind: str, status: bool = True, *, reason: str = "", message: str = "") -> Object:
    stamp = now()
    found = {"type": kind, "status": "True" if status else "False", "lastTransitionTime": stamp, "lastProbeTime": stamp}
    return {**found, **{name: text for name, text in (("reason", reason), ("message", message)) if text}}


def pod(job: Object, index: int, attempt: int, failures: int, disruptions: int) -> Object:
    """The Pod that the Job controller makes for a task, after so many that failed and that its policy ignored.

    Its name is drawn from the attempt and not by chance, as there: so one whose making got no answer is not made twice.
    """
    meta, template = job["metadata"], job["spec"]["template"]
    is_indexed = job["spec"].get("completionMode") == "Indexed"
    own = dict.fromkeys(("batch.kubernetes.io/job-name", "job-name"), meta["name"])
    own |= dict.fromkeys(("batch.kubernetes.io/controller-uid", "controller-uid"), meta["uid"])
    annotations = dict(template.get("metadata", {}).get("annotations") or {})
    spec = {**template["spec"]}
    prefix = f"{meta['name']}-"
    if is_indexed:
        own[INDEX] = annotations[INDEX] = str(index)
        spec["hostname"] = f"{meta['name']}-{index}"
        told = {"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX}']"}}}
        spec["containers"] = [{**one, "env": [*(one.get("env") or ()), told]} for one in spec["containers"]]
        prefix += f"{index}-"
        if "backoffLimitPerIndex" in job["spec"]:
            annotations[FAILURES] = str(failures)
            if disruptions:
                annotations[IGNORED_FAILURES] = str(disruptions)
    digits = hashlib.sha256(f"{meta['uid']}/{index}/{attempt}".encode()).hexdigest()[:5]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"]}
    metadata: Object = {
        "name": prefix + digits,
        "labels": {**(template.get("metadata", {}).get("labels") or {}), **own},
        "annotations": annotations,
        "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
    }
    container = spec["containers"][0]
    words = [*(container.get("command") or ()), *(container.get("args") or ())]
    annotations[podlogs.ANNOTATION] = expanded(" ".join(words))[:LOG_LENGTH] + "\n"
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def expanded(word: str) -> str:
    """A word of a command as the kubelet hands it on; references to variables are left as they are."""
    return word.replace("$$", "$")


def unschedulable() -> Object:
    text = MESSAGES["Unschedulable"]
    return {"phase": "Pending", "conditions": [condition("PodScheduled", False, reason="Unschedulable", message=text)]}


def waiting(container: Object, reason: str = "ContainerCreating", message: str = "") -> Object:
    """The status of a Pod that has a node, and whose container does not run yet."""
    state = {"waiting": {"reason": reason, **({"message": message} if message else {})}}
    conditions = [
        condition("PodScheduled"),
        condition("Initialized"),
        condition("Ready", False, reason="ContainersNotReady"),
        condition("ContainersReady", False, reason="ContainersNotReady"),
    ]
    return {"phase": "Pending", "startTime": now(), "conditions": conditions, **_container(container, state)}


def running(container: Object, started: str) -> Object:
    conditions = [condition(kind) for kind in ("PodScheduled", "Initialized", "Ready", "ContainersReady")]
    state = {"running": {"startedAt": started}}
    return {"phase": "Running", "conditions": conditions, **_container(container, state, is_ready=True)}


def ended(container: Object, started: str, exit_code: int, *, reason: str = "") -> Object:
    """The status of a Pod whose container has ended."""
    word = reason or ("Completed" if exit_code == 0 else "Error")
    state = {"terminated": {"exitCode": exit_code, "reason": word, "startedAt": started, "finishedAt": now()}}
    conditions = [
        condition("PodScheduled"),
        condition("Initialized"),
        condition("Ready", False, reason="PodCompleted" if exit_code == 0 else "PodFailed"),
        condition("ContainersReady", False, reason="PodCompleted" if exit_code == 0 else "PodFailed"),
    ]
    phase = "Succeeded" if exit_code == 0 else "Failed"
    return {"phase": phase, "conditions": conditions, **_container(container, state)}


def beside(status: Object, running: bool) -> Object:
    """The same with a container of a service mesh, which does not end with the program."""
    state: Object = (
        {"running": {"startedAt": now()}}
        if running
        else {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now(), "finishedAt": now()}}
    )
    mesh = _container({"name": "mesh", "image": "mesh"}, state, is_ready=running)["containerStatuses"]
    phase = "Running" if running else status["phase"]
    return {**status, "phase": phase, "containerStatuses": [*status["containerStatuses"], *mesh]}


def kept(status: Object, before: Object) -> Object:
    """A Pod's new status as a kubelet writes it: conditions of others stay, and those that did not change keep their
    time."""
    old = {one["type"]: one for one in before.get("conditions") or ()}
    new = {one["type"]: one for one in status["conditions"]}
    for kind, one in new.items():
        if kind in old and old[kind]["status"] == one["status"]:
            new[kind] = {**one, "lastTransitionTime": old[kind].get("lastTransitionTime")}
    started = {"startTime": before["startTime"]} if before.get("startTime") else {}
    return {**status, **started, "conditions": list({**old, **new}.values())}


def put_out(status: Object, *, reason: str = "", message: str = "", disruption: str = "") -> Object:
    """A failed Pod's status, where the node or the cluster put an end to it."""
    found = {**status, "phase": "Failed", "message": message}
    if reason:
        found["reason"] = reason
    if disruption:
        found["conditions"] = [*status["conditions"], condition("DisruptionTarget", reason=disruption, message=message)]
    return found


def job_status(
    job: Object,
    *,
    started: str,
    active: int,
    ready: int,
    succeeded: Collection[int],
    failures: int,
    failed: Collection[int],
    conditions: Sequence[Object] = (),
    completed: str = "",
) -> Object:
    """A Job's status, whole."""
    found: Object = {
        "startTime": started or None,
        "active": active,
        "ready": ready,
        "terminating": 0,
        "succeeded": len(succeeded),
        "failed": failures,
        "uncountedTerminatedPods": {},
        "conditions": list(conditions),
    }
    if job["spec"].get("completionMode") == "Indexed":
        found["completedIndexes"] = ranges(succeeded)
        if "backoffLimitPerIndex" in job["spec"]:
            found["failedIndexes"] = ranges(failed)
    if completed:
        found["completionTime"] = completed
    return found


def ranges(numbers: Collection[int]) -> str:
    """``0,2-4``."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(
        str(first) if first == last else f"{first}{',' if last == first + 1 else '-'}{last}" for first, last in parts
    )


def fault_of(meta: Object) -> str:
    """What is to go wrong with Pods of that metadata."""
    return str((meta.get("annotations") or {}).get(FAULT) or (meta.get("labels") or {}).get(FAULT) or "")


def _container(container: Object, state: Object, *, is_ready: bool = False) -> Object:
    entry = {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": is_ready,
        "restartCount": 0,
        "started": is_ready,
        "state": state,
    }
    return {"containerStatuses": [entry]}
