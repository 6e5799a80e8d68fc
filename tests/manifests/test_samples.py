"""The samples: one of each feature, listed, and such that the services they are for would take them."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.cloud import batch_v1

from controller.cloud_settings import AwsSettings, KubernetesSettings
from controller.domain.job import Job, JobSpec, parse
from controller.domain.resources import Profiles
from controller.ports import Environment, SubmitRequest
from controller.providers.aws import definition, queues
from controller.providers.aws import request as aws
from controller.providers.aws.queues import Platform, Queue
from controller.providers.azure import places, pools
from controller.providers.azure import request as azure
from controller.providers.azure.pools import Pool
from controller.providers.gcp import request as gcp
from controller.providers.gcp.places import Place
from controller.providers.kubernetes import request as kubernetes
from controller.providers.local import mapping as local
from controller.reconcile.submission import request_for
from dev.emulators.aws import shapes
from dev.emulators.gcp import refusals
from tests.contract.azure_service import azure_settings

FOLDER = Path(__file__).parents[2] / "manifests" / "samples"
UID = "01234567-89ab-cdef-0123-456789abcdef"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROVIDERS = ("gcp", "aws", "azure", "kubernetes", "local")
AWS = AwsSettings(
    region="eu-west-1",
    instance="test",
    job_queue="jennah",
    job_queues={"spot": "jennah-spot", "gpu": "jennah-gpu"},
    calls_per_second=1,
    submits_per_second=1,
)
AZURE = azure_settings("https://jennah.westeurope.batch.azure.com")
KUBERNETES = KubernetesSettings(region="cluster", instance="test")


def job_of(path: Path) -> Job:
    [raw] = [document for document in yaml.safe_load_all(path.read_text()) if document["kind"] == "JennahJob"]
    raw["metadata"] |= {"uid": UID, "namespace": "team", "creationTimestamp": NOW.isoformat(), "resourceVersion": "1"}
    return parse(raw)


JOBS = {path.stem: job_of(path) for path in sorted(FOLDER.glob("*.yaml"))}


def to_gcp(request: SubmitRequest) -> None:
    made = gcp.create_request(request, Place(project="acme", region="us-central1", instance="test"))
    refusals.check_create(batch_v1.CreateJobRequest.pb(made))


def to_aws(request: SubmitRequest) -> None:
    name = queues.choose(request.spec, AWS)
    platform = Platform.FARGATE if "fargate" in name else Platform.EC2
    queue = Queue(name=name, platform=platform, has_policy=False)
    defined = definition.parameters(request, queue, AWS.execution_role_arn)
    sent = aws.parameters(request, queue, definition=f"{defined['jobDefinitionName']}:1", instance="test")
    assert shapes.fault("RegisterJobDefinition", defined) is None
    assert shapes.fault("SubmitJob", sent) is None


def to_azure(request: SubmitRequest) -> None:
    name = pools.choose(request.spec, AZURE)
    vm_size = "Standard_NC4as_T4_v3" if "gpu" in name else "Standard_D8s_v5"
    pool = Pool(id=name, vm_size=vm_size, slots=8, takes_containers=True)
    where = places.place("shared", request.external_name, request.spec.completions)
    assert len(list(azure.tasks(request, where, pool, AZURE))) == request.spec.completions


def to_kubernetes(request: SubmitRequest) -> None:
    assert kubernetes.job(request, KUBERNETES)["kind"] == "Job"


def to_local(request: SubmitRequest) -> None:
    assert local.job_file(request, submitted_at=NOW)


MAPPINGS: dict[str, Callable[[SubmitRequest], None]] = {
    "gcp": to_gcp,
    "aws": to_aws,
    "azure": to_azure,
    "kubernetes": to_kubernetes,
    "local": to_local,
}


def pairs() -> Iterator[Any]:
    """Each sample with each provider that it is for: its own, or all."""
    for name, job in JOBS.items():
        for provider in [job.spec.provider] if job.spec.provider else PROVIDERS:
            yield pytest.param(name, provider, id=f"{name}-{provider}")


@pytest.mark.parametrize(("name", "provider"), pairs())
def test_the_service_that_a_sample_is_for_would_take_it(name: str, provider: str) -> None:
    MAPPINGS[provider](request_for(JOBS[name], Environment(values={"A": "b"}, shown={}), Profiles()))


FEATURES: dict[str, Callable[[JobSpec], object]] = {
    "array": lambda spec: spec.completions > 1,
    "spot": lambda spec: spec.spot,
    "GPU": lambda spec: spec.resources is not None and spec.resources.gpu,
    "secret env": lambda spec: any(one.value_from for one in spec.env or ()),
    "suspend": lambda spec: spec.suspend,
    "deadline": lambda spec: spec.active_deadline_seconds,
    "ttl": lambda spec: spec.ttl_seconds_after_finished,
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("feature", FEATURES)
def test_each_feature_has_a_sample_for_each_provider(feature: str, provider: str) -> None:
    if (feature, provider) == ("GPU", "local"):
        return  # a process beside the operator gets no GPU of its own
    fitting = [job.spec for job in JOBS.values() if job.spec.provider in (None, provider)]
    assert any(FEATURES[feature](spec) for spec in fitting)


def test_each_sample_says_what_it_shows_and_is_in_the_list() -> None:
    listed = (FOLDER / "README.md").read_text()
    for path in FOLDER.glob("*.yaml"):
        assert path.read_text().startswith("# "), f"{path.name} begins with a comment"
        assert f"| [{path.name}]({path.name}) |" in listed
        assert JOBS[path.stem].metadata.name == path.stem


def test_the_block_that_only_one_provider_has_is_shown_for_each() -> None:
    own = set(PROVIDERS) - {"local"}
    assert own == {name for name in own for job in JOBS.values() if getattr(job.spec, name) is not None}


TOLD = {"aws": {"AWS_BATCH_JOB_ARRAY_INDEX"}}
"""Variables that a service sets itself; else those that it shares with the others."""


@pytest.mark.parametrize("name", JOBS)
def test_commands_read_variables_that_are_there(name: str) -> None:
    job = JOBS[name]
    spec = job.spec
    read = set(re.findall(r"\$([A-Z_]+)", " ".join((*(spec.command or ()), *(spec.args or ())))))
    own = {variable.name for variable in spec.env or ()} | ({"REGION"} if spec.env_from else set())
    assert read - own <= TOLD.get(spec.provider or "", {"BATCH_TASK_INDEX", "BATCH_TASK_COUNT"})
