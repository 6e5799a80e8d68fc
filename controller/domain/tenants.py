"""The JennahTenant as typed, immutable values, field for field the schema of ``crds/jennahtenant.yaml``, and which of
them holds for a tenant. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping
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


LISTS = {one.encode_name: one.name for one in msgspec.structs.fields(Allow)}
"""The lists of `Allow`: as policies name them, to their Python names."""
CASELESS = frozenset({"pools"})
"""Lists of ids that are the same in small and capital letters."""
_WITHOUT_PREFIXES = frozenset({"imageRegistries", "nodeSelectors", "tolerations"})


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

    @property
    def is_default(self) -> bool:
        """Whether it holds for tenants without one. One that names a tenant is that tenant's, whatever it is called."""
        return self.metadata.name == DEFAULT and self.spec.tenant_id is None


class TenantPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for one tenant."""

    tenant_id: str
    source: str
    """What it comes from, for people: ``JennahTenant team-a``, or `BUILT_IN`."""
    spec: TenantSpec
    foreign: Mapping[str, tuple[str, ...]] = {}
    """Prefixes of other tenants, by list and without their ``*``, that a shorter one of ours covers: what begins so is
    theirs."""


def parse(raw: Mapping[str, Any]) -> JennahTenant:
    """A JennahTenant from the API server's object; null is as good as absent. Raises msgspec.ValidationError."""
    return msgspec.convert(without_nulls(raw), JennahTenant, strict=True)


def policy_for(tenant_id: str, objects: Collection[JennahTenant]) -> TenantPolicy:
    """The policy of that tenant: its own object's, else that of the object `DEFAULT`, else the closed built-in one.

    Where two objects claim one tenant the one called as the tenant counts; where none is, nothing is allowed.
    """
    own = [one for one in objects if one.tenant_id == tenant_id and not one.is_default]
    named = [one for one in own if one.metadata.name == tenant_id]
    found = (named or own) if len(own) != 1 else own
    if len(found) > 1:
        claims = " and ".join(sorted(one.metadata.name for one in found))
        return TenantPolicy(tenant_id=tenant_id, source=f"JennahTenants {claims}, which claim one tenant", spec=_CLOSED)
    if not found:
        found = [one for one in objects if one.is_default]
    if not found:
        return TenantPolicy(tenant_id=tenant_id, source=BUILT_IN, spec=_CLOSED)
    [policy] = found
    others = [one for one in objects if one is not policy and not one.is_default]
    foreign = {rule: _beyond(_prefixes(policy, rule), others, rule) for rule in LISTS}
    source = f"JennahTenant {policy.metadata.name}"
    return TenantPolicy(tenant_id=tenant_id, source=source, spec=policy.spec, foreign=foreign)


def _beyond(own: list[str], others: Iterable[JennahTenant], rule: str) -> tuple[str, ...]:
    """The prefixes of the others that are longer than one of these, and begin with it."""
    if not own:
        return ()
    shortest = tuple(own)
    return tuple(
        prefix for one in others for prefix in _prefixes(one, rule) if prefix.startswith(shortest) and prefix not in own
    )


def overlaps(objects: Collection[JennahTenant]) -> list[str]:
    """A sentence for each prefix that also covers a longer one of another tenant: what the longer one covers stays that
    tenant's alone, and whoever wrote the shorter one may not know."""
    return sorted({sentence for rule in LISTS for sentence in _overlaps(objects, rule)})


def _overlaps(objects: Collection[JennahTenant], rule: str) -> Iterator[str]:
    """In order, a prefix comes right before all that it covers: no pair is looked at that does not overlap."""
    every = sorted((prefix, one.metadata.name) for one in objects for prefix in _prefixes(one, rule))
    around: list[tuple[str, str]] = []
    """What covers the one that is looked at."""
    for long, name in every:
        while around and not long.startswith(around[-1][0]):
            around.pop()
        for short, other in around:
            if other != name and short != long:
                yield (
                    f"JennahTenant {other}: allow.{rule} {short}* also covers {long}* of JennahTenant {name}, which "
                    "stays that one's own"
                )
        around.append((long, name))


def _prefixes(one: JennahTenant, rule: str) -> list[str]:
    """Those of that list, without their ``*``."""
    entries: tuple[str, ...] | None = getattr(one.spec.allow, LISTS[rule])
    if rule in _WITHOUT_PREFIXES:
        return []
    found = [entry[:-1] for entry in entries or () if entry.endswith("*") and len(entry) > 1]
    return [prefix.lower() for prefix in found] if rule in CASELESS else found


_CLOSED = TenantSpec()
