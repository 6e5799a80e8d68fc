"""Names and ids: what is legal, and how ours are derived. Always from the object, never from chance."""

import functools
import hashlib
import re
import uuid

GROUP = "jennah.alphaus.cloud"
VERSION = "v1"
KIND = "JennahJob"
PLURAL = "jennahjobs"
API_VERSION = f"{GROUP}/{VERSION}"

FINALIZER = f"{GROUP}/cloud-job"
"""Holds a deleted object until its cloud job is seen to be gone or ended."""
LABEL_JOB_ID = f"{GROUP}/job-id"
LABEL_TENANT = f"{GROUP}/tenant"
"""On a JennahJob: its tenant. On a namespace: the tenant of the jobs in it."""
ANNOTATION_PURGE = f"{GROUP}/purge"
""""true" on an object that DeleteJob removes: its database row goes with it."""
ANNOTATION_SUBMITTED_AT = f"{GROUP}/submitted-at"
"""When SubmitJob was called, RFC 3339 with microseconds: creationTimestamp has whole seconds, too coarse to sort by."""

ANNOTATION_NEW_ID = f"{GROUP}/new-job-id"
""""true" on an object whose job id the API made up for that very object: no other object can have run it."""

ID_MAX = 36
"""Tenant and job ids are STRING(36) in Spanner (contract §2)."""

_TENANT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_NAMESPACE_TENANT = "ns:"
_TENANT_DIGITS = 16
"""64 bits: to find a second namespace with the same ones is more work than a namespace is worth."""
_TOO_LONG = f"is longer than {ID_MAX} characters"
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EXTERNAL_NAME = re.compile(r"[a-z][a-z0-9-]*-([0-9a-f]{32})")
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_LABEL_KEY = re.compile(rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_LABEL}")
_LABEL_VALUE = re.compile(rf"({_LABEL})?")
_NAME_MAX = 63
"""Of an object: a DNS label, though Kubernetes takes longer ones."""
_NAME_DIGITS = 20
"""Hex digits of the hash in an object's name: 80 bits, too many to find another tenant's name by trying."""
_NAMESPACE = uuid.UUID("6e7a3f0e-5a0b-5c7e-9d43-6a656e6e6168")  # fixed for ever: ids derive from it


def namespace_tenant(namespace: str) -> str:
    """The tenant of jobs in a namespace without the tenant's label: no name that a caller of the API can have.

    A long namespace's has a hash behind a dot, which no namespace's name has: else another could be called so.
    """
    tenant_id = f"{_NAMESPACE_TENANT}{namespace}"
    if len(tenant_id) <= ID_MAX:
        return tenant_id
    digits = hashlib.sha256(namespace.encode()).hexdigest()[:_TENANT_DIGITS]
    return f"{tenant_id[: ID_MAX - 1 - _TENANT_DIGITS].rstrip('-')}.{digits}"


def tenant_label(tenant_id: str) -> str:
    """The tenant as the value of a label. It only narrows a search down: two tenants may have the same."""
    return tenant_id.replace(_NAMESPACE_TENANT, "ns.", 1)


def tenant_fault(tenant_id: str) -> str | None:
    """Why no job can belong to that tenant, or None: as `api_tenant_fault`, or a namespace's (`namespace_tenant`)."""
    return api_tenant_fault(tenant_id.removeprefix(_NAMESPACE_TENANT)) if len(tenant_id) <= ID_MAX else _TOO_LONG


def api_tenant_fault(tenant_id: str) -> str | None:
    """Why no caller of the API can be that tenant, or None: at most 36 characters, valid as a label's value."""
    if len(tenant_id) > ID_MAX:
        return _TOO_LONG
    if not _TENANT.fullmatch(tenant_id):
        return "must consist of letters, digits, '-', '_' or '.', and start and end with a letter or digit"
    return None


