"""The JennahJob objects and their Secrets, as the API reads and writes them. Decides nothing about calls.

Jobs that the API creates are in one namespace under their job id; those that kubectl made may be anywhere,
and are found by the label that the controller sets. Raises `controller.domain.errors`.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

import msgspec

from api.errors import NamespaceMissing
from api.tenancy import Tenancy
from controller.domain import job as jobs
from controller.domain import names
from controller.domain.errors import Conflict, Forbidden, Invalid, NotFound
from controller.domain.job import Job
from controller.domain.records import Transition
from controller.kube import paths
from controller.kube.client import KubeClient, Object, items_of

LOG = logging.getLogger(__name__)

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

    async def find(self, tenant_id: str, job_id: str) -> Job | None:
        """The tenant's object of that job id, wherever it is; a purged one is still found."""
        own = await self.get(job_id)
        if own is not None and await self._is_of(own, tenant_id, job_id):
            return own
        for found in (await self._list(labelSelector=f"{names.LABEL_JOB_ID}={job_id}"), await self._unrecorded()):
            for job in found:
                if await self._is_of(job, tenant_id, job_id):
                    return job
        return None

    async def unrecorded(self, tenant_id: str) -> list[Job]:
        """The tenant's objects that no controller has taken up yet: the record may not have them."""
        return await self._of_tenant(tenant_id, await self._unrecorded())

    async def all_of(self, tenant_id: str) -> list[Job]:
        """All of the tenant's objects, for the time in which the record cannot be read."""
        labelled, others = await asyncio.gather(
            self._list(labelSelector=f"{names.LABEL_TENANT}={tenant_id}"),
            self._list(labelSelector=f"!{names.LABEL_TENANT}"),
        )
        return await self._of_tenant(tenant_id, [*labelled, *others])

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
        job = await self.get(transition.row.job_id)
        return job is not None and job.metadata.uid == transition.uid and not job.is_purged

    async def check(self) -> None:
        """Raises where jobs cannot be read or made: no connection, no permission, no CRD, NamespaceMissing."""
        await self._client.get(paths.jobs(self._namespace), limit="1")
        try:
            await self._client.get(paths.namespace(self._namespace))
        except NotFound as error:
            raise NamespaceMissing(self._namespace) from error
        except Forbidden:
            return  # it may be there: a job tells

    async def _of_tenant(self, tenant_id: str, found: Iterable[Job]) -> list[Job]:
        return [job for job in found if not job.is_purged and await self._tenancy.tenant_of(job) == tenant_id]

    async def _is_of(self, job: Job, tenant_id: str, job_id: str) -> bool:
        return job.job_id == job_id and await self._tenancy.tenant_of(job) == tenant_id

    async def _unrecorded(self) -> list[Job]:
        return await self._list(fieldSelector="status.phase=")

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

    async def _list(self, **query: str) -> list[Job]:
        found = await asyncio.gather(*(self._list_in(namespace, query) for namespace in self._read_namespaces))
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


def _parsed(items: Iterable[dict[str, Any]]) -> list[Job]:
    """The readable ones: one strange object must not hide the others."""
    found = []
    for item in items:
        try:
            found.append(jobs.parse(item))
        except msgspec.ValidationError as error:
            LOG.warning("the object %s cannot be read: %s", item.get("metadata", {}).get("name"), error)
    return found
