"""The Pod template of a Job: the container, what it may use, and which nodes take it. Pure.

The fields are those of core/v1 (https://kubernetes.io/docs/reference/kubernetes-api/).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from controller.cloud_settings import KubernetesSettings
from controller.domain.job import KubernetesOptions
from controller.ports import SubmitRequest
from controller.providers.kubernetes import allocatable, gpu_products, labels, places
from controller.providers.kubernetes.places import Place

Object = dict[str, Any]

INSTANCE_TYPE = "node.kubernetes.io/instance-type"
_SHARED_MEMORY = "shared-memory"
"""The name of the volume at /dev/shm."""


def pod_spec(request: SubmitRequest, settings: KubernetesSettings, where: Place) -> Object:
    """The template's spec."""
    spec = request.spec
    options = spec.kubernetes or KubernetesOptions()
    pod: Object = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": settings.grace_seconds,
        "enableServiceLinks": False,
        # Who names no identity gets none of the cluster.
        "automountServiceAccountToken": bool(spec.service_account),
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [_container(request, settings, where)],
        **_nodes(request, options, settings),
    }
    if settings.is_restricted:
        pod["securityContext"]["runAsNonRoot"] = True
    if request.resources.max_run_duration_seconds:
        # Of the pod, not of the Job: that one counts from its making, waiting for a machine included.
        pod["activeDeadlineSeconds"] = request.resources.max_run_duration_seconds
    if request.sizing.shared_memory_mib:
        memory = {"medium": "Memory", "sizeLimit": f"{request.sizing.shared_memory_mib}Mi"}
        pod["volumes"] = [{"name": _SHARED_MEMORY, "emptyDir": memory}]
    if spec.service_account:
        pod["serviceAccountName"] = spec.service_account
    if options.priority_class_name:
        pod["priorityClassName"] = options.priority_class_name
    if options.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in options.image_pull_secrets]
    return pod


def _container(request: SubmitRequest, settings: KubernetesSettings, where: Place) -> Object:
    spec = request.spec
    container: Object = {
        "name": places.CONTAINER,
        "image": spec.image,
        "env": _known(request),
        "resources": _resources(request, settings),
        "securityContext": {"allowPrivilegeEscalation": False},
    }
    if settings.is_restricted:
        container["securityContext"]["capabilities"] = {"drop": ["ALL"]}
    if spec.command:
        container["command"] = [literal(word) for word in spec.command]
    if spec.args:
        container["args"] = [literal(word) for word in spec.args]
    if request.env:
        # Made right after the Job: until then the pods wait (CreateContainerConfigError).
        container["envFrom"] = [{"secretRef": {"name": where.secret}}]
    if request.sizing.shared_memory_mib:
        container["volumeMounts"] = [{"name": _SHARED_MEMORY, "mountPath": "/dev/shm"}]  # noqa: S108
    return container


def literal(word: str) -> str:
    """The word so that Kubernetes hands it on as it is: in command and args it would replace ``$(NAME)``."""
    return word.replace("$", "$$")


def _known(request: SubmitRequest) -> list[Object]:
    """What every task is told; a name that the job's own environment has is left to it (env would win over envFrom)."""
    # Names that the other services' tasks are told as well, beside Kubernetes' own JOB_COMPLETION_INDEX.
    index = {"fieldRef": {"fieldPath": f"metadata.annotations['{labels.INDEX}']"}}
    told: dict[str, Object] = {
        "JENNAH_JOB_ID": {"value": request.job_id},
        "JENNAH_TENANT_ID": {"value": request.tenant_id},
        "BATCH_TASK_INDEX": {"valueFrom": index},
        "BATCH_TASK_COUNT": {"value": str(request.spec.completions)},
    }
    return [{"name": name, **source} for name, source in told.items() if name not in request.env]


def _resources(request: SubmitRequest, settings: KubernetesSettings) -> dict[str, dict[str, str]]:
    """Requests and limits alike, so that a task has what it asked for and its neighbours keep theirs.

    A task that has a machine to itself asks for what a node leaves of it, and has no limit.
    """
    wanted, sizing, machine = request.resources, request.sizing, request.sizing.machine
    limits: dict[str, str] = {}
    requests: dict[str, str] = {}
    if machine is not None and sizing.takes_all_cpu:
        requests["cpu"] = f"{allocatable.cpu_millis(machine)}m"
    elif wanted.cpu_millis:
        limits["cpu"] = f"{wanted.cpu_millis}m"
    if machine is not None and sizing.takes_all_memory:
        requests["memory"] = f"{allocatable.memory_mib(machine)}Mi"
    elif wanted.memory_mib:
        limits["memory"] = f"{wanted.memory_mib}Mi"
    if request.spec.boot_disk_gib:
        limits["ephemeral-storage"] = f"{request.spec.boot_disk_gib}Gi"
    if sizing.gpu is not None:
        limits[settings.gpu_resource] = str(sizing.gpu.count)
    return {"requests": {**requests, **limits}, "limits": limits}


def _nodes(request: SubmitRequest, options: KubernetesOptions, settings: KubernetesSettings) -> Object:
    """Which nodes the pods may run on."""
    spec, sizing = request.spec, request.sizing
    selector = dict(options.node_selector or {})
    gpus: list[Object] = []
    tolerations: list[Object] = [msgspec.to_builtins(one) for one in options.tolerations or ()]
    if spec.machine_type:
        selector[INSTANCE_TYPE] = spec.machine_type
    if sizing.gpu is not None:
        tolerations.append({"key": settings.gpu_resource, "operator": "Exists"})
        # The type that a machine brings with it is its cloud's name, and the machine is named already.
        if sizing.gpu.type and not sizing.is_gpu_implied:
            products = gpu_products.named_by(sizing.gpu.type) if settings.gpu_label == gpu_products.LABEL else ()
            if products:
                gpus.append({"key": settings.gpu_label, "operator": "In", "values": list(products)})
            else:
                selector[settings.gpu_label] = sizing.gpu.type
    found: Object = {}
    if spec.spot or gpus:
        found["affinity"] = {"nodeAffinity": _affinity(settings.spot_nodes if spec.spot else {}, gpus)}
    if spec.spot:
        tolerations += [{"key": key, "value": value} for key, value in settings.spot_nodes.items()]
    if selector:
        found["nodeSelector"] = selector
    if tolerations:
        found["tolerations"] = tolerations
    return found


def _affinity(one_of: Mapping[str, str], all_of: Sequence[Object]) -> Object:
    """Nodes that have one of those labels, and match all of those expressions: of several terms one is enough."""
    labels = [[{"key": key, "operator": "In", "values": [value]}] for key, value in one_of.items()] or [[]]
    terms = [{"matchExpressions": [*label, *all_of]} for label in labels]
    return {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
