"""A request as SubmitJob's parameters: pure. Raises Permanent(INVALID_SPEC) with the field that AWS Batch cannot do."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from controller.domain import machines, reasons
from controller.domain.errors import Permanent
from controller.domain.job import AwsOptions
from controller.ports import SubmitRequest
from controller.providers import program
from controller.providers.aws import environment, overrides, remarks, retries, rules, sizes, tags
from controller.providers.aws.queues import Platform, Queue

LIMIT_BYTES = 30 * 1024
LEAST_TIMEOUT_SECONDS = 60
LEAST_DISK_GIB = 20
"""What every Fargate task has."""
DEFAULT_SHARE = "jennah"
"""The share identifier of jobs that name none, on a queue that demands one."""
_JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


def parameters(request: SubmitRequest, queue: Queue, *, definition: str, instance: str) -> dict[str, Any]:
    """What is sent, complete. `definition` is ``name:revision``."""
    spec, options, resources = request.spec, request.spec.aws or AwsOptions(), request.resources
    rules.check(spec, resources, request.sizing, request.env)
    rules.check_queue(spec, resources, request.sizing, queue)
    if not _JOB_NAME.fullmatch(request.external_name):
        raise Permanent(f"{request.external_name!r} is no name for a job", reason=reasons.SUBMISSION_REFUSED)
    placement = overrides.place(spec, environment.of(request))
    sent: dict[str, Any] = {
        "jobName": request.external_name,
        "jobQueue": queue.name,
        "jobDefinition": definition,
        "containerOverrides": {"resourceRequirements": _requirements(request, queue.platform)},
        "retryStrategy": retries.strategy(spec, queue.platform),
        "tags": tags.of(request, instance, remarks.encode(dict(deviations(request, queue)))),
    }
    if placement.environment:
        sent["containerOverrides"]["environment"] = placement.environment
    if placement.command:
        sent["containerOverrides"]["command"] = list(placement.command)
    if seconds := resources.max_run_duration_seconds:
        sent["timeout"] = {"attemptDurationSeconds": max(seconds, LEAST_TIMEOUT_SECONDS)}
    if spec.completions > 1:
        sent["arrayProperties"] = {"size": spec.completions}
    if queue.has_policy:
        sent["shareIdentifier"] = options.share_identifier or DEFAULT_SHARE
        if spec.priority is not None:
            sent["schedulingPriorityOverride"] = spec.priority
    length = len(msgspec.json.encode(sent))
    if length > LIMIT_BYTES:
        fault = f"with env, command and args they take {length} bytes: AWS Batch has at most {LIMIT_BYTES}"
        raise program.invalid("labels", fault)
    return sent


def deviations(request: SubmitRequest, queue: Queue) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The words of `remarks` for where the job gets something else than was asked for."""
    asked, spec, sizing = request.resources, request.spec, request.sizing
    options = spec.aws or AwsOptions()
    cpu, memory = sizes.given(asked, sizing, queue.platform)
    if cpu != asked.cpu_millis:
        yield "cpu", (asked.cpu_millis, cpu)
    if memory != asked.memory_mib:
        yield "kept" if memory < asked.memory_mib else "memory", (asked.memory_mib, memory)
    if sizing.is_unknown_machine:
        yield "unsized", ()
    if spec.machine_type and (options.job_queue or queue.platform is Platform.FARGATE):
        yield "anymachine", ()
    if (options.job_queue or spec.machine_type) and _names_other_gpus(request):
        yield "anygpu", ()
    if queue.platform is Platform.FARGATE and sizing.shared_memory_mib:
        yield "shm", (sizing.shared_memory_mib,)
    yield from _disk(request, queue.platform)
    seconds = asked.max_run_duration_seconds
    if 0 < seconds < LEAST_TIMEOUT_SECONDS:
        yield "timeout", (seconds, LEAST_TIMEOUT_SECONDS)
    if queue.platform is Platform.FARGATE and seconds > remarks.FARGATE_DAYS * 86400:
        yield "longest", (seconds,)
    is_spot = queue.is_spot if queue.is_spot is not None else bool(spec.spot)
    if is_spot and retries.shares_a_count(spec):
        yield "retries", (spec.preemption_limit, spec.backoff_limit)
    if spec.backoff_limit == 0 and spec.preemption_limit + 1 > retries.MOST_ATTEMPTS:
        yield "losses", (spec.preemption_limit, retries.MOST_ATTEMPTS - 1)
    if spec.parallelism and spec.parallelism < spec.completions:
        yield "parallelism", (spec.parallelism,)
    if spec.spot and not is_spot:
        yield "spotless", ()
    if spec.priority is not None and not queue.has_policy:
        yield "priority", (spec.priority,)
    if changed := tags.changed(spec.labels or {}):
        yield "labels", (changed,)
    if spec.service_account and options.job_role_arn and options.job_role_arn != spec.service_account:
        yield "account", ()
    if environment.misses_index(request):
        yield "index", ()
    if spec.command:
        yield remarks.COMMAND, ()
    if is_spot:
        yield remarks.SPOT, ()


def _names_other_gpus(request: SubmitRequest) -> bool:
    """Whether a type of GPU is asked for that is not known to be the named machine's."""
    gpu, machine = request.spec.resources and request.spec.resources.gpu, request.sizing.machine
    if not gpu or not gpu.type:
        return False
    return machine is None or machines.plain_gpu_type(machine.gpu_type) != machines.plain_gpu_type(gpu.type)


def _disk(request: SubmitRequest, platform: Platform) -> Iterator[tuple[str, tuple[int, ...]]]:
    wanted = request.spec.boot_disk_gib
    own = request.spec.aws.ephemeral_storage_gib if request.spec.aws else None
    if wanted is None:
        return
    if platform is Platform.EC2:
        yield "disk", (wanted,)
    elif own and own != wanted:
        yield "diskown", (wanted, own)
    elif not own and wanted < LEAST_DISK_GIB:
        yield "diskup", (wanted, LEAST_DISK_GIB)


def _requirements(request: SubmitRequest, platform: Platform) -> list[dict[str, str]]:
    cpu, memory = sizes.given(request.resources, request.sizing, platform)
    wanted = [{"type": "VCPU", "value": f"{cpu / 1000:g}"}, {"type": "MEMORY", "value": str(memory)}]
    if request.sizing.gpu is not None:
        wanted.append({"type": "GPU", "value": str(request.sizing.gpu.count)})
    return wanted
