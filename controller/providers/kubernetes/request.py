"""A SubmitRequest as the Job and the Secret that are created for it: pure, and total over the spec.

The fields are those of batch/v1 and core/v1 (https://kubernetes.io/docs/reference/kubernetes-api/). The same request
gives the same objects, so that it can be repeated.
"""

import base64

from controller.cloud_settings import KubernetesSettings
from controller.domain import names
from controller.domain.job import JobSpec
from controller.ports import SubmitRequest
from controller.providers.kubernetes import labels, places, reruns, rules, template
from controller.providers.kubernetes.places import Place
from controller.providers.kubernetes.template import Object
from controller.providers.kubernetes.wire import Job
from controller.providers.program import invalid


def namespace_of(objects: str, settings: KubernetesSettings) -> str:
    """Where today's settings have the Job of an object of that namespace made. Raises Permanent(INVALID_SPEC)."""
    namespace = settings.namespace or objects
    if not namespace:
        raise invalid("metadata.namespace", "is needed: the Job is made there")
    return _not_own(namespace, settings)


def _not_own(namespace: str, settings: KubernetesSettings) -> str:
    if namespace == settings.own_namespace:
        raise invalid("metadata.namespace", "is the controller's own: a job could use its accounts and Secrets there")
    return namespace


def place(request: SubmitRequest, settings: KubernetesSettings) -> Place:
    """Where the Job is made. Raises Permanent(INVALID_SPEC) where no namespace is known."""
    sent = request.destination.namespace if request.destination is not None else None
    # What is written down is held to the same: a status is easier to write than the settings.
    namespace = _not_own(sent, settings) if sent else namespace_of(request.namespace, settings)
    return Place(namespace, places.job_name(request.external_name))


def job(request: SubmitRequest, settings: KubernetesSettings) -> Object:
    """The Job, suspended: nothing of it runs until `release`. Without the environment's values: they are in `secret`.

    Raises Permanent(INVALID_SPEC).
    """
    spec = request.spec
    rules.check(spec, request.resources, request.sizing, request.env)
    where = place(request, settings)
    all_labels = {**(spec.labels or {}), **labels.ours(request, settings.instance)}
    metadata: Object = {
        "name": where.name,
        "namespace": where.namespace,
        "labels": {key: value for key, value in all_labels.items() if key != labels.QUEUE},
        "annotations": {
            labels.UNRELEASED: "true",
            labels.TENANT: request.tenant_id,
            labels.PREEMPTION_LIMIT: str(spec.preemption_limit),
        },
    }
    if request.object_name and not settings.kubeconfig and where.namespace == request.namespace:
        # Of one that is never let go the garbage collector sees to, once its JennahJob is gone.
        owner = {"apiVersion": names.API_VERSION, "kind": names.KIND, "name": request.object_name, "uid": request.uid}
        metadata["ownerReferences"] = [{**owner, "controller": False, "blockOwnerDeletion": False}]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            **_attempts(spec),
            "suspend": True,
            "ttlSecondsAfterFinished": max(settings.ttl_seconds, spec.ttl_seconds_after_finished or 0),
            "template": {"metadata": {"labels": all_labels}, "spec": template.pod_spec(request, settings, where)},
        },
    }


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


def _attempts(spec: JobSpec) -> Object:
    """How many tasks, how many at once, how often each is tried.

    A single task is an indexed Job of one as well: the Job controller then writes to each Pod how often its task
    failed and was disrupted before, and knows a limit of failures for each task. `backoffLimit` would be of all tasks
    together, and its end that of the tasks that do well.
    """
    return {
        "podFailurePolicy": {"rules": reruns.rules(spec.completions)},
        "completionMode": "Indexed",
        "completions": spec.completions,
        "parallelism": spec.parallelism or spec.completions,
        "backoffLimitPerIndex": spec.backoff_limit,
    }