def job_id_fault(job_id: str) -> str | None:
    """Why this is no job id, or None: at most 36 characters, valid as a Kubernetes object name."""
    if len(job_id) > ID_MAX:
        return f"is longer than {ID_MAX} characters"
    if not _DNS_SUBDOMAIN.fullmatch(job_id):
        return "must consist of lower case letters, digits, '-' or '.', and start and end with a letter or digit"
    return None


def object_name(tenant_id: str, job_id: str, display_name: str | None = None) -> str:
    """The JennahJob that the API makes for a tenant's job id: the same for the same request, and for one tenant alone.

    A readable beginning, of the display name where there is one, then a hash of tenant and job id: a DNS label.
    """
    # Neither id can have a slash.
    digits = hashlib.sha256(f"{tenant_id}/{job_id}".encode()).hexdigest()[:_NAME_DIGITS]
    most = _NAME_MAX - 1 - _NAME_DIGITS
    return f"{_slug(display_name or '', most) or _slug(job_id, most)}-{digits}"


def _slug(text: str, most: int) -> str:
    """The text as at most so many lower case letters, digits and single dashes; "" where it has none of these."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:most].rstrip("-")


def namespace_fault(namespace: str) -> str | None:
    """Why this is no namespace name, or None: a DNS label of at most 63 characters."""
    if len(namespace) > 63 or "." in namespace or not _DNS_SUBDOMAIN.fullmatch(namespace):
        return f"{namespace!r} is not a namespace name: lower case letters, digits and '-', at most 63"
    return None


def object_name_fault(name: str) -> str | None:
    """Why this cannot name an object in Kubernetes, or None: a DNS subdomain of at most 253 characters."""
    if len(name) > 253 or not _DNS_SUBDOMAIN.fullmatch(name):
        return f"{name!r} is no object name: lower case letters, digits, '-' and '.', at most 253"
    return None


def is_label(key: str, value: str) -> bool:
    """Whether Kubernetes takes that as a label."""
    return _LABEL_KEY.fullmatch(key) is not None and _LABEL_VALUE.fullmatch(value) is not None


def is_env_name(name: str) -> bool:
    """Whether this is a C identifier, the form that every service takes."""
    return len(name) <= 256 and _ENV_NAME.fullmatch(name) is not None


@functools.lru_cache(maxsize=4096)  # it is asked for ten times in a job's life, mostly within a second
def external_name(name: str, uid: str) -> str:
    """The cloud job's name: a readable prefix, then the whole uid (32 hex digits), at most 63 characters.

    Valid on GCP, AWS and Azure alike: ``[a-z][a-z0-9-]{0,61}[a-z0-9]`` (GCP's is the strictest). It is the
    idempotency key where the service lets the caller name the job, and what a lost job is found by.
    """
    digits = uuid.UUID(uid).hex
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower())[: 62 - len(digits)].strip("-")
    if not slug or not slug[0].isalpha():
        slug = f"j-{slug}"[: 62 - len(digits)].strip("-")
    return f"{slug}-{digits}"


def uid_in(name: str) -> str | None:
    """The uid that an external name ends with; None for a name that is not ours."""
    match = _EXTERNAL_NAME.fullmatch(name)
    return str(uuid.UUID(match[1])) if match else None


def transition_id(uid: str, number: int) -> str:
    """The audit row's id: the same transition always has the same one, so writing it twice changes nothing."""
    return str(uuid.uuid5(_NAMESPACE, f"{uid}/transition/{number}"))


def notification_id(uid: str) -> str:
    """The id of the one notification that a job's end writes."""
    return str(uuid.uuid5(_NAMESPACE, f"{uid}/notification"))


def env_secret_name(job_name: str, suffix: str) -> str:
    """The Secret that holds the values of a submitted job's env_vars; `suffix` is this submission's alone.

    A Secret that is there already, left by an earlier job of that name or made by somebody else, is another one.
    """
    return f"{job_name}-env-{suffix}"


def is_env_secret(secret_name: str, job_name: str) -> bool:
    """Whether that may be the name of the job's own."""
    return secret_name.startswith(f"{job_name}-env-")
