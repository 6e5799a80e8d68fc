"""Spec to the job definition, without a service."""

import pytest

from controller.domain.errors import Permanent
from controller.domain.job import AwsOptions, CloudSecretRef, EnvVar, EnvVarSource, JobSpec
from controller.providers.aws import definition
from controller.providers.aws.queues import Platform
from dev.emulators.aws import shapes

ROLE = "arn:aws:iam::123456789012:role/execution"


def defined(platform: Platform = Platform.EC2, role: str = ROLE, **spec: object) -> dict:
    parameters = definition.parameters(JobSpec(image="busybox", **spec), platform, role)
    assert shapes.fault("RegisterJobDefinition", parameters) is None
    return parameters


def test_a_definition_is_named_by_what_submitting_cannot_override_and_nothing_else() -> None:
    name = defined()["jobDefinitionName"]
    same = defined(args=("x",), completions=5, backoff_limit=9, labels={"a": "b"}, priority=3)
    assert same["jobDefinitionName"] == name
    others = [
        defined(aws=AwsOptions(job_role_arn=ROLE)),
        defined(aws=AwsOptions(execution_role_arn=ROLE + "2")),
        defined(aws=AwsOptions(log_group="mine")),
        defined(aws=AwsOptions(registry_credentials_arn="arn:aws:secretsmanager:x")),
        defined(Platform.FARGATE),
        defined(Platform.FARGATE, aws=AwsOptions(assign_public_ip=True)),
        defined(Platform.FARGATE, boot_disk_gib=50),
        definition.parameters(JobSpec(image="other"), Platform.EC2, ROLE),
    ]
    assert len({name, *(one["jobDefinitionName"] for one in others)}) == 1 + len(others)


def test_secrets_go_by_reference_into_the_definition() -> None:
    source = EnvVarSource(cloud_secret_ref=CloudSecretRef(name="arn:aws:ssm:parameter"))
    container = defined(env=(EnvVar(name="TOKEN", value_from=source),))["containerProperties"]
    assert container["secrets"] == [{"name": "TOKEN", "valueFrom": "arn:aws:ssm:parameter"}]
    with pytest.raises(Permanent, match=r"cloudSecretRef needs an execution role.*AWS_EXECUTION_ROLE_ARN"):
        defined(role="", env=(EnvVar(name="TOKEN", value_from=source),))


def test_a_service_account_is_the_job_role() -> None:
    assert defined(service_account=ROLE)["containerProperties"]["jobRoleArn"] == ROLE
    with pytest.raises(Permanent, match=r"spec\.serviceAccount"):
        defined(service_account="me@project.iam")


def test_fargate_has_its_disk_and_needs_a_role() -> None:
    container = defined(Platform.FARGATE, boot_disk_gib=50)["containerProperties"]
    assert container["ephemeralStorage"] == {"sizeInGiB": 50}
    assert container["networkConfiguration"] == {"assignPublicIp": "DISABLED"}
    assert "ephemeralStorage" not in defined(Platform.FARGATE, boot_disk_gib=20)["containerProperties"]
    for wrong in ({"role": ""}, {"boot_disk_gib": 201}):
        with pytest.raises(Permanent):
            defined(Platform.FARGATE, **wrong)
    for option in (AwsOptions(ephemeral_storage_gib=30), AwsOptions(assign_public_ip=True)):
        with pytest.raises(Permanent, match="only queues on Fargate"):
            defined(aws=option)
