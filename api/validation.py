"""What a request must be like before anything is created (contract §1 and §3, the limits of crds/jennahjob.yaml).

Pure checks: each raises `Invalid`, which the caller gets as invalid_argument. A message names the field and
never repeats the value of an environment variable.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from api.gen import deployment_pb2 as pb
from controller.domain import names, resources
from controller.domain.errors import Invalid
from controller.domain.phases import Phase
from controller.domain.resources import Profiles

TENANT_HEADER: Final = "X-Tenant-Id"
IDEMPOTENCY_HEADER: Final = "Idempotency-Key"

IMAGE_MAX: Final = 1024
TEXT_MAX: Final = {"name": 255, "machine_type": 255, "resource_profile": 50, "service_account": 1024}
COMMANDS_MAX: Final = 1024
ARGUMENT_MAX: Final = 131072
COMMANDS_BYTES_MAX: Final = 1024 * 1024
"""All arguments together as Kubernetes stores them (`_stored_bytes`); etcd takes objects of at most 1.5 MiB."""
ENV_COUNT_MAX: Final = 1000
ENV_NAME_MAX: Final = 253
"""A key of a Secret."""
ENV_BYTES_MAX: Final = 1024 * 1024
"""All names and values together: what a Secret holds."""
BOOT_DISK: Final = (10, 65536)
OVERRIDE_MAX: Final = {
    "cpu_millis": 999_999_999_999,
    "memory_mib": 999_999_999_999_999,
    "max_run_duration_seconds": 31_536_000,
}
PAGE_MAX: Final = 10_000

_LINE_SEPARATORS = ("\u2028".encode(), "\u2029".encode())
_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")


def tenant_id(headers: Mapping[str, str]) -> str:
    """The tenant of a call. Raises Invalid."""
    tenant = headers.get(TENANT_HEADER, "").strip()
    if not tenant:
        raise Invalid(f"{TENANT_HEADER} header is required")
    if fault := names.api_tenant_fault(tenant):
        raise Invalid(f"{TENANT_HEADER} {fault}")
    return tenant


def job_id(value: str) -> str:
    """The job id of a call that needs one. Raises Invalid."""
    if not value:
        raise Invalid("job_id is required")
    if fault := names.job_id_fault(value):
        raise Invalid(f"job_id {fault}")
    return value


def idempotency_key(headers: Mapping[str, str]) -> str | None:
    """The caller's own key for a submission without a job id. Raises Invalid."""
    key = headers.get(IDEMPOTENCY_HEADER, "").strip()
    if not key:
        return None
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise Invalid(f"{IDEMPOTENCY_HEADER} must be 1 to 255 printable ASCII characters without spaces")
    return key


def submission(request: pb.SubmitJobRequest, profiles: Profiles) -> None:
    """Everything about a SubmitJobRequest but its task counts (`tasks.read`). Raises Invalid."""
    if not request.image_uri.strip():
        raise Invalid("image_uri is required")
    if request.job_id:
        job_id(request.job_id)
    _check_texts(request)
    _check_commands(request.commands)
    _check_env(request.env_vars)
    _check_numbers(request)
    if request.resource_profile:
        resources.profile(request.resource_profile, profiles)


def page_size(value: int) -> int | None:
    """How many jobs a page has; None for all of them. Raises Invalid."""
    if value < 0:
        raise Invalid("page_size must not be negative")
    return min(value, PAGE_MAX) or None


def status(value: str) -> Phase | None:
    """The filter of ListJobs. Raises Invalid with the known ones."""
    if not value:
        return None
    for phase in Phase:
        if phase.wire == value.upper():
            return phase
    raise Invalid(f"status must be one of {', '.join(phase.wire for phase in Phase)}")


def created_after(value: str) -> datetime | None:
    """The filter of ListJobs. Raises Invalid for what is no RFC 3339 time with its zone."""
    if not value:
        return None
    try:
        time = datetime.fromisoformat(value)
        if time.tzinfo is not None:
            return time.astimezone(UTC)
    except (ValueError, OverflowError):  # overflow: the year 1 east of Greenwich
        pass
    raise Invalid("created_after must be an RFC 3339 time such as 2025-01-31T12:00:00Z")


def notification_limit(value: int) -> int:
    """How many notifications are wanted: 20 unless said otherwise (contract §1). Raises Invalid."""
    if value < 0:
        raise Invalid("limit must not be negative")
    return min(value or 20, PAGE_MAX)


def notification_id(value: str) -> str:
    """Raises Invalid."""
    if not value:
        raise Invalid("notification_id is required")
    if len(value) > names.ID_MAX or not value.isprintable():
        raise Invalid(f"notification_id must be at most {names.ID_MAX} printable characters")
    return value


def _check_texts(request: pb.SubmitJobRequest) -> None:
    _check_text("image_uri", request.image_uri, IMAGE_MAX)
    for field, most in TEXT_MAX.items():
        _check_text(field, getattr(request, field), most)


def _check_text(field: str, value: str, most: int) -> None:
    if len(value) > most:
        raise Invalid(f"{field} is longer than {most} characters")
    if "\0" in value:
        raise Invalid(f"{field} must not contain a NUL character")


def _check_commands(commands: Iterable[str]) -> None:
    commands = tuple(commands)
    if len(commands) > COMMANDS_MAX:
        raise Invalid(f"commands has more than {COMMANDS_MAX} items")
    for index, argument in enumerate(commands):
        _check_text(f"commands[{index}]", argument, ARGUMENT_MAX)
    if _stored_bytes(commands) > COMMANDS_BYTES_MAX:
        raise Invalid(f"commands is larger than {COMMANDS_BYTES_MAX} bytes as JSON")


def _stored_bytes(commands: Iterable[str]) -> int:
    """Their size in etcd: JSON as Go writes it, in which each of ``< > &`` and the line separators takes six bytes."""
    data = msgspec.json.encode(commands)
    return len(data) + 5 * sum(map(data.count, (b"<", b">", b"&"))) + 3 * sum(map(data.count, _LINE_SEPARATORS))


def _check_env(variables: Mapping[str, str]) -> None:
    if len(variables) > ENV_COUNT_MAX:
        raise Invalid(f"env_vars has more than {ENV_COUNT_MAX} items")
    for name, value in sorted(variables.items()):  # sorted: the same answer to the same request
        if len(name) > ENV_NAME_MAX:
            raise Invalid(f"env_vars: a name is longer than {ENV_NAME_MAX} characters")
        if not names.is_env_name(name):
            raise Invalid(f"env_vars: {name!r} is not a name: letters, digits and '_', not starting with a digit")
        _check_text(f"env_vars: the value of {name}", value, ARGUMENT_MAX)
    if sum(len(name) + len(value.encode()) for name, value in variables.items()) > ENV_BYTES_MAX:
        raise Invalid(f"env_vars is larger than {ENV_BYTES_MAX} bytes")


def _check_numbers(request: pb.SubmitJobRequest) -> None:
    for field, number, most in _numbers(request):
        if number < 0:
            raise Invalid(f"{field} must not be negative")
        if number > most:
            raise Invalid(f"{field} must be at most {most}")
    if 0 < request.boot_disk_size_gb < BOOT_DISK[0]:
        raise Invalid(f"boot_disk_size_gb must be at least {BOOT_DISK[0]}")


def _numbers(request: pb.SubmitJobRequest) -> Iterator[tuple[str, int, int]]:
    yield "boot_disk_size_gb", request.boot_disk_size_gb, BOOT_DISK[1]
    for field, most in OVERRIDE_MAX.items():
        yield f"resource_override.{field}", getattr(request.resource_override, field), most
