"""The JennahJob objects and their Secrets, as the API reads and writes them. Decides nothing about calls.

Jobs that the API creates are in one namespace under a name that derives from tenant and job id; those that kubectl made
may be anywhere, and are found by the labels that the controller sets. Raises `controller.domain.errors`.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

import msgspec

from api.errors import NamespaceMissing
from api.tenancy import Tenancy
from controller.domain import job as jobs
from controller.domain import names, reasons
from controller.domain.errors import Conflict, Forbidden, Invalid, NotFound
from controller.domain.job import Job
from controller.domain.records import Transition
from controller.kube import paths
from controller.kube.client import KubeClient, Object, items_of

LOG = logging.getLogger(__name__)

_UNRECORDED = "status.phase="
_CHUNK = "1000"  # objects a list call answers with: 30 MB of jobs in one answer would outlast the time limit


class JobObjects:
    """Reads the watched namespaces and its own, or all; writes new jobs to its own."""

    def __init__(
        self, client: KubeClient, *, namespace: str, watch_namespaces: Iterable[str], tenancy: Tenancy
    ) -> None:
        self._client = client
        self._namespace = namespace
        watched = tuple(watch_namespaces)
        self._read_namespaces = tuple(dict.fromkeys((namespace, *watched))) if watched else (None,)
        self._tenancy = tenancy
        self._hidden: set[str] = set()
        """Watched namespaces of which it was told that they may not be read."""

    @property
    def namespace(self) -> str:
        return self._namespace

    async def create(self, body: Object) -> Job:
        """Raises AlreadyExists for a taken name, Invalid for what the CRD refuses, NamespaceMissing, Unavailable,
        Throttled."""
        try:
            return jobs.parse(await self._client.post(paths.jobs(self._namespace), body))
        except NotFound as error:
            raise NamespaceMissing(self._namespace) from error

    async def get(self, name: str) -> Job | None:
        """The object of that name in our namespace."""
        return await self._read(self._namespace, name)

    async def reload(self, job: Job) -> Job | None:
        """The same object now; None where it is gone."""
        newest = await self._read(job.metadata.namespace, job.metadata.name)
        return newest if newest is not None and newest.metadata.uid == job.metadata.uid else None

    async def own(self, tenant_id: str, job_id: str, name: str | None) -> Job | None:
        """The object that the API made for the tenant's job id; a purged one is still found. `name`: what the job was
        called, as the request or the record has it.

        Of two, which replicas of different releases can make, the one that the record has not refused.
        """
        void = None
        for object_name in _names(tenant_id, job_id, name):
            job = await self.get(object_name)
            if job is None or not await self._is_of(job, tenant_id, job_id):
                continue
            if not _is_void(job):
                return job
            void = void or job
        return void

    async def of_earlier_releases(self, tenant_id: str, job_id: str) -> Job | None:
        """The tenant's object of that job id under the name that releases before this one gave to it."""
        job = await self.get(job_id)
        return job if job is not None and await self._is_of(job, tenant_id, job_id) else None

    async def find(self, tenant_id: str, job_id: str, name: str | None = None) -> Job | None:
        """The tenant's object of that job id, wherever it is; a purged one is still found. `name`: as for `own`."""
        own = await self.own(tenant_id, job_id, name)
        if own is not None:
            return own
        labels = f"{names.LABEL_JOB_ID}={job_id},{names.LABEL_TENANT}={names.tenant_label(tenant_id)}"
        found = await self._lists(
            {"labelSelector": labels}, {"labelSelector": f"!{names.LABEL_JOB_ID}", "fieldSelector": _UNRECORDED}
        )
        theirs = [job for job in found if await self._is_of(job, tenant_id, job_id)]
        return min(theirs, key=_is_void, default=None)

    async def unrecorded(self, tenant_id: str) -> list[Job]:
        """The tenant's objects that no controller has taken up yet: the record may not have them."""
        return await self._of_tenant(tenant_id, fieldSelector=_UNRECORDED)

    async def all_of(self, tenant_id: str) -> list[Job]:
        """All of the tenant's objects, for the time in which the record cannot be read."""
        return await self._of_tenant(tenant_id)

    async def cancel(self, job: Job) -> None:
        """Ask for the job's end. Gone already is no error."""
        try:
            await self._patch(job, {"spec": {"cancel": True}})
        except NotFound:
            pass

    async def purge(self, job: Job) -> None:
        """Mark the object so that its record goes with it, then delete it. Gone already is no error."""
        try:
            await self._patch(job, {"metadata": {"annotations": {names.ANNOTATION_PURGE: "true"}}})
            await self.delete(job)
        except NotFound:
            pass

    async def delete(self, job: Job) -> None:
        """Delete this object, and no other of its name. Gone already is no error."""
        try:
            await self._client.delete(paths.job(job.metadata.namespace, job.metadata.name), uid=job.metadata.uid)
        except (NotFound, Conflict):
            pass  # the latter: another object has the name by now

    async def is_wanted(self, transition: Transition) -> bool:
        """Whether a transition of ours may be written later: its very object is there, and its record was not asked to
        go."""
        row = transition.row
        for object_name in _names(row.tenant_id, row.job_id, row.name):
            job = await self.get(object_name)
            if job is not None and job.metadata.uid == transition.uid:
                return not job.is_purged
        return False

    async def check(self) -> None:
        """Raises where jobs cannot be read or made: no connection, no permission, no CRD, NamespaceMissing."""
        await self._client.get(paths.jobs(self._namespace), limit="1")
        try:
            await self._client.get(paths.namespace(self._namespace))
        except NotFound as error:
            raise NamespaceMissing(self._namespace) from error
        except Forbidden:
            return  # it may be there: a job tells

    async def _of_tenant(self, tenant_id: str, **query: str) -> list[Job]:
        """Those with the tenant's label, and those without one that turn out to be the tenant's: not all tenants'."""
        labels = f"{names.LABEL_TENANT}={names.tenant_label(tenant_id)}", f"!{names.LABEL_TENANT}"
        found = await self._lists(*({"labelSelector": label, **query} for label in labels))
        return [job for job in found if not job.is_purged and await self._tenancy.tenant_of(job) == tenant_id]

    async def _is_of(self, job: Job, tenant_id: str, job_id: str) -> bool:
        return job.job_id == job_id and await self._tenancy.tenant_of(job) == tenant_id

    async def _read(self, namespace: str, name: str) -> Job | None:
        try:
            return jobs.parse(await self._client.get(paths.job(namespace, name)))
        except NotFound:
            return None

    async def _patch(self, job: Job, patch: Object) -> None:
        """Raises NotFound where the object is gone, also where another has its name by now."""
        # The uid is a precondition, as an immutable field: another object's is refused as invalid.
        patch.setdefault("metadata", {})["uid"] = job.metadata.uid
        try:
            await self._client.merge_patch(paths.job(job.metadata.namespace, job.metadata.name), patch)
        except Invalid as error:
            if await self.reload(job) is None:
                raise NotFound(f"{job.metadata.name} was made anew: {error}") from error
            raise

    async def _lists(self, *queries: dict[str, str]) -> list[Job]:
        found = await asyncio.gather(
            *(self._list_in(namespace, query) for query in queries for namespace in self._read_namespaces)
        )
        return [job for jobs_there in found for job in jobs_there]

    async def _list_in(self, namespace: str | None, query: dict[str, str]) -> list[Job]:
        """Nothing of a watched namespace that we may not read any more, or that is gone and our rights with it."""
        try:
            found = await self._list_at(paths.jobs(namespace), query)
        except Forbidden as error:
            if namespace is None or namespace == self._namespace:
                raise
            if namespace not in self._hidden:
                LOG.warning("the jobs of namespace %s are not shown: %s", namespace, error)
            self._hidden.add(namespace)
            return []
        self._hidden.discard(namespace or "")
        return found

    async def _list_at(self, path: str, query: dict[str, str]) -> list[Job]:
        found: list[Job] = []
        position = ""
        while True:
            more = {"continue": position} if position else {}
            answer = await self._client.get(path, limit=_CHUNK, **query, **more)
            found += _parsed(items_of(answer))
            position = answer.get("metadata", {}).get("continue", "")
            if not position:
                return found


def _names(tenant_id: str, job_id: str, name: str | None) -> tuple[str, ...]:
    """The names that the API's object of a job id can have: today's, and that of earlier releases."""
    return (names.object_name(tenant_id, job_id, name), job_id)


def _is_void(job: Job) -> bool:
    """Whether another object may have the same job id: this one was refused by the record, or taken back."""
    return job.is_purged or job.status.reason in reasons.REFUSED_BY_THE_RECORD


def _parsed(items: Iterable[dict[str, Any]]) -> list[Job]:
    """The readable ones: one strange object must not hide the others."""
    found = []
    for item in items:
        try:
            found.append(jobs.parse(item))
        except msgspec.ValidationError as error:
            LOG.warning("the object %s cannot be read: %s", item.get("metadata", {}).get("name"), error)
    return found
