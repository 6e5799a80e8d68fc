"""A request as SubmitJob's parameters: pure. Raises Permanent(INVALID_SPEC) with the field that AWS Batch cannot do."""

import re
from typing import Any

import msgspec

from controller.domain import reasons
from controller.domain.errors import Permanent
from controller.ports import SubmitRequest
from controller.providers.aws import fargate, remarks, tags
from controller.providers.aws.definition import refuse_reserved
from controller.providers.aws.queues import Platform, Queue

LIMIT_BYTES = 30 * 1024
LEAST_TIMEOUT_SECONDS = 60
MOST_ATTEMPTS = 10
ARRAY_MAX = 10_000
LEAST_MEMORY_MIB = 4
DEFAULT_SHARE = "jennah"
"""The share identifier of jobs that name none, on a queue that demands one."""
_JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


def parameters(request: SubmitRequest, queue: Queue, *, definition: str, instance: str) -> dict[str, Any]:
    """What is sent, complete. `definition` is ``name:revision``."""
    spec, options = request.spec, request.spec.aws
    if not _JOB_NAME.fullmatch(request.external_name):
        raise Permanent(f"{request.external_name!r} is no name for a job", reason=reasons.SUBMISSION_REFUSED)
    given = size(request, queue.platform)
    sent: dict[str, Any] = {
        "jobName": request.external_name,
        "jobQueue": queue.name,
        "jobDefinition": definition,
        "containerOverrides": {
            "resourceRequirements": _requirements(request, queue.platform, given),
            "environment": _environment(request),
        },
        "retryStrategy": {"attempts": _attempts(request)},
        "tags": tags.of(request, instance, remarks.encode(deviations(request, queue.platform, given))),
    }
    if command := [*(spec.command or ()), *(spec.args or ())]:
        sent["containerOverrides"]["command"] = command
    if seconds := request.resources.max_run_duration_seconds:
        sent["timeout"] = {"attemptDurationSeconds": max(seconds, LEAST_TIMEOUT_SECONDS)}
    if spec.completions > ARRAY_MAX:
        raise _invalid(f"spec.completions: AWS Batch has at most {ARRAY_MAX} tasks a job")
    if spec.completions > 1:
        sent["arrayProperties"] = {"size": spec.completions}
    share = options.share_identifier if options else None
    if share and not queue.has_policy:
        raise _invalid(f"spec.aws.shareIdentifier: the queue {queue.name!r} has no scheduling policy")
    if queue.has_policy:
        sent["shareIdentifier"] = share or DEFAULT_SHARE
        if spec.priority is not None:
            sent["schedulingPriorityOverride"] = spec.priority
    length = len(msgspec.json.encode(sent))
    if length > LIMIT_BYTES:
        raise _invalid(f"env, command, args and labels take {length} bytes: AWS Batch has at most {LIMIT_BYTES}")
    return sent


def size(request: SubmitRequest, platform: Platform) -> tuple[int, int]:
    """CPU in thousandths and memory in MiB as that platform has them, at least what was asked for."""
    cpu, memory = request.resources.cpu_millis, request.resources.memory_mib
    if platform is Platform.EC2:
        return max(-(-cpu // 1000), 1) * 1000, max(memory, LEAST_MEMORY_MIB)
    found = fargate.round_up(cpu, memory)
    if found is None:
        raise _invalid(f"spec.resources: Fargate has no size with {cpu}m CPU and {memory} MiB of memory")
    return found


def deviations(request: SubmitRequest, platform: Platform, given: tuple[int, int]) -> remarks.Deviations:
    """Where the job gets something else than was asked for."""
    asked, spec = request.resources, request.spec
    seconds = asked.max_run_duration_seconds
    return remarks.Deviations(
        cpu=(asked.cpu_millis, given[0]) if given[0] != asked.cpu_millis else None,
        memory=(asked.memory_mib, given[1]) if given[1] != asked.memory_mib else None,
        timeout=(seconds, LEAST_TIMEOUT_SECONDS) if 0 < seconds < LEAST_TIMEOUT_SECONDS else None,
        parallelism=spec.parallelism if spec.parallelism and spec.parallelism < spec.completions else None,
        disk=spec.boot_disk_gib if platform is Platform.EC2 else None,
        command=bool(spec.command),
    )


def _requirements(request: SubmitRequest, platform: Platform, given: tuple[int, int]) -> list[dict[str, str]]:
    wanted = [
        {"type": "VCPU", "value": f"{given[0] / 1000:g}"},
        {"type": "MEMORY", "value": str(given[1])},
    ]
    gpu = request.spec.resources.gpu if request.spec.resources else None
    if gpu is not None:
        if platform is Platform.FARGATE:
            raise _invalid("spec.resources.gpu: Fargate has none")
        wanted.append({"type": "GPU", "value": str(gpu.count)})
    return wanted


def _environment(request: SubmitRequest) -> list[dict[str, str]]:
    refuse_reserved(request.env)
    return [{"name": name, "value": value} for name, value in request.env.items()]


def _attempts(request: SubmitRequest) -> int:
    attempts = request.spec.backoff_limit + 1
    if attempts > MOST_ATTEMPTS:
        most = f"AWS Batch runs a task at most {MOST_ATTEMPTS} times"
        raise _invalid(f"spec.backoffLimit: {most}, so {MOST_ATTEMPTS - 1} is the most")
    return attempts


def _invalid(message: str) -> Permanent:
    return Permanent(message, reason=reasons.INVALID_SPEC)
