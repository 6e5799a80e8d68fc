"""Whether a tenant may have a job: what the job names against what the tenant's policy allows. Pure.

The API asks it when a job is submitted, the operator before anything is sent, ``jennah tenant check`` for people.
Names are compared as they are written, by whole parts; one that could be read in two ways is never allowed.
"""

import re
from collections.abc import Callable, Iterable, Iterator

import msgspec

from controller.domain import images, resources
from controller.domain.errors import NotAllowed
from controller.domain.job import AwsOptions, AzureOptions, GcpOptions, JobSpec, KubernetesOptions, Toleration
from controller.domain.resources import ResourceSet, Sizing
from controller.domain.tenants import CASELESS, LISTS, TenantPolicy

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
PRIORITY_LABEL = "kueue.x-k8s.io/priority-class"
_COMPUTE = re.compile(r"https://(www|compute)\.googleapis\.com/compute/(v1|beta)/")
_AMBIGUOUS = re.compile(r"[^!-~]|%|\\|//|(^|/)\.{1,2}(/|$)")
_GOOGLE_SECRET = re.compile(r"(projects/[a-z0-9][a-z0-9.:-]*/secrets/[A-Za-z0-9_-]{1,255})/versions/[A-Za-z0-9_-]+")
_SECRETS_MANAGER = re.compile(r"(arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@-]+)(:.*)?")
_PARAMETER = re.compile(
    r"(arn:aws[a-z-]*:ssm:[a-z0-9-]+:\d{12}:parameter/[A-Za-z0-9/_.-]+|(?!projects/)[A-Za-z0-9/_.-]+)"
)


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the policy does not allow."""

    field: str
    """The field of the spec, such as ``aws.jobQueue``."""
    rule: str
    """The field of the policy that decides, such as ``allow.queues``."""
    message: str


class _Named(msgspec.Struct, frozen=True):
    """Something that a spec names."""

    field: str
    rule: str
    value: str
    key: str
    """What entries are compared with: the value without what they need not name; "" for what cannot be compared."""


def refusals(spec: JobSpec, wanted: ResourceSet, sizing: Sizing, policy: TenantPolicy) -> list[Refusal]:
    """All that the policy has against such a job; none where it may run. `wanted` and `sizing`: what the spec resolves
    to (`domain.resources`)."""
    found = list(_over_maxima(spec, wanted, sizing, policy))
    if not policy.spec.trusted:
        found += [_refusal(one, policy) for one in _named(spec) if not _is_allowed(one, policy)]
        found += _foreign_image(spec, policy)
    return found


def check(spec: JobSpec, wanted: ResourceSet, sizing: Sizing, policy: TenantPolicy) -> None:
    """Raises NotAllowed with all that the policy has against such a job."""
    found = refusals(spec, wanted, sizing, policy)
    if found:
        raise NotAllowed("; ".join(one.message for one in found))


def with_identity(spec: JobSpec, provider: str, policy: TenantPolicy, otherwise: str) -> JobSpec:
    """The spec with what its job runs as: its own serviceAccount, else the policy's for that service, else the
    installation's (`otherwise`; "" leaves it to the service)."""
    if spec.service_account:
        return spec
    identity = policy.spec.identity
    own = {"gcp": identity.gcp, "aws": identity.aws, "kubernetes": identity.kubernetes}.get(provider)
    account = own or otherwise
    if provider == "aws" and spec.aws is not None and spec.aws.job_role_arn:
        return spec
    return msgspec.structs.replace(spec, service_account=account) if account else spec


