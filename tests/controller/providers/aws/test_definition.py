"""Spec to the job definition, without a service."""

import pytest

from controller.domain.errors import Permanent
from controller.domain.job import AwsOptions, CloudSecretRef, EnvVar, EnvVarSource, Gpu, JobSpec, Resources
from controller.providers.aws import definition
from controller.providers.aws.queues import Platform
from dev.emulators.aws import shapes
from tests.controller.providers.aws.mapping import ROLE, queue_named, request_of


def defined(platform: Platform = Platform.EC2, role: str = ROLE, **spec: object) -> dict:
    queue = queue_named("jennah-fargate" if platform is Platform.FARGATE else "jennah")
    request = request_of(JobSpec(image=spec.pop("image", "busybox"), **spec))
    parameters = definition.parameters(request, queue, role)
    assert shapes.fault("RegisterJobDefinition", parameters) is None
    return parameters


def test_a_definition_is_named_by_what_submitting_cannot_override_and_nothing_else() -> None:
    name = defined()["jobDefinitionName"]
    same = defined(args=("x",), completions=5, backoff_limit=9, labels={"a": "b"}, priority=3, job_id="other")
    assert same["jobDefinitionName"] == name
    others = [
        defined(aws=AwsOptions(job_role_arn=ROLE)),
        defined(aws=AwsOptions(execution_role_arn=ROLE + "2")),
        defined(aws=AwsOptions(log_group="mine")),
        defined(aws=AwsOptions(registry_credentials_arn="arn:aws:secretsmanager:x")),
        defined(resources=Resources(shared_memory="1Gi")),
        defined(args=("x" * 9000,)),
        defined(Platform.FARGATE),
        defined(Platform.FARGATE, aws=AwsOptions(assign_public_ip=True)),
        defined(Platform.FARGATE, boot_disk_gib=50),
        defined(image="other"),
    ]
    assert len({name, *(one["jobDefinitionName"] for one in others)}) == 1 + len(others)


def test_secrets_go_by_reference_into_the_definition() -> None:
    source = EnvVarSource(cloud_secret_ref=CloudSecretRef(name="arn:aws:ssm:parameter"))
    container = defined(env=(EnvVar(name="TOKEN", value_from=source),))["containerProperties"]
    assert container["secrets"] == [{"name": "TOKEN", "valueFrom": "arn:aws:ssm:parameter"}]
    with pytest.raises(Permanent, match=r"cloudSecretRef needs an execution role.*AWS_EXECUTION_ROLE_ARN"):
        defined(role="", env=(EnvVar(name="TOKEN", value_from=source),))


def test_a_secret_of_a_name_that_tasks_are_told_wins() -> None:
    source = EnvVarSource(cloud_secret_ref=CloudSecretRef(name="arn:aws:ssm:parameter"))
    container = defined(env=(EnvVar(name="JENNAH_JOB_ID", value_from=source),), args=("x" * 9000,))
    assert "JENNAH_JOB_ID" not in str(container["containerProperties"].get("environment"))


def test_a_service_account_is_the_job_role() -> None:
    assert defined(service_account=ROLE)["containerProperties"]["jobRoleArn"] == ROLE
    both = defined(service_account=ROLE, aws=AwsOptions(job_role_arn=ROLE + "2"))
    assert both["containerProperties"]["jobRoleArn"] == ROLE + "2"


def test_fargate_has_a_network_and_a_disk_of_its_own_and_ec2_has_neither() -> None:
    fargate = defined(Platform.FARGATE, boot_disk_gib=50)["containerProperties"]
    assert fargate["networkConfiguration"] == {"assignPublicIp": "DISABLED"}
    assert fargate["ephemeralStorage"] == {"sizeInGiB": 50}
    small = defined(Platform.FARGATE, boot_disk_gib=20)["containerProperties"]
    assert "ephemeralStorage" not in small
    assert not defined(boot_disk_gib=50)["containerProperties"].keys() & {"networkConfiguration", "ephemeralStorage"}


def test_shared_memory_is_the_definitions_on_ec2_and_half_of_the_memory_with_gpus() -> None:
    asked = defined(resources=Resources(shared_memory="1Gi"))["containerProperties"]
    assert asked["linuxParameters"] == {"sharedMemorySize": 1024}
    gpu = defined(resources=Resources(memory="8Gi", gpu=Gpu(count=1)))["containerProperties"]
    assert gpu["linuxParameters"] == {"sharedMemorySize": 4096}
    for none in (defined(), defined(Platform.FARGATE, resources=Resources(shared_memory="1Gi"))):
        assert "linuxParameters" not in none["containerProperties"]


def test_a_log_group_is_made_where_the_role_may() -> None:
    options = defined(aws=AwsOptions(log_group="/acme/jobs"))["containerProperties"]["logConfiguration"]["options"]
    assert options == {"awslogs-group": "/acme/jobs", "awslogs-create-group": "true"}


def test_fargate_and_registry_credentials_need_an_execution_role() -> None:
    with pytest.raises(Permanent, match="a queue on Fargate needs an execution role"):
        defined(Platform.FARGATE, role="")
    with pytest.raises(Permanent, match=r"spec\.aws\.registryCredentialsArn: it needs an execution role"):
        defined(role="", aws=AwsOptions(registry_credentials_arn="arn:aws:secretsmanager:x"))
    assert "executionRoleArn" not in defined(role="")["containerProperties"]


def test_a_definition_of_more_than_24_kib_is_refused() -> None:
    with pytest.raises(Permanent, match=r"^spec\.args: with image, roles and secrets it takes \d+ bytes"):
        defined(args=("x" * 24_400,))
