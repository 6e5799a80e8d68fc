"""Which queue a job goes to, and which it can be in: pure, from the settings and the spec."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from controller.cloud_settings import AwsSettings
from controller.domain.job import JobSpec
from controller.ports import JobRef
from controller.providers import choices


class Platform(StrEnum):
    """What a queue's compute environments are; decides the sizes, and what a definition may say."""

    EC2 = "EC2"
    FARGATE = "FARGATE"


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be known of a queue to submit to it."""

    name: str
    """As it was asked for: a name or an ARN."""
    platform: Platform
    has_policy: bool
    """Whether it has a scheduling policy: then every job needs a share identifier, else none may have one."""
    is_spot: bool | None = None
    """Whether some of its compute environments are spot capacity. None: nobody could tell."""


def choose(spec: JobSpec, settings: AwsSettings) -> str:
    """The queue that a new job goes to: spec.aws.jobQueue, else by machine type, GPU and spot, else the default.

    Machine types, GPU types and spot belong to a queue's compute environment, so each needs a queue in
    AWS_JOB_QUEUES. Raises Permanent(INVALID_SPEC) where there is none.
    """
    if spec.aws is not None and spec.aws.job_queue:
        return spec.aws.job_queue
    # Whether the default queue's machines have GPUs is not visible from here: the job may wait.
    found = choices.chosen(
        spec, settings.job_queues, variable="AWS_JOB_QUEUES", instead="aws.jobQueue", may_lack=("gpu",)
    )
    return settings.job_queue if found is None else found


def possible(ref: JobRef, settings: AwsSettings) -> tuple[str, ...]:
    """Every queue that a job can be in: the one that was written down, and without that those of today's settings."""
    if ref.destination is not None and ref.destination.queue:
        return (ref.destination.queue,)
    if ref.spec is not None and ref.spec.aws is not None and ref.spec.aws.job_queue:
        return (ref.spec.aws.job_queue,)
    return configured(settings)


def configured(settings: AwsSettings) -> tuple[str, ...]:
    """The queues of the settings, the default one first, each once. None: a client of a place of earlier settings."""
    return tuple(dict.fromkeys(name for name in (settings.job_queue, *settings.job_queues.values()) if name))


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    """Each queue once, also one that is there by its name and by its ARN."""
    found = {name.rpartition("/")[2]: name for name in sorted(names)}
    return tuple(found.values())


def home_of(arn: str) -> tuple[str, str]:
    """What the ARNs of all that is in that one's account and region begin with, and the account; "" for no ARN."""
    parts = arn.split(":")
    return (":".join((*parts[:5], "")), parts[4]) if len(parts) > 5 and parts[0] == "arn" else ("", "")