def _named(spec: JobSpec) -> Iterator[_Named]:
    """Everything in the spec that may be another's."""
    gcp, aws = spec.gcp or GcpOptions(), spec.aws or AwsOptions()
    azure, kubernetes = spec.azure or AzureOptions(), spec.kubernetes or KubernetesOptions()
    labels = spec.labels or {}
    for name, secret in spec.cloud_secrets.items():
        yield _Named(f"env {name}", "secrets", secret, _secret_key(secret))
    for field, credentials in (
        ("gcp.registryUsernameSecret", gcp.registry_username_secret),
        ("gcp.registryPasswordSecret", gcp.registry_password_secret),
        ("aws.registryCredentialsArn", aws.registry_credentials_arn),
    ):
        if credentials:
            yield _Named(field, "secrets", credentials, _secret_key(credentials))
    plain: tuple[tuple[str, str, Iterable[str | None]], ...] = (
        ("serviceAccount", "serviceAccounts", [spec.service_account]),
        ("aws.jobRoleArn", "serviceAccounts", [aws.job_role_arn]),
        ("aws.executionRoleArn", "executionRoles", [aws.execution_role_arn]),
        ("aws.jobQueue", "queues", [aws.job_queue]),
        ("aws.shareIdentifier", "shareIdentifiers", [aws.share_identifier]),
        ("aws.logGroup", "logGroups", [aws.log_group]),
        ("azure.pool", "pools", [azure.pool]),
        ("azure.registryIdentity", "registryIdentities", [azure.registry_identity]),
        ("gcp.instanceTemplate", "instanceTemplates", [gcp.instance_template]),
        ("gcp.network", "networks", [gcp.network]),
        ("gcp.subnetwork", "networks", [gcp.subnetwork]),
        ("gcp.reservation", "reservations", [gcp.reservation]),
        ("gcp.bootDiskImage", "bootDiskImages", [gcp.boot_disk_image]),
        ("gcp.tags", "networkTags", gcp.tags or ()),
        ("kubernetes.priorityClassName", "priorityClasses", [kubernetes.priority_class_name]),
        ("kubernetes.imagePullSecrets", "imagePullSecrets", kubernetes.image_pull_secrets or ()),
        (f"labels[{QUEUE_LABEL}]", "queues", [labels.get(QUEUE_LABEL)]),
        (f"labels[{PRIORITY_LABEL}]", "priorityClasses", [labels.get(PRIORITY_LABEL)]),
    )
    for field, rule, values in plain:
        for value in filter(None, values):
            yield _Named(field, rule, value, _key(value))
    for key, value in (kubernetes.node_selector or {}).items():
        yield _Named("kubernetes.nodeSelector", "nodeSelectors", f"{key}={value}", f"{key}={value}")
    for toleration in kubernetes.tolerations or ():
        taint = _taint(toleration)
        yield _Named("kubernetes.tolerations", "tolerations", taint, taint if toleration.key else "")


def _taint(toleration: Toleration) -> str:
    """The taint, as entries have it; of a toleration of every value its key with ``=*``, which only ``key`` allows."""
    if not toleration.key:
        return "every taint"
    return f"{toleration.key}=*" if toleration.operator == "Exists" else f"{toleration.key}={toleration.value or ''}"


def _key(value: str) -> str:
    return "" if _AMBIGUOUS.search(_COMPUTE.sub("", value)) else _COMPUTE.sub("", value)


def _secret_key(value: str) -> str:
    """The secret without its version or JSON key; "" for what is no secret's name in full."""
    for form in (_GOOGLE_SECRET, _SECRETS_MANAGER, _PARAMETER):
        if match := form.fullmatch(value):
            return "" if _AMBIGUOUS.search(match[1]) else match[1]
    return ""


def _is_allowed(one: _Named, policy: TenantPolicy) -> bool:
    allow = policy.spec.allow
    if not one.key:
        return False
    if one.rule == "serviceAccounts" and one.value in (
        policy.spec.identity.gcp,
        policy.spec.identity.aws,
        policy.spec.identity.kubernetes,
    ):
        return True
    entries: tuple[str, ...] = getattr(allow, LISTS[one.rule]) or ()
    if one.rule in ("nodeSelectors", "tolerations"):
        key = one.key.partition("=")[0]
        return any(entry == one.key or entry == key for entry in entries)
    fold: Callable[[str], str] = str.lower if one.rule in CASELESS else str
    key = fold(one.key)
    covered = max((len(entry) for entry in map(fold, entries) if _covers(entry, key)), default=0)
    foreign = max((len(prefix) + 1 for prefix in policy.foreign.get(one.rule, ()) if key.startswith(prefix)), default=0)
    return key in map(fold, entries) or (covered > 0 and covered >= foreign)


def _covers(entry: str, key: str) -> bool:
    """Whether the entry allows that: as a whole name, or as a prefix that is not empty."""
    if entry.endswith("*"):
        return len(entry) > 1 and key.startswith(entry[:-1]) and "*" not in entry[:-1]
    return entry == key


