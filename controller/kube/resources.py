"""The JennahJob objects in Kubernetes: `ports.JobResources` over the client. Guarded writes, nothing decided."""

from collections.abc import Collection, Mapping, Set

import msgspec

from controller.domain import names
from controller.domain.errors import Conflict, NotFound, Unavailable
from controller.domain.job import Job, parse
from controller.domain.tenants import TenantPolicy
from controller.kube import environment, paths
from controller.kube.client import KubeClient, Object, items_of
from controller.kube.events import EventPoster
from controller.kube.tenants import TenantPolicies
from controller.ports import Clock, Environment

NAMESPACE_LABELS_SECONDS = 30.0
"""How long a namespace's labels are believed: reading them for every job would be a call a job."""


LIST_PAGE = 1000


class KubeJobResources:
    """`ports.JobResources`; see there for the laws."""

    def __init__(self, client: KubeClient, events: EventPoster, clock: Clock) -> None:
        self._client = client
        self._events = events
        self._clock = clock
        self._namespaces: dict[str, tuple[float, Mapping[str, str]]] = {}
        self._tenants = TenantPolicies(client, clock)

    async def get(self, namespace: str, name: str) -> Job | None:
        try:
            return _parse(await self._client.get(paths.job(namespace, name)))
        except NotFound:
            return None

    async def newest_version(self, namespace: str) -> int:
        # Without a resourceVersion a list is as new as a quorum knows; one object is enough to be told the version.
        found = await self._client.get(paths.jobs(namespace), limit="1")
        try:
            return int(found["metadata"]["resourceVersion"])
        except (KeyError, TypeError, ValueError) as error:
            raise Unavailable("the Kubernetes API answers a list without its version") from error

    async def hold(self, job: Job, labels: Mapping[str, str]) -> Job:
        metadata = {
            "resourceVersion": job.metadata.resource_version,
            "finalizers": [*job.metadata.finalizers, names.FINALIZER],
            "labels": dict(labels),
        }
        path = paths.job(job.metadata.namespace, job.metadata.name)
        return _parse(await self._client.merge_patch(path, {"metadata": metadata}))

    async def release(self, job: Job) -> None:
        metadata = {
            "resourceVersion": job.metadata.resource_version,
            "finalizers": [name for name in job.metadata.finalizers if name != names.FINALIZER],
        }
        path = paths.job(job.metadata.namespace, job.metadata.name)
        try:
            await self._client.merge_patch(path, {"metadata": metadata})
        except NotFound:
            return

    async def write_status(self, job: Job, status: Mapping[str, object]) -> Job:
        patch = {"metadata": {"resourceVersion": job.metadata.resource_version}, "status": dict(status)}
        path = paths.job_status(job.metadata.namespace, job.metadata.name)
        return _parse(await self._client.merge_patch(path, patch))

    async def delete(self, job: Job) -> None:
        try:
            await self._client.delete(paths.job(job.metadata.namespace, job.metadata.name), uid=job.key)
        except (NotFound, Conflict):
            return  # gone, or another object has its name by now

    async def uids(self, namespaces: Collection[str]) -> Set[str]:
        found: set[str] = set()
        for namespace in namespaces or (None,):
            token = ""
            while True:
                page = await self._client.get_metadata(paths.jobs(namespace), limit=LIST_PAGE, token=token)
                found.update(item["metadata"]["uid"] for item in items_of(page))
                token = page["metadata"].get("continue") or ""
                if not token:
                    break
        return found

    async def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        now = self._clock.monotonic()
        known = self._namespaces.get(namespace)
        if known is not None and now - known[0] < NAMESPACE_LABELS_SECONDS:
            return known[1]
        try:
            found = await self._client.get(paths.namespace(namespace))
        except NotFound:
            return {}
        labels: Mapping[str, str] = found["metadata"].get("labels") or {}
        self._namespaces[namespace] = (now, labels)
        return labels

    async def tenant_policy(self, tenant_id: str) -> TenantPolicy:
        return await self._tenants.policy_for(tenant_id)

    async def environment(self, job: Job) -> Environment:
        return await environment.resolve(self._client, job)

    def post_event(self, job: Job, *, kind: str, reason: str, message: str) -> None:
        self._events.post(job, kind=kind, reason=reason, message=message)


def _parse(raw: Object) -> Job:
    """The object that the API server answered with. Raises Unavailable for one of another CRD's shape."""
    try:
        return parse(raw)
    except msgspec.ValidationError as error:
        raise Unavailable(
            f"the API server's JennahJob cannot be read, is the CRD of another version? {error}"
        ) from error
