"""``jennah tenant check``: what a tenant's policy has against the jobs of a file, asked before they are applied."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from controller.domain import admission, names, resources, tenants
from controller.domain.errors import Invalid
from controller.domain.job import Job, parse
from controller.domain.resources import Profiles
from controller.domain.tenants import JennahTenant
from controller.kube.client import KubeClient, load_configuration
from controller.kube.tenants import TenantPolicies
from controller.startup import say


async def check(path: Path, tenant_id: str, policies: Path | None, profiles: Profiles) -> bool:
    """Print what would be refused, a line each; whether nothing would. `policies`: a file of JennahTenants to ask in
    place of those of the cluster. Raises Invalid for files that cannot be read as such, Forbidden, Unavailable."""
    jobs = [_job(raw, path) for raw in _documents(path, names.KIND)]
    if not jobs:
        raise Invalid(f"{path} has no {names.KIND}")
    if policies is not None:
        policy = tenants.policy_for(tenant_id, [_tenant(raw, policies) for raw in _documents(policies, "JennahTenant")])
    else:
        policy = await _policy_of_the_cluster(tenant_id)
    say(f"{tenant_id}: {policy.source}")
    is_allowed = True
    for job in jobs:
        for told in _refusals(job, profiles, policy):
            say(f"{job.metadata.name}: {told}")
            is_allowed = False
    if is_allowed:
        say(f"nothing of {', '.join(job.metadata.name for job in jobs)} would be refused")
    return is_allowed


def _refusals(job: Job, profiles: Profiles, policy: tenants.TenantPolicy) -> Sequence[str]:
    try:
        wanted, sizing = resources.resolve(job.spec, profiles), resources.size(job.spec, profiles)
    except Invalid as fault:
        return [f"spec.{fault}"]
    return [one.message for one in admission.refusals(job.spec, wanted, sizing, policy)]


async def _policy_of_the_cluster(tenant_id: str) -> tenants.TenantPolicy:
    from controller.clock import SystemClock

    async with KubeClient(await load_configuration()) as client:
        return await TenantPolicies(client, SystemClock()).policy_for(tenant_id)


def _documents(path: Path, kind: str) -> Iterator[dict[str, Any]]:
    """The documents of that kind, of a YAML or JSON file."""
    try:
        found = list(yaml.safe_load_all(path.read_text()))
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:  # whose words quote the file, values and all
        raise Invalid(f"{path} is no YAML{_place(error)}") from None
    for document in found:
        if isinstance(document, dict) and document.get("kind") == kind:
            yield document


def _job(raw: dict[str, Any], path: Path) -> Job:
    given = raw.get("metadata")
    metadata = given if isinstance(given, dict) else {}
    try:
        return parse({**raw, "metadata": {**metadata, "name": metadata.get("name") or "(unnamed)"}})
    except msgspec.ValidationError as error:
        raise Invalid(f"{path}: {error}") from None


def _tenant(raw: dict[str, Any], path: Path) -> JennahTenant:
    try:
        return tenants.parse(raw)
    except msgspec.ValidationError as error:
        raise Invalid(f"{path}: {error}") from None


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f": line {mark.line + 1}, column {mark.column + 1}" if mark else ""