def _foreign_image(spec: JobSpec, policy: TenantPolicy) -> Iterator[Refusal]:
    registries = policy.spec.allow.image_registries
    if registries is None:
        return
    path = []
    if not images.fault(spec.image):  # of a name that is none nobody can tell where it leads
        image = images.parse(spec.image)
        path = [image.registry, *image.repository.split("/")]
    for entry in registries:
        host, _, rest = entry.rstrip("/").removeprefix("https://").partition("/")
        wanted = [images.registry_host(host), *filter(None, rest.split("/"))]
        if host and path[: len(wanted)] == wanted:
            return
    yield _refusal(_Named("image", "imageRegistries", spec.image, ""), policy)


def _over_maxima(spec: JobSpec, wanted: ResourceSet, sizing: Sizing, policy: TenantPolicy) -> Iterator[Refusal]:
    most = policy.spec.maxima
    if refusal := _of_unknown_size(spec, sizing, policy):
        yield refusal
        return
    cpu_millis, memory_mib, gpus = _taken(spec, wanted, sizing)
    limits: tuple[tuple[str, str, int, int | None, str], ...] = (
        ("resources.cpu", "cpu", cpu_millis, _maximum(most.cpu, resources.cpu_millis), "m"),
        ("resources.memory", "memory", memory_mib, _maximum(most.memory, resources.memory_mib), " MiB"),
        ("resources.gpu", "gpu", gpus, most.gpu, ""),
        ("completions", "completions", spec.completions, most.completions, ""),
        (
            "activeDeadlineSeconds",
            "activeDeadlineSeconds",
            wanted.max_run_duration_seconds,
            most.active_deadline_seconds,
            " s",
        ),
    )
    for field, rule, asked, limit, unit in limits:
        if limit is not None and (asked > limit or (field == "activeDeadlineSeconds" and not asked)):
            told = f"{asked}{unit}" if asked else "no limit"
            yield Refusal(
                field=field,
                rule=f"maxima.{rule}",
                message=f"spec.{field}: {told} is more than maxima.{rule} of {policy.source} allows to the tenant "
                f"{policy.tenant_id!r}: {limit}{unit}",
            )


def _taken(spec: JobSpec, wanted: ResourceSet, sizing: Sizing) -> tuple[int, int, int]:
    """CPU, memory and GPUs that a task can use, whatever less it asks for: a VM at Google Cloud is the job's alone, and
    at Azure every container sees all GPUs of its node."""
    gpus, machine = sizing.gpu.count if sizing.gpu else 0, sizing.machine
    if machine is None or spec.provider not in (None, machine.cloud) or machine.cloud == "aws":
        return wanted.cpu_millis, wanted.memory_mib, gpus
    gpus = max(gpus, machine.gpus)
    if machine.cloud == "azure":
        return wanted.cpu_millis, wanted.memory_mib, gpus
    return max(wanted.cpu_millis, machine.cpu_millis), max(wanted.memory_mib, machine.memory_mib), gpus


def _of_unknown_size(spec: JobSpec, sizing: Sizing, policy: TenantPolicy) -> Refusal | None:
    """That nobody can tell whether a machine is too large, on services that give the job all of it. Of one that only
    JOB_CONFIG_PATH knows no GPUs are known."""
    if not spec.machine_type or sizing.machine is not None or spec.provider not in (None, "gcp", "azure"):
        return None
    most = policy.spec.maxima
    limits = {"gpu": most.gpu} | ({"cpu": most.cpu, "memory": most.memory} if sizing.is_unknown_machine else {})
    rules = [f"maxima.{rule}" for rule, limit in limits.items() if limit is not None]
    if not rules:
        return None
    return Refusal(
        field="machineType",
        rule=rules[0],
        message=f"spec.machineType: it is not known what {spec.machine_type!r} has, and {rules[0]} of {policy.source} "
        f"limits the tenant {policy.tenant_id!r}; name a machine type that is known",
    )


def _maximum(quantity: str | int | None, read: Callable[[str | int], int]) -> int | None:
    return None if quantity is None else read(quantity)


def _refusal(one: _Named, policy: TenantPolicy) -> Refusal:
    rule = f"allow.{one.rule}"
    # What is no name in full may be the secret itself, in the place of its name.
    is_shown = one.rule != "secrets" or one.value.startswith(("projects/", "arn:"))
    told = repr(one.value) if is_shown else "that name"
    return Refusal(
        field=one.field,
        rule=rule,
        message=f"spec.{one.field}: {told} is not in {rule} of {policy.source}, which holds for the tenant "
        f"{policy.tenant_id!r}",
    )
