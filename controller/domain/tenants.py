"""The JennahTenant as typed, immutable values, field for field the schema of ``crds/jennahtenant.yaml``, and which of
them holds for a tenant. Pure."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from controller.domain.job import Metadata, Value
from controller.domain.nulls import without_nulls

DEFAULT = "default"
"""The object that holds for tenants without one of their own."""
BUILT_IN = "the built-in policy"
"""What refusals call the policy that holds where there is no object at all."""


class Allow(Value, frozen=True, kw_only=True):
    """What the tenant's jobs may name. An entry is a whole name, or a prefix and ``*``; no entry allows nothing."""

    service_accounts: tuple[str, ...] = ()
    """Cloud identities: e-mail addresses at Google Cloud, role ARNs at AWS, ServiceAccounts at Kubernetes."""
    execution_roles: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    """Queues of AWS Batch and of Kueue."""
    share_identifiers: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    instance_templates: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    """Networks and subnetworks."""
    network_tags: tuple[str, ...] = ()
    reservations: tuple[str, ...] = ()
    boot_disk_images: tuple[str, ...] = ()
    log_groups: tuple[str, ...] = ()
    image_registries: tuple[str, ...] | None = None
    """Registries, with or without a path: ``ghcr.io/acme``. None: any."""
    registry_identities: tuple[str, ...] = ()
    priority_classes: tuple[str, ...] = ()
    image_pull_secrets: tuple[str, ...] = ()
    node_selectors: tuple[str, ...] = ()
    """Labels: ``key`` for any value, or ``key=value``."""
    tolerations: tuple[str, ...] = ()
    """Taints: ``key`` for any value, or ``key=value``."""


class Maxima(Value, frozen=True, kw_only=True):
    """Of one job; CPU, memory and GPUs of each of its tasks."""

    cpu: str | int | None = None
    memory: str | int | None = None
    gpu: int | None = None
    completions: int | None = None
    active_deadline_seconds: int | None = None


class Identity(Value, frozen=True, kw_only=True):
    """What the tenant's jobs run as that name no serviceAccount, by service."""

    gcp: str | None = None
    aws: str | None = None
    kubernetes: str | None = None


class TenantSpec(Value, frozen=True, kw_only=True):
    tenant_id: str | None = None
    """Whose policy it is. None: the tenant that is called as the object."""
    trusted: bool = False
    """The tenant may name everything. `maxima` hold all the same."""
    allow: Allow = Allow()
    maxima: Maxima = Maxima()
    identity: Identity = Identity()


class JennahTenant(Value, frozen=True, kw_only=True):
    metadata: Metadata
    spec: TenantSpec = TenantSpec()

    @property
    def tenant_id(self) -> str:
        return self.spec.tenant_id or self.metadata.name


class TenantPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for one tenant."""

    tenant_id: str
    source: str
    """What it comes from, for people: ``JennahTenant team-a``, or `BUILT_IN`."""
    spec: TenantSpec
    foreign_prefixes: tuple[str, ...] = ()
    """Prefixes of other tenants' allow.secrets, without their ``*``: what a longer one of these covers is not ours."""


def parse(raw: Mapping[str, Any]) -> JennahTenant:
    """A JennahTenant from the API server's object; null is as good as absent. Raises msgspec.ValidationError."""
    return msgspec.convert(without_nulls(raw), JennahTenant, strict=True)


def policy_for(tenant_id: str, objects: Collection[JennahTenant]) -> TenantPolicy:
    """The policy of that tenant: its own object's, else that of the object `DEFAULT`, else the closed built-in one.

    Where two objects claim one tenant the one called as the tenant counts; where none is, nothing is allowed.
    """
    own = [one for one in objects if one.tenant_id == tenant_id and one.metadata.name != DEFAULT]
    named = [one for one in own if one.metadata.name == tenant_id]
    found = (named or own) if len(own) != 1 else own
    if len(found) > 1:
        claims = " and ".join(sorted(one.metadata.name for one in found))
        return TenantPolicy(tenant_id=tenant_id, source=f"JennahTenants {claims}, which claim one tenant", spec=_CLOSED)
    rest = [one for one in objects if one not in found and one.metadata.name != DEFAULT]
    others = tuple(prefix for one in rest for prefix in _prefixes(one.spec.allow.secrets))
    if not found:
        found = [one for one in objects if one.metadata.name == DEFAULT]
    if not found:
        return TenantPolicy(tenant_id=tenant_id, source=BUILT_IN, spec=_CLOSED)
    [policy] = found
    source = f"JennahTenant {policy.metadata.name}"
    return TenantPolicy(tenant_id=tenant_id, source=source, spec=policy.spec, foreign_prefixes=others)


def overlaps(objects: Collection[JennahTenant]) -> list[str]:
    """A sentence for each prefix of secrets that also covers a longer one of another tenant: the longer one's secrets
    stay that tenant's alone, and whoever wrote the shorter one may not know."""
    found = []
    for one in objects:
        for other in objects:
            for short in _prefixes(one.spec.allow.secrets):
                for long in _prefixes(other.spec.allow.secrets):
                    if one is not other and long.startswith(short) and long != short:
                        found.append(
                            f"JennahTenant {one.metadata.name}: allow.secrets {short}* also covers {long}* of "
                            f"JennahTenant {other.metadata.name}, whose secrets stay its own"
                        )
    return sorted(set(found))


def _prefixes(entries: Iterable[str]) -> list[str]:
    return [entry[:-1] for entry in entries if entry.endswith("*") and len(entry) > 1]


_CLOSED = TenantSpec()
