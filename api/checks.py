"""What a SubmitJobRequest must be like before anything is created (contract §1 and §3, the limits of the CRD), and
whether the service that it goes to can run it.

Pure: each raises `Invalid`, which the caller gets as invalid_argument. A message names the field as the wire has it and
never repeats the value of an environment variable.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from api import validation
from api.gen import deployment_pb2 as pb
from api.wire_names import translated
from controller.domain import names, program, resources
from controller.domain.errors import Invalid, Permanent
from controller.domain.job import JobSpec
from controller.domain.program import Fields
from controller.domain.resources import Profiles
from controller.domain.suggestions import did_you_mean
from controller.providers import services

TEXT_MAX: Final = {"name": 255, "machine_type": 255, "resource_profile": 50, "service_account": 1024}
WORDS_MAX: Final = 1024
"""Of command and of commands."""
WORDS_BYTES_MAX: Final = 1024 * 1024
"""All of them together as Kubernetes stores them (`_stored_bytes`); etcd takes objects of at most 1.5 MiB."""
ENV_COUNT_MAX: Final = 1000
ENV_NAME_MAX: Final = 253
"""A key of a Secret."""
ENV_BYTES_MAX: Final = 1024 * 1024
"""All names and values together: what a Secret holds."""
LABELS_MAX: Final = 48
LABEL_NAME_MAX: Final = 317
LABEL_VALUE_MAX: Final = 256
GPUS_MAX: Final = 64
_YEAR: Final = 31_536_000

UNSET_AT_0: Final = {
    "boot_disk_size_gb": (10, 65536),
    "pending_deadline_seconds": (1, _YEAR),
    "shared_memory_mib": (1, resources.MOST_MEMORY_MIB),
    "resource_override.cpu_millis": (1, resources.MOST_CPU_MILLIS),
    "resource_override.memory_mib": (1, resources.MOST_MEMORY_MIB),
    "resource_override.max_run_duration_seconds": (1, _YEAR),
}
"""The least and the most of numbers that are left out as 0."""
FROM_0: Final = {
    "backoff_limit": 10,
    "preemption_limit": 10,
    "priority": 99,
    "ttl_seconds_after_finished": 2**31 - 1,
}
"""The most of numbers that may be 0."""

_FIELDS: Final = Fields(image="image_uri", command="command", args="commands", env="env_vars")
_LINE_SEPARATORS: Final = ("\u2028".encode(), "\u2029".encode())


def fields(request: pb.SubmitJobRequest) -> None:
    """Each field by itself, but the task counts (`tasks.read`). Raises Invalid."""
    if not request.image_uri.strip():
        raise Invalid("image_uri is required")
    if request.job_id:
        validation.job_id(request.job_id)
    for field, most in TEXT_MAX.items():
        _check_text(field, getattr(request, field), most)
    _check_words(request)
    _check_env(request.env_vars)
    _check_numbers(request)
    if request.HasField("gpu"):
        _check_gpu(request.gpu)
    _check_labels(request.labels)
    if request.provider and request.provider not in services.COLUMNS:
        known = list(services.COLUMNS)
        meant = did_you_mean(request.provider, known)
        raise Invalid(f"provider: {request.provider[:64]!r} is not one of {', '.join(known)}{meant}")


def runnable(spec: JobSpec, env_vars: Mapping[str, str], *, provider: str, profiles: Profiles) -> None:
    """Whether that service can run such a job; "" for the provider: whether any can. Raises Invalid."""
    program.check(spec.image, spec.command or (), spec.args or (), env_vars, _FIELDS)
    try:
        found = resources.resolve(spec, profiles)
        services.check(provider, spec, found, resources.size(spec, profiles), env_vars)
    except Permanent as error:
        raise Invalid(translated(str(error))) from None


def _check_text(field: str, value: str, most: int) -> None:
    if len(value) > most:
        raise Invalid(f"{field} is longer than {most} characters")
    if "\0" in value:
        raise Invalid(f"{field} must not contain a NUL character")


def _check_words(request: pb.SubmitJobRequest) -> None:
    for field, words in (("command", request.command), ("commands", request.commands)):
        if len(words) > WORDS_MAX:
            raise Invalid(f"{field} has more than {WORDS_MAX} items")
    if _stored_bytes((*request.command, *request.commands)) > WORDS_BYTES_MAX:
        field = "command and commands are" if request.command else "commands is"
        raise Invalid(f"{field} larger than {WORDS_BYTES_MAX} bytes as JSON")


def _stored_bytes(words: Iterable[str]) -> int:
    """Their size in etcd: JSON as Go writes it, in which each of ``< > &`` and the line separators takes six bytes."""
    data = msgspec.json.encode(words)
    return len(data) + 5 * sum(map(data.count, (b"<", b">", b"&"))) + 3 * sum(map(data.count, _LINE_SEPARATORS))


def _check_env(variables: Mapping[str, str]) -> None:
    if len(variables) > ENV_COUNT_MAX:
        raise Invalid(f"env_vars has more than {ENV_COUNT_MAX} items")
    for name in sorted(variables):  # sorted: the same answer to the same request
        if len(name) > ENV_NAME_MAX:
            raise Invalid(f"env_vars: a name is longer than {ENV_NAME_MAX} characters")
        if not names.is_env_name(name):
            raise Invalid(f"env_vars: {name!r} is not a name: letters, digits and '_', not starting with a digit")
    if sum(len(name) + len(value.encode()) for name, value in variables.items()) > ENV_BYTES_MAX:
        raise Invalid(f"env_vars is larger than {ENV_BYTES_MAX} bytes")


def _check_numbers(request: pb.SubmitJobRequest) -> None:
    for field, (least, most) in UNSET_AT_0.items():
        message, _, name = field.rpartition(".")
        number = getattr(getattr(request, message) if message else request, name)
        if number:
            _check_number(field, number, least, most)
    for field, most in FROM_0.items():
        if request.HasField(field):
            _check_number(field, getattr(request, field), 0, most)


def _check_number(field: str, number: int, least: int, most: int) -> None:
    if number < 0:
        raise Invalid(f"{field} must not be negative")
    if number < least:
        raise Invalid(f"{field} must be at least {least}")
    if number > most:
        raise Invalid(f"{field} must be at most {most}")


def _check_gpu(gpu: pb.Gpu) -> None:
    if not 1 <= gpu.count <= GPUS_MAX:
        raise Invalid(f"gpu.count must be a whole number from 1 to {GPUS_MAX}")
    _check_text("gpu.type", gpu.type, 128)


def _check_labels(labels: Mapping[str, str]) -> None:
    if len(labels) > LABELS_MAX:
        raise Invalid(f"labels has more than {LABELS_MAX} items")
    for name, value in sorted(labels.items()):
        if not name:
            raise Invalid("labels: a name is empty")
        _check_text("labels: a name", name, LABEL_NAME_MAX)
        _check_text(f"labels: the value of {name!r}", value, LABEL_VALUE_MAX)
