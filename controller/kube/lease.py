"""The Lease object that controllers elect by: between its JSON and a small struct. Nothing is decided here.

A whole object is read and written (PUT), so that labels and fields of others stay, and an installation needs the verbs
get, create and update alone.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from controller.domain.errors import Unavailable
from controller.domain.nulls import without_nulls
from controller.kube import paths
from controller.kube.client import KubeClient, Object

_API_VERSION = "coordination.k8s.io/v1"


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A lease as it was read, or as it is to be written. Its times are for people: nothing is decided by them."""

    holder: str
    """holderIdentity; "" where nobody holds it."""
    duration_seconds: int
    """leaseDurationSeconds: how long an unchanged lease counts as held; 0 where it does not say."""
    acquire_time: str = ""
    """As the API server writes it (`micro_time`); "" where it does not say."""
    renew_time: str = ""
    transitions: int = 0
    """How often the holder has changed."""
    version: str = ""
    """resourceVersion; "" for one that is not there yet."""
    whole: Mapping[str, Any] = {}
    """The object that it was read from."""


class KubeLease:
    """One Lease of one namespace. Errors as those of `KubeClient.call`, and Unavailable for what cannot be read."""

    def __init__(self, client: KubeClient, namespace: str, name: str) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name

    async def get(self) -> Lease:
        """Raises NotFound."""
        return _parse(await self._client.get(paths.lease(self._namespace, self._name)))

    async def create(self, lease: Lease) -> Lease:
        """Raises AlreadyExists; NotFound where the namespace does not exist."""
        metadata = {"name": self._name, "namespace": self._namespace}
        body: Object = {"apiVersion": _API_VERSION, "kind": "Lease", "metadata": metadata, "spec": _spec(lease)}
        return _parse(await self._client.post(paths.leases(self._namespace), body))

    async def replace(self, lease: Lease) -> Lease:
        """Write it over the version that it carries. Raises Conflict where that is not the newest, NotFound."""
        body: Object = {
            **lease.whole,
            "metadata": {**lease.whole.get("metadata", {}), "resourceVersion": lease.version},
            "spec": {**lease.whole.get("spec", {}), **_spec(lease)},
        }
        return _parse(await self._client.call("PUT", paths.lease(self._namespace, self._name), body=body))


def micro_time(moment: datetime) -> str:
    """That moment as Kubernetes' MicroTime: UTC, always with six digits."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _spec(lease: Lease) -> Object:
    spec: Object = {
        "holderIdentity": lease.holder,
        "leaseDurationSeconds": lease.duration_seconds,
        "leaseTransitions": lease.transitions,
    }
    times = {"acquireTime": lease.acquire_time, "renewTime": lease.renew_time}
    return spec | {name: time for name, time in times.items() if time}


def _parse(raw: Object) -> Lease:
    raw = without_nulls(raw)
    try:
        spec = raw.get("spec", {})
        return Lease(
            holder=str(spec.get("holderIdentity", "")),
            duration_seconds=int(spec.get("leaseDurationSeconds", 0)),
            acquire_time=str(spec.get("acquireTime", "")),
            renew_time=str(spec.get("renewTime", "")),
            transitions=int(spec.get("leaseTransitions", 0)),
            version=str(raw["metadata"]["resourceVersion"]),
            whole=raw,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unavailable(f"the reply is no Lease: {type(error).__name__}: {error}") from error
