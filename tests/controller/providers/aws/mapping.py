"""The adapter's mapping for the tests that hold all adapters to the same: queues of each kind, and nothing is sent."""

from collections.abc import Mapping
from datetime import UTC, datetime

from controller.cloud_settings import AwsSettings
from controller.domain import names
from controller.domain.job import JobSpec
from controller.domain.resources import Profiles, resolve, size
from controller.ports import SubmitRequest
from controller.providers.aws import definition, queues, remarks, request, tags
from controller.providers.aws.queues import Platform, Queue
from dev.emulators.aws import shapes
from tests.controller.providers.mapped import Mapped

UID = "01234567-89ab-cdef-0123-456789abcdef"
ROLE = "arn:aws:iam::123456789012:role/execution"
SETTINGS = AwsSettings(
    region="eu-west-1",
    instance="test",
    job_queue="jennah",
    job_queues={
        "spot": "jennah-spot",
        "gpu": "jennah-gpu",
        "a100": "jennah-a100",
        "g5.xlarge": "jennah-gpu",
        "r5.xlarge": "jennah-r5",
        "x9.none": "jennah-x9",
    },
    execution_role_arn=ROLE,
    calls_per_second=1,
    submits_per_second=1,
)
QUEUES = {
    "jennah-spot": {"is_spot": True},
    "jennah-fargate": {"platform": Platform.FARGATE},
    "jennah-fargate-spot": {"platform": Platform.FARGATE, "is_spot": True},
    "jennah-fair": {"has_policy": True},
}
"""Those that are not plain ones on EC2; chosen by `aws.jobQueue`, or by what the settings say."""


def queue_named(name: str) -> Queue:
    plain = {"platform": Platform.EC2, "has_policy": False, "is_spot": False}
    return Queue(name=name, **{**plain, **QUEUES.get(name, {})})


def request_of(spec: JobSpec, env: Mapping[str, str] | None = None) -> SubmitRequest:
    return SubmitRequest(
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        external_name=names.external_name(spec.display_name or "job", UID),
        uid=UID,
        job_id=spec.job_id or "job-1",
        tenant_id=spec.tenant_id or "tenant",
        spec=spec,
        resources=resolve(spec, Profiles()),
        sizing=size(spec, Profiles()),
        env=env or {},
        namespace="team",
    )


def mapped(spec: JobSpec, env: Mapping[str, str]) -> Mapped:
    """See `tests.controller.providers.mapped`. Both calls are such as botocore's model of the service knows."""
    wanted = request_of(spec, env)
    queue = queue_named(queues.choose(spec, SETTINGS))
    submitted = request.parameters(wanted, queue, definition="DEFINITION:1", instance=SETTINGS.instance)
    defined = definition.parameters(wanted, queue, SETTINGS.execution_role_arn)
    assert shapes.fault("RegisterJobDefinition", defined) is None
    assert shapes.fault("SubmitJob", submitted) is None
    told = remarks.decode(submitted["tags"].get(tags.ASKED, ""))
    return Mapped(sent={"RegisterJobDefinition": defined, "SubmitJob": submitted}, remarks=told)
