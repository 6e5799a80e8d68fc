"""A SubmitJobRequest as the objects that Kubernetes gets: pure, and never a field that the caller did not send.

Values of env_vars are in the Secret only; the resource names the Secret.
"""

import base64
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

from api import tasks
from api.gen import deployment_pb2 as pb
from controller.domain import names
from controller.domain.job import EnvFromSource, Gpu, JobSpec, ObjectRef, Resources, spec_to_wire

T = TypeVar("T")

_DEFAULTS: Final = JobSpec(image="")


def idempotent_job_id(tenant_id: str, key: str) -> str:
    """The job id that an Idempotency-Key stands for: the same for the same tenant and key, for ever.

    Anybody can compute it, and no secret need hide it: a job id is its tenant's own, so another tenant that has it can
    neither take it nor find out whether it is used. A secret could be lost or changed, and then a repeat ran again.
    """
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://{names.GROUP}/idempotency/{tenant_id}/{key}"))


def job_spec(
    request: pb.SubmitJobRequest, *, tenant_id: str, job_id: str, secret_name: str, ttl_seconds: int | None = None
) -> JobSpec:
    """The spec of a valid request (`checks.fields`); `ttl_seconds`: how long its object outlives its end where
    the request does not say.

    `secret_name`: of the Secret that will have its env_vars, where there are any.
    Raises Invalid for wrong task counts.
    """
    counts = tasks.read(request)
    return JobSpec(
        image=request.image_uri,
        command=tuple(request.command) or None,
        args=tuple(request.commands) or None,
        env_from=_env_from(secret_name) if request.env_vars else None,
        resources=_resources(request),
        machine_type=request.machine_type or None,
        boot_disk_gib=request.boot_disk_size_gb or None,
        spot=request.use_spot_vms or None,
        service_account=request.service_account or None,
        active_deadline_seconds=request.resource_override.max_run_duration_seconds or None,
        pending_deadline_seconds=request.pending_deadline_seconds or None,
        backoff_limit=_said(request, "backoff_limit", _DEFAULTS.backoff_limit),
        preemption_limit=_said(request, "preemption_limit", _DEFAULTS.preemption_limit),
        completions=counts.completions,
        parallelism=counts.parallelism,
        priority=_said(request, "priority", None),
        labels=dict(request.labels) or None,
        provider=request.provider or None,
        display_name=request.name or None,
        ttl_seconds_after_finished=_said(request, "ttl_seconds_after_finished", ttl_seconds),
        tenant_id=tenant_id,
        job_id=job_id,
    )


def object_name(spec: JobSpec) -> str:
    """The name of the object that the API makes of a submitted job."""
    return names.object_name(spec.tenant_id or "", spec.job_id or "", spec.display_name)


def job_object(spec: JobSpec, *, namespace: str, at: datetime, is_new_id: bool) -> dict[str, Any]:
    """The JennahJob, submitted at that time; `is_new_id`: its job id was made up for it.

    Labels and finalizer are set at once: it saves the controller a write.
    """
    notes = {names.ANNOTATION_SUBMITTED_AT: at.isoformat()}
    if is_new_id:
        notes[names.ANNOTATION_NEW_ID] = "true"
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {
            "name": object_name(spec),
            "namespace": namespace,
            "labels": {names.LABEL_JOB_ID: spec.job_id, names.LABEL_TENANT: spec.tenant_id},
            "annotations": notes,
            "finalizers": [names.FINALIZER],
        },
        "spec": spec_to_wire(spec),
    }


def env_secret(spec: JobSpec, object_name: str) -> str | None:
    """The name of the Secret that a submitted job has its env_vars from; None where it has none."""
    refs = [source.secret_ref for source in spec.env_from or ()]
    if len(refs) == 1 and refs[0] and names.is_env_secret(refs[0].name, object_name):
        return refs[0].name
    return None


def secret_object(env_vars: Mapping[str, str], *, name: str, job_name: str, namespace: str, uid: str) -> dict[str, Any]:
    """The Secret with the values, owned by the job of that uid: it goes with it."""
    owner = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": job_name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "ownerReferences": [owner],
        },
        "type": "Opaque",
        "data": {name: base64.b64encode(value.encode()).decode() for name, value in env_vars.items()},
    }


def _env_from(secret_name: str) -> tuple[EnvFromSource, ...]:
    return (EnvFromSource(secret_ref=ObjectRef(name=secret_name)),)


def _said(request: pb.SubmitJobRequest, field: str, default: T) -> int | T:
    """The value of a field that may be 0; the default where it is unset."""
    value: int = getattr(request, field)
    return value if request.HasField(field) else default


def _resources(request: pb.SubmitJobRequest) -> Resources | None:
    override, gpu = request.resource_override, request.gpu
    wanted = Resources(
        profile=request.resource_profile or None,
        cpu=f"{override.cpu_millis}m" if override.cpu_millis else None,
        memory=f"{override.memory_mib}Mi" if override.memory_mib else None,
        shared_memory=f"{request.shared_memory_mib}Mi" if request.shared_memory_mib else None,
        gpu=Gpu(count=gpu.count, type=gpu.type or None) if request.HasField("gpu") else None,
    )
    return wanted if wanted != Resources() else None
