"""What the adapter makes of a spec, with fixed settings: nothing is sent."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from controller.cloud_settings import KubernetesSettings
from controller.domain.job import JobSpec
from controller.domain.resources import Profiles, resolve, size
from controller.ports import SubmitRequest
from controller.providers.kubernetes import differences, request
from tests.controller.providers.mapped import Mapped

SETTINGS = KubernetesSettings(region="cluster", instance="jennah")
UID = "11111111-2222-3333-4444-555555555555"


def asked(spec: JobSpec, env: Mapping[str, str] | None = None) -> SubmitRequest:
    """The request for that spec, its resources resolved as the operator does."""
    return SubmitRequest(
        external_name="hello-11111111222233334444555555555555",
        uid=UID,
        job_id="job-1",
        tenant_id="tenant",
        spec=spec,
        resources=resolve(spec, Profiles()),
        sizing=size(spec, Profiles()),
        env=env or {},
        namespace="team-a",
        object_name="hello",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def mapped(spec: JobSpec, env: Mapping[str, str]) -> Mapped:
    """Raises Permanent(INVALID_SPEC) for what Kubernetes does not take."""
    wanted = asked(spec, env)
    sent: dict[str, Any] = {"job": request.job(wanted, SETTINGS)}
    secret = request.secret(wanted, SETTINGS, "job-uid")
    if secret is not None:
        sent["secret"] = secret
    return Mapped(sent=sent, remarks=differences.remarks(wanted))
