"""What the service takes of a spec: pure, without its SDK. The API asks it as well, so that callers hear it at once."""

import re
from collections.abc import Iterable, Mapping

from controller.domain.job import AwsOptions, JobSpec
from controller.domain.resources import ResourceSet, Sizing
from controller.providers import program
from controller.providers.aws import overrides, sizes, tags
from controller.providers.aws.queues import Platform, Queue
from controller.providers.aws.retries import MOST_ATTEMPTS

ARRAY_MAX = 10_000
MOST_STORAGE_GIB = 200
"""Ephemeral storage of a Fargate task."""
_LOG_GROUP = re.compile(r"[.\-_/#A-Za-z0-9]{1,512}")
_SECRET = re.compile(r"arn:.+|/[A-Za-z0-9_.\-/]+|[A-Za-z0-9_.\-]+")
"""An ARN, or the name of a parameter: one with slashes begins with one."""


def check(spec: JobSpec, resources: ResourceSet, sizing: Sizing, env: Mapping[str, str]) -> None:
    """Raises Permanent(INVALID_SPEC), which names the field, the limit and the remedy.

    `env`: every variable, resolved; from the API those that it knows.
    """
    program.check(spec, env, "aws")
    _check_words(spec)
    _check_names(env)
    _check_names(spec.cloud_secrets)
    _check_references(spec)
    _check_machine(resources, sizing)
    tags.of_user(spec.labels or {})
    if spec.backoff_limit + 1 > MOST_ATTEMPTS:
        most = f"AWS Batch runs a task at most {MOST_ATTEMPTS} times"
        raise program.invalid("backoffLimit", f"{most}, so {MOST_ATTEMPTS - 1} is the most")
    if spec.completions > ARRAY_MAX:
        raise program.invalid("completions", f"AWS Batch has at most {ARRAY_MAX} tasks a job; submit several jobs")
    overrides.place(spec, env)


def check_queue(spec: JobSpec, resources: ResourceSet, sizing: Sizing, queue: Queue) -> None:
    """The same of what depends on the queue that the job goes to."""
    options = spec.aws or AwsOptions()
    sizes.given(resources, sizing, queue.platform)
    if options.share_identifier and not queue.has_policy:
        raise program.invalid("aws.shareIdentifier", f"the queue {queue.name!r} has no scheduling policy; leave it out")
    if queue.platform is Platform.FARGATE:
        if sizing.gpu is not None:
            raise program.invalid("resources.gpu", "Fargate has none; use a queue on EC2")
        if not options.ephemeral_storage_gib and (spec.boot_disk_gib or 0) > MOST_STORAGE_GIB:
            raise program.invalid("bootDiskGiB", f"Fargate has at most {MOST_STORAGE_GIB}; use a queue on EC2")
        return
    for field, value in (
        ("ephemeralStorageGiB", options.ephemeral_storage_gib),
        ("assignPublicIp", options.assign_public_ip),
    ):
        if value:
            raise program.invalid(f"aws.{field}", f"only queues on Fargate have it, and {queue.name!r} is on EC2")


def check_role(spec: JobSpec, queue: Queue, execution_role_arn: str) -> None:
    """The same of what needs an execution role. `execution_role_arn`: that of the settings, or ""."""
    options = spec.aws or AwsOptions()
    if options.execution_role_arn or execution_role_arn:
        return
    for is_needed, field, what in (
        (bool(spec.cloud_secrets), "env", "a cloudSecretRef"),
        (bool(options.registry_credentials_arn), "aws.registryCredentialsArn", "it"),
        (queue.platform is Platform.FARGATE, "aws.executionRoleArn", "a queue on Fargate"),
    ):
        if is_needed:
            fault = f"{what} needs an execution role: set aws.executionRoleArn or AWS_EXECUTION_ROLE_ARN"
            raise program.invalid(field, fault)


def _check_words(spec: JobSpec) -> None:
    for field, words in (("command", spec.command or ()), ("args", spec.args or ())):
        for index, word in enumerate(words):
            if not word:
                fault = "AWS Batch takes no empty word; let a shell make it ('' in the script of sh -c)"
                raise program.invalid(f"{field}[{index}]", fault)


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if name.startswith("AWS_BATCH"):
            raise program.invalid("env", f"{name!r} is reserved, as all names that begin with AWS_BATCH; rename it")


def _check_references(spec: JobSpec) -> None:
    options = spec.aws or AwsOptions()
    group = options.log_group or ""
    if group.lower().startswith("aws/"):
        raise program.invalid("aws.logGroup", f"{group!r} begins with AWS/, which AWS keeps for itself; name another")
    if group and not _LOG_GROUP.fullmatch(group):
        raise program.invalid("aws.logGroup", f"{group!r} is none: letters, digits and . - _ / # make its name")
    if spec.service_account and not spec.service_account.startswith("arn:"):
        raise program.invalid("serviceAccount", "on AWS it is the ARN of an IAM role")
    for name, secret in spec.cloud_secrets.items():
        if not _SECRET.fullmatch(secret):
            fault = f"the cloudSecretRef of {name} must be the ARN of a Secrets Manager secret or SSM parameter on AWS"
            raise program.invalid("env", fault)


def _check_machine(resources: ResourceSet, sizing: Sizing) -> None:
    machine = sizing.machine
    if machine is None or machine.cloud != "aws":
        return
    if not sizing.takes_all_memory and resources.memory_mib > sizes.most_mib(machine):
        raise program.invalid(
            "resources.memory",
            f"{resources.memory_mib} MiB fit on no {machine.name}: it is sold with {machine.memory_mib} MiB, of which "
            f"jobs can have {sizes.available_mib(machine)} for sure; leave memory out for these, or ask for less",
        )
