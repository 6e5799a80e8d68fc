"""Requests, Jobs and Pods as tests want them, in the shapes that a cluster answers with."""

import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec

from controller.cloud_settings import KubernetesSettings
from controller.domain import names
from controller.domain.job import JobSpec
from controller.domain.resources import Profiles, ResourceSet, size
from controller.ports import SubmitRequest
from controller.providers.kubernetes.wire import Job, Pod

JOB_UID = "0a0b0c0d-0000-0000-0000-000000000001"
NAME = "hello-11111111222233334444555555555555"
UID = "11111111-2222-3333-4444-555555555555"
NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def settings(**other: Any) -> KubernetesSettings:
    return KubernetesSettings(**{"region": "cluster", "instance": "test", **other})


def wanted(name: str = "hello", uid: str = UID, **spec: Any) -> SubmitRequest:
    env = spec.pop("env", {"TOKEN": "secret-value"})
    asked = JobSpec(image="busybox", **{"backoff_limit": 0, **spec})
    return SubmitRequest(
        external_name=names.external_name(name, uid),
        uid=uid,
        job_id="job-1",
        tenant_id="tenant",
        spec=asked,
        resources=ResourceSet(cpu_millis=500, memory_mib=128, max_run_duration_seconds=3600),
        sizing=size(asked, Profiles()),
        env=env,
        namespace="team-a",
        created_at=NOON,
    )


def fresh(**spec: Any) -> SubmitRequest:
    """One of a uid of its own."""
    return wanted(uid=str(uuid.uuid4()), **spec)


def at(minute: int, second: int = 0) -> str:
    return f"2026-01-01T12:{minute:02}:{second:02}Z"


def condition(kind: str, status: str = "True", **more: str) -> dict[str, str]:
    return {"type": kind, "status": status, "lastTransitionTime": at(9), **more}


def job(*conditions: dict[str, str], meta: dict[str, Any] | None = None, spec: Any = None, **status: Any) -> Job:
    """A Job of ours."""
    labels = {"jennah.alphaus.cloud/uid": UID, "jennah.alphaus.cloud/external-name": NAME}
    raw = {
        "metadata": {
            "name": NAME,
            "namespace": "team-a",
            "uid": JOB_UID,
            "resourceVersion": "10",
            "creationTimestamp": at(0),
            "labels": labels,
            **(meta or {}),
        },
        "spec": {"backoffLimit": 2, "completions": 1, **(spec or {})},
        "status": {"conditions": list(conditions), **status},
    }
    return msgspec.convert(raw, Job)


def pod(
    phase: str = "Running",
    *,
    name: str = "p",
    index: int = 0,
    state: dict[str, Any] | None = None,
    conditions: tuple[dict[str, str], ...] = (),
    owner: str = JOB_UID,
    failures: int = 0,
    disruptions: int = 0,
    meta: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    beside: dict[str, Any] | None = None,
    **status: Any,
) -> Pod:
    """A Pod of that Job. `failures`, `disruptions`: of earlier Pods of its task; `beside`: of another container."""
    containers = [{"name": "mesh", "state": beside or {}}, {"name": "task", "state": state}] if state else []
    earlier = {"job-completion-index": index, "job-index-failure-count": failures}
    earlier["job-index-ignored-failure-count"] = disruptions
    raw = {
        "metadata": {
            "name": name,
            "namespace": "team-a",
            "uid": f"uid-{name}",
            "resourceVersion": "11",
            "annotations": {f"batch.kubernetes.io/{name}": str(number) for name, number in earlier.items()},
            "ownerReferences": [{"uid": owner, "controller": True}],
            **(meta or {}),
        },
        "spec": spec or {},
        "status": {"phase": phase, "conditions": list(conditions), "containerStatuses": containers, **status},
    }
    return msgspec.convert(raw, Pod)


def terminated(exit_code: int, reason: str = "Error", minute: int = 5, **more: Any) -> dict[str, Any]:
    times = {"startedAt": at(2), "finishedAt": at(minute)}
    return {"terminated": {"exitCode": exit_code, "reason": reason, **times, **more}}
