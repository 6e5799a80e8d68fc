"""What the adapter makes of a spec: nothing is started."""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from controller.domain.job import JobSpec
from controller.domain.resources import Profiles, resolve, size
from controller.ports import SubmitRequest
from controller.providers.local import differences, rules
from controller.providers.local import mapping as adapter
from tests.controller.providers.mapped import Mapped

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def mapped(spec: JobSpec, env: Mapping[str, str]) -> Mapped:
    """Raises Permanent(INVALID_SPEC) for what the local provider does not take."""
    request = SubmitRequest(
        external_name="hello-11111111222233334444555555555555",
        uid="11111111-2222-3333-4444-555555555555",
        job_id="job-1",
        tenant_id="tenant",
        spec=spec,
        resources=resolve(spec, Profiles()),
        sizing=size(spec, Profiles()),
        env=env,
        namespace="team-a",
        object_name="hello",
        created_at=NOON,
    )
    rules.check(spec, request.resources, request.sizing, env)
    job = msgspec.to_builtins(adapter.job_file(request, submitted_at=NOON))
    return Mapped(sent={"job.json": job}, remarks=differences.remarks(request))
