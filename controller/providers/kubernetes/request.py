"""A SubmitRequest as the Job and the Secret that are created for it: pure, and total over the spec.

The fields are those of batch/v1 and core/v1 (https://kubernetes.io/docs/reference/kubernetes-api/). The same request
gives the same objects, so that it can be repeated.
"""

import base64
from typing import Any

import msgspec

from controller.cloud_settings import KubernetesSettings
from controller.domain import names, reasons
from controller.domain.errors import Permanent
from controller.domain.job import JobSpec, KubernetesOptions
from controller.ports import SubmitRequest
from controller.providers.kubernetes import labels, places
from controller.providers.kubernetes.places import Place
from controller.providers.kubernetes.wire import Job

Object = dict[str, Any]

INSTANCE_TYPE = "node.kubernetes.io/instance-type"
MAX_SECRET_BYTES = 1024 * 1024
"""Of a Secret's values together (core/v1, MaxSecretSize)."""
MAX_JOB_BYTES = 1_000_000
"""What etcd takes is 1.5 MiB; the Job controller puts the template into each Pod, with more around it."""
MAX_KEY = 253


def namespace_of(objects: str, settings: KubernetesSettings) -> str:
    """Where today's settings have the Job of an object of that namespace made. Raises Permanent(INVALID_SPEC)."""
    namespace = settings.namespace or objects
    if not namespace:
        raise _invalid("metadata.namespace", "is needed: the Job is made there")
    if namespace == settings.own_namespace:
        raise _invalid("metadata.namespace", "is the controller's own: a job could use its accounts and Secrets there")
    return namespace


def place(request: SubmitRequest, settings: KubernetesSettings) -> Place:
    """Where the Job is made. Raises Permanent(INVALID_SPEC) where no namespace is known."""
    sent = request.destination.namespace if request.destination is not None else None
    namespace = sent or namespace_of(request.namespace, settings)
    return Place(namespace, places.job_name(request.external_name))


def job(request: SubmitRequest, settings: KubernetesSettings) -> Object:
    """The Job, suspended: nothing of it runs until `release`. Without the environment's values: they are in `secret`.

    Raises Permanent(INVALID_SPEC).
    """
    spec = request.spec
    _check(request)
    where = place(request, settings)
    all_labels = {**labels.users(spec.labels or {}), **labels.ours(request, settings.instance)}
    metadata: Object = {
        "name": where.name,
        "namespace": where.namespace,
        "labels": {key: value for key, value in all_labels.items() if key != labels.QUEUE},
        "annotations": {labels.UNRELEASED: "true"},
    }
    if request.object_name and not settings.kubeconfig and where.namespace == request.namespace:
        # Of one that is never let go the garbage collector sees to, once its JennahJob is gone.
        owner = {"apiVersion": names.API_VERSION, "kind": names.KIND, "name": request.object_name, "uid": request.uid}
        metadata["ownerReferences"] = [{**owner, "controller": False, "blockOwnerDeletion": False}]
    made: Object = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            **_attempts(spec),
            "suspend": True,
            "ttlSecondsAfterFinished": max(settings.ttl_seconds, spec.ttl_seconds_after_finished or 0),
            "template": {"metadata": {"labels": all_labels}, "spec": _pod(request, settings, where)},
        },
    }
    size = len(msgspec.json.encode(made))
    if size > MAX_JOB_BYTES:
        raise _invalid("args", f"the Job has {size} bytes, of which at most {MAX_JOB_BYTES} are possible")
    return made


def release(request: SubmitRequest, job: Job) -> Object:
    """The strategic merge patch that lets that Job go, if it is as it was read.

    From then on it does not depend on its JennahJob: what runs is ended by us, or left alone. One that is in a queue of
    Kueue's is handed over to Kueue, which lets it go in its turn.
    """
    meta = job.metadata
    queue = (request.spec.labels or {}).get(labels.QUEUE) or meta.labels.queue
    patch: Object = {
        "metadata": {
            "uid": meta.uid,
            "resourceVersion": meta.resource_version,
            "annotations": {labels.UNRELEASED: None},
            "ownerReferences": [{"uid": request.uid, "$patch": "delete"}],
        }
    }
    if queue:
        patch["metadata"]["labels"] = {labels.QUEUE: queue}
    else:
        patch["spec"] = {"suspend": False}
    return patch


def secret(request: SubmitRequest, settings: KubernetesSettings, job_uid: str) -> Object | None:
    """The Secret with the environment's values, owned by the Job; None where there are none."""
    if not request.env:
        return None
    where = place(request, settings)
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": where.name, "uid": job_uid}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "immutable": True,
        "metadata": {
            "name": where.secret,
            "namespace": where.namespace,
            "labels": labels.ours(request, settings.instance),
            "ownerReferences": [owner],
        },
        "data": {name: base64.b64encode(value.encode()).decode() for name, value in request.env.items()},
    }


def _check(request: SubmitRequest) -> None:
    spec = request.spec
    for name in spec.cloud_secrets:
        raise _invalid(f"env {name}", "Kubernetes has no cloudSecretRef: use secretKeyRef")
    if spec.priority:
        raise _invalid("priority", "Kubernetes has classes of priority: name one in spec.kubernetes.priorityClassName")
    fault = names.object_name_fault(spec.service_account) if spec.service_account else None
    if fault:
        raise _invalid("serviceAccount", f"must name a ServiceAccount of the Job's namespace: {fault}")
    size = sum(len(value.encode()) for value in request.env.values())
    if size > MAX_SECRET_BYTES:
        raise _invalid("env", f"the values have {size} bytes together, a Secret takes {MAX_SECRET_BYTES}")
    for name in request.env:
        if len(name) > MAX_KEY:
            raise _invalid("env", f"the name {name[:20]}… has more than {MAX_KEY} characters")


