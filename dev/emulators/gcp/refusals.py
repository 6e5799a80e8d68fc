"""What the stand-in refuses, as strictly as providers.md §1a, §1d and §1g say. Networks by what the service was seen to
answer; sizes by what a machine type has, which its reference wants to be compatible."""

import re
import uuid
from typing import Any

import grpc

from controller.domain import machines

_JOB_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_PARENT = re.compile(r"projects/[^/]+/locations/([a-z0-9-]+)")
_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_SECRET = re.compile(r"projects/[^/]+/secrets/[^/]+/versions/[^/]+")
_NAME = r"([a-z]([-a-z0-9]*[a-z0-9])?)$"
_NETWORK = re.compile(rf"global/networks/{_NAME}")
_SUBNETWORK = re.compile(rf"regions/[a-z0-9-]+/subnetworks/{_NAME}")
_LOCATION = re.compile(r"(?:regions/([a-z0-9-]+)|zones/([a-z0-9-]+)-[a-z])")

MAX_DEFINITION_BYTES = 1_000_000
MAX_LABELS = 64
MAX_TASKS = 100_000
MAX_PARALLEL = 5_000


class Refusal(Exception):
    """An RPC's end with a status that is not OK."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> Refusal:
    return Refusal(grpc.StatusCode.INVALID_ARGUMENT, message)


def check_parent(parent: str) -> None:
    if not _PARENT.fullmatch(parent):
        raise invalid(f"invalid parent {parent!r}: want projects/*/locations/*")


def check_request_id(text: str) -> None:
    """Unset, or a UUID that is not zero."""
    if not text:
        return
    try:
        if uuid.UUID(text).int:
            return
    except ValueError:
        pass
    raise invalid(f"request_id {text!r} is not a valid UUID")


def check_create(request: Any) -> None:
    """Everything about a CreateJobRequest that needs no other job."""
    check_parent(request.parent)
    check_request_id(request.request_id)
    if request.job_id and not _JOB_ID.fullmatch(request.job_id):
        raise invalid(f"invalid job_id {request.job_id!r}: want at most 63 of [a-z0-9-], beginning with a letter")
    job = request.job
    if job.ByteSize() > MAX_DEFINITION_BYTES:
        raise invalid(f"the job has {job.ByteSize()} bytes, at most {MAX_DEFINITION_BYTES} are allowed")
    if not 0 <= job.priority <= 99:
        raise invalid("job.priority must be in [0, 99]")
    if len(job.task_groups) != 1:
        raise invalid(f"exactly one task group is supported, got {len(job.task_groups)}")
    _check_labels("job.labels", job.labels)
    _check_labels("job.allocation_policy.labels", job.allocation_policy.labels)
    _check_group(job.task_groups[0])
    match = _PARENT.fullmatch(request.parent)
    _check_allocation(job.allocation_policy, match.group(1) if match else "")
    _check_fit(job)


def _check_labels(field: str, labels: Any) -> None:
    if len(labels) > MAX_LABELS:
        raise invalid(f"{field}: at most {MAX_LABELS}")
    for key, value in labels.items():
        if key.startswith(("goog-", "google-")):
            raise invalid(f"{field}: the prefix of {key!r} is reserved")
        if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
            raise invalid(f"{field}: {key!r}={value!r} is no valid label")


def _check_group(group: Any) -> None:
    if group.name:
        raise invalid("task_groups[0].name is output only")
    if group.task_count > MAX_TASKS:
        raise invalid(f"task_count must be at most {MAX_TASKS}")
    if group.parallelism > MAX_PARALLEL or group.parallelism < 0:
        raise invalid(f"parallelism must be in [0, {MAX_PARALLEL}]")
    spec = group.task_spec
    if not spec.runnables:
        raise invalid("task_spec.runnables is required")
    for runnable in spec.runnables:
        if not runnable.container.image_uri:
            raise invalid("container.image_uri is required")
        for field in ("username", "password"):
            value = getattr(runnable.container, field)
            if value.startswith("projects/") and not _SECRET.fullmatch(value):
                raise invalid(f"container.{field} is no name of a secret")
    for name, secret in spec.environment.secret_variables.items():
        if not _SECRET.fullmatch(secret):
            raise invalid(f"secret_variables[{name}] is no name of a secret")
    if not 0 <= spec.max_retry_count <= 10:
        raise invalid("max_retry_count must be in [0, 10]")
    if len(spec.lifecycle_policies) > 1:
        raise invalid("only one lifecycle policy is supported")


def _check_allocation(policy: Any, region: str) -> None:
    if len(policy.instances) > 1:
        raise invalid("only instances[0] is supported")
    for location in policy.location.allowed_locations:
        match = _LOCATION.fullmatch(location)
        if match is None or region not in match.groups():
            raise invalid(f"allowed_locations: {location!r} is not in the job's region {region}")
    for interface in policy.network.network_interfaces:
        for field, form in (("network", _NETWORK), ("subnetwork", _SUBNETWORK)):
            path = getattr(interface, field)
            if path and not form.search(path):
                raise invalid(
                    f"{field} field is invalid. {field}: {path} is not matching the expected format: {form.pattern}"
                )
    if policy.service_account.email and "@" not in policy.service_account.email:
        raise invalid(f"service_account: {policy.service_account.email!r} is no email address")
    for one in policy.instances:
        if one.policy.HasField("boot_disk") and one.policy.boot_disk.size_gb < 10:
            raise invalid("boot_disk.size_gb must be at least 10")
        for accelerator in one.policy.accelerators:
            if not accelerator.type_ or accelerator.count < 1:
                raise invalid("accelerators need a type and a count")


def _check_fit(job: Any) -> None:
    """A task must fit on the machine type that is named, and GPUs must be those that it has or takes."""
    wanted = job.task_groups[0].task_spec.compute_resource
    for one in job.allocation_policy.instances:
        machine = machines.find(one.policy.machine_type)
        if machine is None or one.instance_template:
            continue
        if wanted.cpu_milli > machine.cpu_millis or wanted.memory_mib > machine.memory_mib:
            raise invalid(f"compute_resource is not compatible with the machine type {machine.name}")
        for accelerator in one.policy.accelerators:
            is_its_own = (accelerator.type_, accelerator.count) == (machine.gpu_type, machine.gpus)
            if not is_its_own and (machine.gpus or not machine.name.startswith(("n1-", "custom-"))):
                raise invalid(f"{accelerator.type_} cannot be attached to the machine type {machine.name}")
