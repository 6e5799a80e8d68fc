"""Spec to SubmitJob's parameters, without a service: sizes, limits, and what is refused with the field's name."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain import conditions, reasons
from controller.domain.errors import Permanent
from controller.domain.job import AwsOptions, Gpu, JobSpec, Resources
from controller.domain.resources import ResourceSet
from controller.ports import SubmitRequest
from controller.providers.aws import fargate, remarks, request, tags
from controller.providers.aws.queues import Platform, Queue
from dev.emulators.aws import shapes

EC2 = Queue(name="default", platform=Platform.EC2, has_policy=False)
FAIR = Queue(name="fair", platform=Platform.EC2, has_policy=True)
FARGATE = Queue(name="fargate", platform=Platform.FARGATE, has_policy=False)


def asked(*, cpu: int = 1000, memory: int = 2048, seconds: int = 3600, env=None, **spec: object) -> SubmitRequest:
    return SubmitRequest(
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        external_name="job-0123456789abcdef0123456789abcdef",
        uid="01234567-89ab-cdef-0123-456789abcdef",
        job_id="job",
        tenant_id="tenant",
        spec=JobSpec(image="busybox", **spec),
        resources=ResourceSet(cpu_millis=cpu, memory_mib=memory, max_run_duration_seconds=seconds),
        env=env or {},
    )


def sent(wanted: SubmitRequest, queue: Queue = EC2) -> dict:
    """SubmitJob's parameters, which botocore's model knows."""
    parameters = request.parameters(wanted, queue, definition="d:1", instance="test")
    assert shapes.fault("SubmitJob", parameters) is None
    return parameters


def needs(parameters: dict) -> dict[str, str]:
    return {one["type"]: one["value"] for one in parameters["containerOverrides"]["resourceRequirements"]}


def remarks_of(parameters: dict) -> dict[str, str]:
    return {one.condition: one.message for one in remarks.decode(parameters["tags"].get(tags.ASKED, ""))}


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ((100, 100), (250, 512)),
        ((250, 513), (250, 1024)),
        ((250, 2049), (500, 3072)),
        ((2000, 4096), (2000, 4096)),
        ((2001, 4096), (4000, 8192)),
        ((1000, 8193), (2000, 9216)),
        ((8000, 16385), (8000, 20480)),
        ((16000, 122881), (32000, 249856)),
        ((32000, 249857), None),
        ((32001, 512), None),
    ],
)
def test_fargate_sizes_are_rounded_up(wanted: tuple[int, int], given: tuple[int, int] | None) -> None:
    assert fargate.round_up(*wanted) == given


@given(st.integers(0, 40_000), st.integers(0, 300_000))
def test_fargate_gives_never_less_than_was_asked_for_and_always_a_legal_size(cpu: int, memory: int) -> None:
    found = fargate.round_up(cpu, memory)
    if found is not None:
        assert found[0] >= cpu
        assert found[1] in dict(fargate.SIZES)[found[0]]
        assert found[1] >= memory
        assert fargate.round_up(*found) == found


def test_ec2_has_whole_cpus_and_says_what_was_rounded() -> None:
    parameters = sent(asked(cpu=500, memory=2))
    assert needs(parameters) == {"VCPU": "1", "MEMORY": "4"}
    message = "CPU of 500m became 1000m; memory of 2 MiB became 4 MiB"
    assert remarks_of(parameters) == {conditions.RESOURCES_EXACT: message}
    assert remarks_of(sent(asked(cpu=2000, memory=4096))) == {}


def test_fargate_says_what_was_rounded() -> None:
    parameters = sent(asked(cpu=1500, memory=3000), FARGATE)
    assert needs(parameters) == {"VCPU": "2", "MEMORY": "4096"}
    assert "CPU of 1500m became 2000m" in remarks_of(parameters)[conditions.RESOURCES_EXACT]


def test_gpus_are_a_requirement_on_ec2_and_refused_on_fargate() -> None:
    wanted = asked(resources=Resources(gpu=Gpu(count=2)))
    assert needs(sent(wanted))["GPU"] == "2"
    with pytest.raises(Permanent, match=r"spec\.resources\.gpu"):
        sent(wanted, FARGATE)


def test_a_plain_job_is_sent_with_nothing_that_it_does_not_need() -> None:
    assert sent(asked(args=("a", "b"), env={"A": "1"}, backoff_limit=2, labels={"team": "x"})) == {
        "jobName": "job-0123456789abcdef0123456789abcdef",
        "jobQueue": "default",
        "jobDefinition": "d:1",
        "containerOverrides": {
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}],
            "environment": [{"name": "A", "value": "1"}],
            "command": ["a", "b"],
        },
        "retryStrategy": {"attempts": 3},
        "timeout": {"attemptDurationSeconds": 3600},
        "tags": {
            "team": "x",
            "jennah-instance": "test",
            "jennah-tenant": "tenant",
            "jennah-uid": "01234567-89ab-cdef-0123-456789abcdef",
            "jennah-job-id": "job",
        },
    }


def test_one_task_is_no_array_and_two_are() -> None:
    assert "arrayProperties" not in sent(asked(completions=1))
    assert sent(asked(completions=2))["arrayProperties"] == {"size": 2}


def test_parallelism_is_remarked_only_where_it_would_limit_something() -> None:
    assert remarks_of(sent(asked(completions=4, parallelism=4))) == {}
    told = remarks_of(sent(asked(completions=4, parallelism=2)))
    assert "parallelism 2 changes nothing" in told[conditions.PARALLELISM_HONOURED]


def test_a_time_limit_below_the_least_is_raised_and_remarked() -> None:
    parameters = sent(asked(seconds=10))
    assert parameters["timeout"] == {"attemptDurationSeconds": 60}
    assert remarks_of(parameters)[conditions.DEADLINE_EXACT].startswith("activeDeadlineSeconds of 10 became 60")
    assert "timeout" not in sent(asked(seconds=0))


def test_a_command_is_remarked_as_the_entrypoint_stays() -> None:
    parameters = sent(asked(command=("sh", "-c"), args=("true",)))
    assert parameters["containerOverrides"]["command"] == ["sh", "-c", "true"]
    assert list(remarks_of(parameters)) == [conditions.ENTRYPOINT_REPLACED]


def test_nine_retries_are_the_most() -> None:
    assert sent(asked(backoff_limit=9))["retryStrategy"] == {"attempts": 10}
    with pytest.raises(Permanent, match=r"^spec\.backoffLimit: .*10 times, so 9 is the most"):
        sent(asked(backoff_limit=10))


def test_a_queue_with_a_policy_needs_a_share_and_another_takes_none() -> None:
    assert sent(asked(priority=5), FAIR)["shareIdentifier"] == request.DEFAULT_SHARE
    assert sent(asked(priority=5), FAIR)["schedulingPriorityOverride"] == 5
    assert sent(asked(aws=AwsOptions(share_identifier="team")), FAIR)["shareIdentifier"] == "team"
    assert "schedulingPriorityOverride" not in sent(asked(priority=5))
    with pytest.raises(Permanent, match=r"^spec\.aws\.shareIdentifier"):
        sent(asked(aws=AwsOptions(share_identifier="team")))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (asked(env={"AWS_BATCH_X": "secret"}), "spec.env: 'AWS_BATCH_X' is reserved"),
        (asked(env={"A": "secret" * 10_000}), "env, command, args and labels take"),
        (asked(labels={"aws:x": ""}), "spec.labels: 'aws:x' is a reserved tag"),
        (asked(labels={"jennah-uid": "x"}), "spec.labels: 'jennah-uid' is a reserved tag"),
        (asked(labels={"a": "ü*"}), "spec.labels: 'a' must consist of"),
        (asked(labels={"a" * 129: ""}), "must have 1 to 128 characters"),
        (asked(labels={f"a{n}": "" for n in range(46)}), "spec.labels: 46 are more than 43"),
        (asked(completions=10_001), "spec.completions"),
    ],
)
def test_what_the_service_cannot_take_is_refused_by_name_and_without_values(
    wanted: SubmitRequest, message: str
) -> None:
    with pytest.raises(Permanent) as refused:
        sent(wanted)
    assert message in str(refused.value)
    assert "secret" not in str(refused.value)
    assert refused.value.reason == reasons.INVALID_SPEC