def _attempts(spec: JobSpec) -> Object:
    """How many tasks, how many at once, how often each is tried. A disruption is no failure of the program: a pod that
    was evicted, preempted or drained is made anew and does not count."""
    disrupted = {"type": "DisruptionTarget", "status": "True"}
    common: Object = {"podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [disrupted]}]}}
    if spec.completions == 1:
        return {**common, "backoffLimit": spec.backoff_limit}
    return {
        **common,
        "completionMode": "Indexed",
        "completions": spec.completions,
        "parallelism": spec.parallelism or spec.completions,
        # backoffLimit would be of all tasks together, and its end that of the tasks that do well.
        "backoffLimitPerIndex": spec.backoff_limit,
    }


def _pod(request: SubmitRequest, settings: KubernetesSettings, where: Place) -> Object:
    spec = request.spec
    options = spec.kubernetes or KubernetesOptions()
    pod: Object = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": settings.grace_seconds,
        "enableServiceLinks": False,
        # Who names no identity gets none of the cluster.
        "automountServiceAccountToken": spec.service_account is not None,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [_container(request, settings, where)],
        **_nodes(spec, options, settings),
    }
    if settings.is_restricted:
        pod["securityContext"]["runAsNonRoot"] = True
    if request.resources.max_run_duration_seconds:
        # Of the pod, not of the Job: that one counts from its making, waiting for a machine included.
        pod["activeDeadlineSeconds"] = request.resources.max_run_duration_seconds
    if spec.service_account:
        pod["serviceAccountName"] = spec.service_account
    if options.priority_class_name:
        pod["priorityClassName"] = options.priority_class_name
    if options.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in options.image_pull_secrets]
    return pod


def _container(request: SubmitRequest, settings: KubernetesSettings, where: Place) -> Object:
    spec = request.spec
    resources = _resources(request, settings)
    container: Object = {
        "name": places.CONTAINER,
        "image": spec.image,
        "env": _known(request),
        "resources": {"requests": resources, "limits": resources},
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
    return container


def literal(word: str) -> str:
    """The word so that Kubernetes hands it on as it is: in command and args it would replace ``$(NAME)``."""
    return word.replace("$", "$$")


def _known(request: SubmitRequest) -> list[Object]:
    """What every task is told; a name that the job's own environment has is left to it (env would win over envFrom)."""
    told: dict[str, Object] = {
        "JENNAH_JOB_ID": {"value": request.job_id},
        "JENNAH_TENANT_ID": {"value": request.tenant_id},
    }
    if request.spec.completions > 1:
        # Names that Google Cloud Batch and our Azure adapter use as well, beside Kubernetes' own JOB_COMPLETION_INDEX.
        index = {"fieldRef": {"fieldPath": f"metadata.annotations['{labels.INDEX}']"}}
        told["BATCH_TASK_INDEX"] = {"valueFrom": index}
        told["BATCH_TASK_COUNT"] = {"value": str(request.spec.completions)}
    return [{"name": name, **source} for name, source in told.items() if name not in request.env]


def _resources(request: SubmitRequest, settings: KubernetesSettings) -> dict[str, str]:
    """Requests and limits alike, so that a task has what it asked for and its neighbours keep theirs."""
    spec, wanted = request.spec, request.resources
    found: dict[str, str] = {}
    if wanted.cpu_millis:
        found["cpu"] = f"{wanted.cpu_millis}m"
    if wanted.memory_mib:
        found["memory"] = f"{wanted.memory_mib}Mi"
    if spec.boot_disk_gib:
        found["ephemeral-storage"] = f"{spec.boot_disk_gib}Gi"
    gpu = spec.resources.gpu if spec.resources else None
    if gpu is not None:
        found[settings.gpu_resource] = str(gpu.count)
    return found


def _nodes(spec: JobSpec, options: KubernetesOptions, settings: KubernetesSettings) -> Object:
    """Which nodes the pods may run on."""
    selector = dict(options.node_selector or {})
    tolerations: list[Object] = [msgspec.to_builtins(one) for one in options.tolerations or ()]
    gpu = spec.resources.gpu if spec.resources else None
    if spec.machine_type:
        selector[INSTANCE_TYPE] = spec.machine_type
    if gpu is not None:
        tolerations.append({"key": settings.gpu_resource, "operator": "Exists"})
        if gpu.type:
            selector[settings.gpu_label] = gpu.type
    found: Object = {}
    if spec.spot:
        found["affinity"] = {"nodeAffinity": _spot_affinity(settings)}
        tolerations += [{"key": key, "value": value} for key, value in settings.spot_nodes.items()]
    for key, value in selector.items():
        if not names.is_label(key, value):
            fields = {INSTANCE_TYPE: "machineType", settings.gpu_label: "resources.gpu.type"}
            raise _invalid(fields.get(key, "kubernetes.nodeSelector"), f"no node has a label {key}={value}")
    if selector:
        found["nodeSelector"] = selector
    if tolerations:
        found["tolerations"] = tolerations
    return found


def _spot_affinity(settings: KubernetesSettings) -> Object:
    """Nodes that have one of the labels: of several terms one is enough."""
    terms = [
        {"matchExpressions": [{"key": key, "operator": "In", "values": [value]}]}
        for key, value in settings.spot_nodes.items()
    ]
    return {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}


def _invalid(field: str, fault: str) -> Permanent:
    return Permanent(f"spec.{field}: {fault}", reason=reasons.INVALID_SPEC)
