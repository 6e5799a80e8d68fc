"""What is refused: by its field, with the limit and what to do, and without a variable's value."""

import subprocess
import sys

import pytest

from controller.domain import reasons
from controller.domain.errors import Permanent
from controller.domain.job import AwsOptions, CloudSecretRef, EnvVar, EnvVarSource, Gpu, JobSpec, Resources
from controller.domain.machines import Machine
from controller.domain.resources import Profiles, resolve, size
from controller.providers.aws import rules, sizes
from tests.controller.providers.aws.mapping import mapped

FARGATE = AwsOptions(job_queue="jennah-fargate")


def secret(name: str) -> EnvVar:
    return EnvVar(name="TOKEN", value_from=EnvVarSource(cloud_secret_ref=CloudSecretRef(name=name)))


def asked(**spec: object) -> JobSpec:
    return JobSpec(image=spec.pop("image", "busybox"), **spec)


EVERYWHERE = [
    ({"image": "ghcr.io/Acme/tool:1"}, {}, "'Acme' has the capital letter 'A'"),
    ({"args": ("a", "")}, {}, "spec.args[1]: AWS Batch takes no empty word"),
    ({"command": ("",)}, {}, "spec.command[0]: AWS Batch takes no empty word"),
    ({}, {"AWS_BATCH_X": "hush"}, "spec.env: 'AWS_BATCH_X' is reserved"),
    ({}, {"A": "hush" * 15_000}, "spec.env: 60054 characters are too many"),
    ({"args": ("a" * 30_000,)}, {}, "spec.args: 30033 characters are too many"),
    ({"command": ("a" * 30_000,)}, {}, "spec.command: 30033 characters are too many"),
    ({"args": ("Ref::x", "a" * 9000)}, {}, "'Ref::' cannot go into a job definition"),
    ({"labels": {"aws:x": ""}}, {}, "spec.labels: 'aws:x' is a reserved tag"),
    ({"labels": {"jennah-uid": "x"}}, {}, "spec.labels: 'jennah-uid' is a reserved tag"),
    ({"labels": {"a" * 129: ""}}, {}, "must have 1 to 128 characters"),
    ({"labels": {"": "x"}}, {}, "must have 1 to 128 characters"),
    ({"labels": {"a": "x" * 257}}, {}, "spec.labels: 'a' has a value of more than 256 characters"),
    ({"labels": {"a*": "", "a?": ""}}, {}, "spec.labels: 'a?' becomes 'a_' as a tag"),
    ({"labels": {f"a{n}": "" for n in range(44)}}, {}, "spec.labels: 44 are more than 43"),
    ({"completions": 10_001}, {}, "spec.completions: AWS Batch has at most 10000"),
    ({"backoff_limit": 10}, {}, "spec.backoffLimit: AWS Batch runs a task at most 10 times, so 9 is the most"),
    ({"service_account": "me@acme.iam"}, {}, "spec.serviceAccount: on AWS it is the ARN"),
    ({"env": (secret("projects/acme/secrets/key"),)}, {}, "the cloudSecretRef of TOKEN must be the ARN"),
    ({"aws": AwsOptions(log_group="AWS/batch")}, {}, "spec.aws.logGroup: 'AWS/batch' begins with AWS/"),
    ({"aws": AwsOptions(log_group="aws/batch")}, {}, "spec.aws.logGroup: 'aws/batch' begins with AWS/"),
    ({"aws": AwsOptions(log_group="my logs")}, {}, "spec.aws.logGroup: 'my logs' is none"),
    (
        {"machine_type": "r5.xlarge", "resources": Resources(cpu=4, memory="32Gi")},
        {},
        "spec.resources.memory: 32768 MiB fit on no r5.xlarge",
    ),
]


@pytest.mark.parametrize(("spec", "env", "message"), EVERYWHERE)
def test_what_the_service_cannot_take_is_refused_before_any_queue_is_known(
    spec: dict, env: dict[str, str], message: str
) -> None:
    wanted = asked(**spec)
    with pytest.raises(Permanent) as refused:
        rules.check(wanted, resolve(wanted, Profiles()), size(wanted, Profiles()), env)
    assert message in str(refused.value)
    assert "hush" not in str(refused.value)
    assert refused.value.reason == reasons.INVALID_SPEC


