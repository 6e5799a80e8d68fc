"""What this adapter makes of a spec (`tests.controller.providers.mapped`): in one place, for one object."""

from collections.abc import Mapping
from datetime import UTC, datetime

from google.cloud import batch_v1
from google.protobuf import json_format

from controller.domain import names
from controller.domain.job import JobSpec
from controller.domain.resources import Profiles, resolve, size
from controller.ports import SubmitRequest
from controller.providers.gcp import remarks, request
from controller.providers.gcp.places import Place
from tests.controller.providers.mapped import Mapped

PLACE = Place(project="acme", region="us-central1", instance="test")
UID = "01234567-89ab-cdef-0123-456789abcdef"


def requested(spec: JobSpec, env: Mapping[str, str]) -> SubmitRequest:
    """As the operator asks for it, with the built-in profiles."""
    return SubmitRequest(
        external_name=names.external_name("job", UID),
        uid=UID,
        job_id="job-1",
        tenant_id="tenant-1",
        spec=spec,
        resources=resolve(spec, Profiles()),
        sizing=size(spec, Profiles()),
        env=env,
        namespace="team",
        object_name="job",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def mapped(spec: JobSpec, env: Mapping[str, str]) -> Mapped:
    """One call: CreateJob."""
    asked = requested(spec, env)
    made = batch_v1.CreateJobRequest.pb(request.create_request(asked, PLACE))
    return Mapped(sent={"CreateJob": json_format.MessageToDict(made)}, remarks=remarks.remarks(asked))
