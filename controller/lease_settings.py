"""What leader election needs to know: which Lease, and its times. Read by `settings`."""

from pathlib import Path

import msgspec

from controller.domain import names
from controller.variables import Environment

SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""Where a pod finds the namespace that it is in."""
LEAST_RATIO = 1.2
"""The renew deadline must be more than so many intervals (as in client-go)."""


class LeaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The lease that operators of one installation share."""

    name: str
    """LEASE_NAME"""
    namespace: str
    """LEASE_NAMESPACE; by default the pod's own."""
    ttl_seconds: int
    """WORKER_LEASE_TTL_SECONDS: for so long an unchanged lease counts as held; its leader stops after two thirds."""
    interval_seconds: float
    """WORKER_CLAIM_INTERVAL_SECONDS: between two renewals."""


def read_lease(env: Environment) -> LeaseSettings:
    """Faults stay in `env`."""
    ttl = env.integer("WORKER_LEASE_TTL_SECONDS", 15, least=2, most=3600)
    interval = env.number("WORKER_CLAIM_INTERVAL_SECONDS", 2, least=0.1, most=600)
    deadline = ttl * 2 / 3
    if deadline <= LEAST_RATIO * interval:
        env.faults.append(
            f"WORKER_LEASE_TTL_SECONDS={ttl} is too short for WORKER_CLAIM_INTERVAL_SECONDS={interval:g}: two thirds "
            f"of it ({deadline:.3g} s) must be more than {LEAST_RATIO:g} intervals ({LEAST_RATIO * interval:.3g} s)"
        )
    name = env.text("LEASE_NAME", "jennah-controller")
    env.check("LEASE_NAME", names.object_name_fault(name))
    return LeaseSettings(
        name=name,
        namespace=_namespace(env, "LEASE_NAMESPACE") or read_own_namespace(env) or "default",
        ttl_seconds=ttl,
        interval_seconds=interval,
    )


def read_own_namespace(env: Environment) -> str:
    """POD_NAMESPACE: the namespace that this program is in; empty where it is in none. Faults stay in `env`."""
    namespace = _namespace(env, "POD_NAMESPACE")
    if namespace:
        return namespace
    try:
        return SERVICE_ACCOUNT_NAMESPACE.read_text().strip()
    except OSError:
        return ""


def _namespace(env: Environment, variable: str) -> str:
    namespace = env.text(variable, "")
    env.check(variable, names.namespace_fault(namespace) if namespace else None)
    return namespace
