"""Paths of the API server's resources that we use. A name is one segment, whatever is in it."""

from urllib.parse import quote

from controller.domain import names

_GROUP = f"/apis/{names.GROUP}/{names.VERSION}"


def jobs(namespace: str | None = None) -> str:
    """All JennahJobs, or those of one namespace."""
    return f"{_GROUP}/namespaces/{_segment(namespace)}/{names.PLURAL}" if namespace else f"{_GROUP}/{names.PLURAL}"


def job(namespace: str, name: str) -> str:
    return f"{jobs(namespace)}/{_segment(name)}"


def job_status(namespace: str, name: str) -> str:
    return f"{job(namespace, name)}/status"


def kinds() -> str:
    """What the API server serves of our group."""
    return _GROUP


def tenants() -> str:
    """All JennahTenants."""
    return f"{_GROUP}/jennahtenants"


def namespace(name: str) -> str:
    return f"/api/v1/namespaces/{_segment(name)}"


def secrets(namespace: str) -> str:
    return f"/api/v1/namespaces/{_segment(namespace)}/secrets"


def secret(namespace: str, name: str) -> str:
    return f"{secrets(namespace)}/{_segment(name)}"


def config_map(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{_segment(namespace)}/configmaps/{_segment(name)}"


def events(namespace: str) -> str:
    return f"/api/v1/namespaces/{_segment(namespace)}/events"


def leases(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{_segment(namespace)}/leases"


def lease(namespace: str, name: str) -> str:
    return f"{leases(namespace)}/{_segment(name)}"


def _segment(name: str) -> str:
    return quote(name, safe="")
