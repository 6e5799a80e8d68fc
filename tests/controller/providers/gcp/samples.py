"""What the tests of the pure mapping share: a place, a request, and words of any letters."""

import uuid
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from controller.domain import names
from controller.domain.job import JobSpec
from controller.domain.resources import ResourceSet
from controller.ports import SubmitRequest
from controller.providers.gcp import places

PLACE = places.Place(project="acme", region="us-central1", instance="test")
UID = str(uuid.UUID(int=7))


def submission(env: dict[str, str] | None = None, resources: ResourceSet | None = None, **spec: Any) -> SubmitRequest:
    return SubmitRequest(
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        external_name=names.external_name("job", UID),
        uid=UID,
        job_id="id.1",
        tenant_id="Tenant.One",
        spec=JobSpec(**{"image": "busybox", **spec}),
        resources=resources or ResourceSet(cpu_millis=2000, memory_mib=4096, max_run_duration_seconds=3600),
        env=env or {},
    )


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