@pytest.mark.parametrize(("spec", "env", "message"), EVERYWHERE)
def test_the_mapping_asks_the_rules(spec: dict, env: dict[str, str], message: str) -> None:
    with pytest.raises(Permanent) as refused:
        mapped(asked(**spec), env)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"resources": Resources(gpu=Gpu(count=1)), "aws": FARGATE}, "spec.resources.gpu: Fargate has none"),
        ({"resources": Resources(cpu=33), "aws": FARGATE}, "spec.resources: Fargate has no size with 33000m"),
        ({"boot_disk_gib": 201, "aws": FARGATE}, "spec.bootDiskGiB: Fargate has at most 200"),
        ({"aws": AwsOptions(ephemeral_storage_gib=30)}, "spec.aws.ephemeralStorageGiB: only queues on Fargate"),
        ({"aws": AwsOptions(assign_public_ip=True)}, "spec.aws.assignPublicIp: only queues on Fargate"),
        ({"aws": AwsOptions(share_identifier="team")}, "spec.aws.shareIdentifier: the queue 'jennah' has no"),
        ({"machine_type": "other"}, "spec.machineType: AWS_JOB_QUEUES has none for 'other'"),
        ({"resources": Resources(gpu=Gpu(count=1, type="h100"))}, "spec.resources.gpu.type: AWS_JOB_QUEUES has no"),
        ({"machine_type": "r5.xlarge", "spot": True}, "spec.machineType with spec.spot: AWS_JOB_QUEUES has no"),
    ],
)
def test_what_the_queue_cannot_take_is_refused(spec: dict, message: str) -> None:
    with pytest.raises(Permanent) as refused:
        mapped(asked(**spec), {})
    assert message in str(refused.value)
    assert refused.value.reason == reasons.INVALID_SPEC


@pytest.mark.parametrize(
    "spec",
    [
        {"args": ("Ref::x",)},
        {"backoff_limit": 9},
        {"labels": {f"a{n}": "" for n in range(43)}},
        {"aws": AwsOptions(log_group="/aws/batch/job")},
        {"aws": AwsOptions(log_group="awsome/jobs")},
        {"env": (secret("arn:aws:ssm:eu-west-1:1:parameter/x"), secret("/acme/key"), secret("key"))},
        {"machine_type": "r5.xlarge", "resources": Resources(memory="31672Mi")},
        {"boot_disk_gib": 4000},
    ],
)
def test_what_it_can_take_is_not(spec: dict) -> None:
    mapped(asked(**spec), {})


def test_the_rules_need_no_sdk() -> None:
    program = "import sys, controller.providers.services; sys.exit(bool({'boto3', 'botocore'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


MEASURED = {
    # name: (sold, what a Linux machine of that type was measured to have), in MiB
    "c5.large": (4096, 4096 - 405),
    "c5.xlarge": (8192, 8192 - 560),
    "c5.4xlarge": (32768, 32768 - 1710),
    "c5.9xlarge": (73728, 73728 - 3521),
    "c5.18xlarge": (147456, 147456 - 6728),
    "c5n.large": (5376, 5376 - 457),
    "c6g.medium": (2048, 2048 - 209),
    "a1.medium": (2048, 2048 - 241),
    "m4.large": (8192, 7985),
    "m5.large": (8192, 7680),
    "m5.24xlarge": (393216, 378652),
    "t3.small": (2048, 1901),
    "t2.micro": (1024, 993),
    "g4dn.xlarge": (16384, 15731),
    "r3.large": (15360, 15360 - 131),
    "r5.xlarge": (32768, 31672 + 32),
    "r6a.48xlarge": (1572864, 1572864 - 57072),
    "p5.48xlarge": (2097152, 2097152 - 49192),
    "i4i.32xlarge": (1048576, 1048576 - 32697),
}
RESERVED_MIB = 32
"""By AWS Batch, for its agent."""


@pytest.mark.parametrize("name", MEASURED)
def test_what_is_given_of_a_machine_fits_on_it_and_what_may_fit_is_not_refused(name: str) -> None:
    sold, has = MEASURED[name]
    machine = Machine(name=name, cloud="aws", cpu_millis=1000, memory_mib=sold)
    assert 0.7 * sold < sizes.available_mib(machine) <= has - RESERVED_MIB <= sizes.most_mib(machine) < sold
