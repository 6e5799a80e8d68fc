"""The job definition that a job needs: what SubmitJob cannot override, and what is too long for it (`overrides`).

Its name is a hash of exactly these fields, so all jobs that agree in them share one definition, whoever made it.
"""

import hashlib
from typing import Any

import msgspec

from controller.domain.job import AwsOptions, JobSpec
from controller.ports import SubmitRequest
from controller.providers import program
from controller.providers.aws import environment, fargate, overrides, rules
from controller.providers.aws.queues import Platform, Queue

LIMIT_BYTES = overrides.DEFINITION_BYTES
LEAST_STORAGE_GIB = 21
"""What a Fargate definition may ask for, at least; without it is 20."""
OWN_PREFIX = "jennah-env-"
"""Names definitions that have a job's environment, its id among it, so that they are that job's alone."""
_VERSION = 1
"""Part of the hash: another meaning of the same fields needs another definition."""


def parameters(request: SubmitRequest, queue: Queue, execution_role_arn: str) -> dict[str, Any]:
    """RegisterJobDefinition's parameters, the name among them. Raises Permanent(INVALID_SPEC)."""
    spec, options = request.spec, request.spec.aws or AwsOptions()
    rules.check_role(spec, queue, execution_role_arn)
    role = options.execution_role_arn or execution_role_arn
    container: dict[str, Any] = {"image": spec.image, "resourceRequirements": _placeholders(queue.platform)}
    job_role = options.job_role_arn or spec.service_account
    if job_role:
        container["jobRoleArn"] = job_role
    if role:
        container["executionRoleArn"] = role
    if spec.cloud_secrets:
        container["secrets"] = [{"name": name, "valueFrom": arn} for name, arn in sorted(spec.cloud_secrets.items())]
    if options.registry_credentials_arn:
        container["repositoryCredentials"] = {"credentialsParameter": options.registry_credentials_arn}
    if options.log_group:
        # The driver makes a missing group where the role may; where it is there, it asks for nothing more.
        log_options = {"awslogs-group": options.log_group, "awslogs-create-group": "true"}
        container["logConfiguration"] = {"logDriver": "awslogs", "options": log_options}
    if queue.platform is Platform.FARGATE:
        container["networkConfiguration"] = {"assignPublicIp": "ENABLED" if options.assign_public_ip else "DISABLED"}
        if storage := _storage(spec, options):
            container["ephemeralStorage"] = {"sizeInGiB": storage}
    elif request.sizing.shared_memory_mib:
        container["linuxParameters"] = {"sharedMemorySize": request.sizing.shared_memory_mib}
    placement = overrides.place(spec, environment.of(request))
    if placement.defined_command:
        container["command"] = list(placement.defined_command)
    if placement.defined_environment:
        container["environment"] = placement.defined_environment
    fields = {"type": "container", "platformCapabilities": [queue.platform.value], "containerProperties": container}
    text = msgspec.json.encode([_VERSION, fields], order="sorted")
    if len(text) > LIMIT_BYTES:
        fault = f"with image, roles and secrets it takes {len(text)} bytes: a job definition has at most {LIMIT_BYTES}"
        raise program.invalid("env" if placement.defined_environment else "args", fault)
    prefix = OWN_PREFIX if placement.defined_environment else "jennah-"
    return {"jobDefinitionName": f"{prefix}{hashlib.sha256(text).hexdigest()[:40]}", **fields}


def _placeholders(platform: Platform) -> list[dict[str, str]]:
    """Every definition must have sizes; every SubmitJob of ours overrides them."""
    cpu, memory = ("0.25", str(fargate.SMALLEST[1])) if platform is Platform.FARGATE else ("1", "4")
    return [{"type": "VCPU", "value": cpu}, {"type": "MEMORY", "value": memory}]


def _storage(spec: JobSpec, options: AwsOptions) -> int | None:
    """GiB of a Fargate task's disk; None: the 20 that it has anyway."""
    wanted = options.ephemeral_storage_gib or spec.boot_disk_gib or 0
    return wanted if wanted >= LEAST_STORAGE_GIB else None
