"""Which queue a job goes to, and where it is looked for."""

import msgspec
import pytest

from controller.cloud_settings import AwsSettings
from controller.domain import reasons
from controller.domain.destination import Destination
from controller.domain.errors import Permanent
from controller.domain.job import AwsOptions, Gpu, JobSpec, Resources
from controller.ports import JobRef
from controller.providers.aws import queues

SETTINGS = AwsSettings(
    region="eu-west-1",
    instance="test",
    job_queue="default",
    job_queues={"spot": "q-spot", "gpu": "q-gpu", "gpu+spot": "q-gpu-spot", "c6i.large": "q-c6i", "a100": "q-a100"},
    calls_per_second=10,
    submits_per_second=10,
)


@pytest.mark.parametrize(
    ("spec", "queue"),
    [
        ({}, "default"),
        ({"spot": True}, "q-spot"),
        ({"resources": Resources(gpu=Gpu(count=1))}, "q-gpu"),
        ({"resources": Resources(gpu=Gpu(count=1)), "spot": True}, "q-gpu-spot"),
        ({"resources": Resources(gpu=Gpu(count=1, type="a100"))}, "q-a100"),
        ({"machine_type": "c6i.large", "resources": Resources(gpu=Gpu(count=1))}, "q-c6i"),
        ({"machine_type": "other", "aws": AwsOptions(job_queue="mine")}, "mine"),
    ],
)
def test_the_queue_is_chosen_by_what_a_job_asks_for(spec: dict, queue: str) -> None:
    assert queues.choose(JobSpec(image="i", **spec), SETTINGS) == queue


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"machine_type": "c7g.large"}, "spec.machineType"),
        ({"machine_type": "c6i.large", "spot": True}, "spec.machineType with spec.spot"),
        ({"resources": Resources(gpu=Gpu(count=1, type="h100"))}, "spec.resources.gpu.type"),
    ],
)
def test_what_has_no_queue_is_refused_with_the_field_and_the_variable(spec: dict, field: str) -> None:
    with pytest.raises(Permanent, match=f"^{field}: AWS_JOB_QUEUES") as refused:
        queues.choose(JobSpec(image="i", **spec), SETTINGS)
    assert refused.value.reason == reasons.INVALID_SPEC


def test_a_gpu_without_a_queue_of_its_own_goes_to_the_default() -> None:
    plain = msgspec.structs.replace(SETTINGS, job_queues={})
    assert queues.choose(JobSpec(image="i", resources=Resources(gpu=Gpu(count=1))), plain) == "default"


def test_a_job_is_looked_for_where_it_was_sent_and_where_that_is_not_known_in_all_queues() -> None:
    def possible(**known: object) -> tuple[str, ...]:
        return queues.possible(JobRef(external_name="job", uid="uid", **known), SETTINGS)

    everywhere = ("default", "q-spot", "q-gpu", "q-gpu-spot", "q-c6i", "q-a100")
    assert possible() == possible(spec=JobSpec(image="i", spot=True)) == everywhere
    mine = JobSpec(image="i", aws=AwsOptions(job_queue="mine"))
    assert possible(spec=mine) == ("mine",)
    assert possible(spec=mine, destination=Destination(provider="aws", queue="old")) == ("old",)
    assert possible(destination=Destination(provider="aws")) == everywhere


def test_a_queue_is_listed_once_whether_it_is_there_by_its_name_or_its_arn() -> None:
    arn = "arn:aws:batch:eu-west-1:123456789012:job-queue/one"
    assert len(queues.distinct(["one", arn, "two"])) == 2
