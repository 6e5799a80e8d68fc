"""What the headers and the small fields of requests must be like (contract §1). SubmitJob's own are in `checks`.

Pure: each raises `Invalid`, which the caller gets as invalid_argument, and whose message names the field.
"""

import re
from datetime import UTC, datetime
from typing import Final

from multidict import MultiMapping

from api.connect.headers import single
from controller.domain import names
from controller.domain.errors import Invalid
from controller.domain.phases import Phase
from controller.domain.suggestions import did_you_mean

TENANT_HEADER: Final = "X-Tenant-Id"
IDEMPOTENCY_HEADER: Final = "Idempotency-Key"

PAGE_MAX: Final = 10_000

_IDEMPOTENCY_KEY = re.compile(r"[!-+\--~]{1,255}")  # two headers that a proxy joins have a comma between


def tenant_id(headers: MultiMapping[str]) -> str:
    """The tenant of a call. Raises Invalid, and ConnectError for two of them."""
    tenant = single(headers, TENANT_HEADER)
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


def idempotency_key(headers: MultiMapping[str]) -> str | None:
    """The caller's own key for a submission without a job id. Raises Invalid, and ConnectError for two of them."""
    key = single(headers, IDEMPOTENCY_HEADER)
    if not key:
        return None
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise Invalid(f"{IDEMPOTENCY_HEADER} must be 1 to 255 printable ASCII characters without spaces and commas")
    return key


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
    known = [phase.wire for phase in Phase]
    raise Invalid(f"status must be one of {', '.join(known)}{did_you_mean(value, known)}")


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
