"""The job definition that a job needs: what SubmitJob cannot override, and nothing else (providers.md §2d).

Its name is a hash of exactly these fields, so all jobs that agree in them share one definition, whoever made it.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from controller.domain import reasons
from controller.domain.errors import Permanent
from controller.domain.job import AwsOptions, JobSpec
from controller.providers.aws import fargate
from controller.providers.aws.queues import Platform

LIMIT_BYTES = 24 * 1024
STORAGE_GIB = (21, 200)
"""Least and most ephemeral storage that a Fargate definition may ask for; without one it is 20."""
_VERSION = 1
"""Part of the hash: another meaning of the same fields needs another definition."""


def parameters(spec: JobSpec, platform: Platform, execution_role_arn: str) -> dict[str, Any]:
    """RegisterJobDefinition's parameters, the name among them. Raises Permanent(INVALID_SPEC)."""
    options = spec.aws or AwsOptions()
    role = options.execution_role_arn or execution_role_arn
    container: dict[str, Any] = {"image": spec.image, "resourceRequirements": _placeholders(platform)}
    job_role = options.job_role_arn or _service_account(spec)
    if job_role:
        container["jobRoleArn"] = job_role
    if role:
        container["executionRoleArn"] = role
    if spec.cloud_secrets:
        _need(role, "spec.env: cloudSecretRef")
        refuse_reserved(spec.cloud_secrets)
        container["secrets"] = [{"name": name, "valueFrom": arn} for name, arn in sorted(spec.cloud_secrets.items())]
    if options.registry_credentials_arn:
        _need(role, "spec.aws.registryCredentialsArn")
        container["repositoryCredentials"] = {"credentialsParameter": options.registry_credentials_arn}
    if options.log_group:
        container["logConfiguration"] = {"logDriver": "awslogs", "options": {"awslogs-group": options.log_group}}
    if platform is Platform.FARGATE:
        _need(role, "a queue on Fargate")
        container["networkConfiguration"] = {"assignPublicIp": "ENABLED" if options.assign_public_ip else "DISABLED"}
        if storage := _storage(spec, options):
            container["ephemeralStorage"] = {"sizeInGiB": storage}
    else:
        for field, value in (
            ("ephemeralStorageGiB", options.ephemeral_storage_gib),
            ("assignPublicIp", options.assign_public_ip),
        ):
            if value:
                raise _invalid(f"spec.aws.{field}: only queues on Fargate have it")
    fields = {"type": "container", "platformCapabilities": [platform.value], "containerProperties": container}
    text = msgspec.json.encode([_VERSION, fields], order="sorted")
    if len(text) > LIMIT_BYTES:
        raise _invalid(f"image, roles and secrets take {len(text)} bytes: a job definition has at most {LIMIT_BYTES}")
    return {"jobDefinitionName": f"jennah-{hashlib.sha256(text).hexdigest()[:40]}", **fields}


def refuse_reserved(names: Iterable[str]) -> None:
    """Raises Permanent for names of environment variables that the service keeps for itself."""
    for name in names:
        if name.startswith("AWS_BATCH"):
            raise _invalid(f"spec.env: {name!r} is reserved, as all names that begin with AWS_BATCH")


def _placeholders(platform: Platform) -> list[dict[str, str]]:
    """Every definition must have sizes; every SubmitJob of ours overrides them."""
    cpu, memory = ("0.25", str(fargate.SMALLEST[1])) if platform is Platform.FARGATE else ("1", "4")
    return [{"type": "VCPU", "value": cpu}, {"type": "MEMORY", "value": memory}]


def _service_account(spec: JobSpec) -> str | None:
    """spec.serviceAccount as a role's ARN. Raises Permanent for one that is none."""
    account = spec.service_account
    if account and not account.startswith("arn:"):
        raise _invalid("spec.serviceAccount: on AWS it is the ARN of an IAM role")
    return account


def _storage(spec: JobSpec, options: AwsOptions) -> int | None:
    """GiB of a Fargate task's disk; None: the 20 that it has anyway."""
    least, most = STORAGE_GIB
    wanted = options.ephemeral_storage_gib or spec.boot_disk_gib or 0
    if wanted > most:
        raise _invalid(f"spec.bootDiskGiB: Fargate has at most {most}")
    return wanted if wanted >= least else None


def _need(role: str, what: str) -> None:
    if not role:
        raise _invalid(f"{what} needs an execution role: spec.aws.executionRoleArn or AWS_EXECUTION_ROLE_ARN")


def _invalid(message: str) -> Permanent:
    return Permanent(message, reason=reasons.INVALID_SPEC)
