"""Nothing begins without leadership: the ports that change the world, each asking `Leadership` before every call.

The loop asks before each action, but an action is several calls, and a call may have waited for others. Here it is
asked at the last moment that is ours, and where an adapter waits (for its rate limit, for a thread, for its next try)
once more after that (`controller.permission`). Calls that have begun end within their own limits. `NotLeading` means
that nothing was sent, or nothing any more.
"""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from datetime import datetime

from controller import permission
from controller.domain.destination import Destination
from controller.domain.errors import NotLeading
from controller.domain.job import Job, JobSpec
from controller.domain.records import JobRow, Recorded, Transition
from controller.domain.tenants import TenantPolicy
from controller.ports import (
    BatchProvider,
    Environment,
    JobRecord,
    JobRef,
    JobResources,
    Leadership,
    Observation,
    OwnedJob,
    RecordFailure,
    SubmitRequest,
)


class _Guard:
    def __init__(self, leadership: Leadership) -> None:
        self._leadership = leadership

    def check(self) -> None:
        if not self._leadership.is_leader():
            raise NotLeading("this controller does not lead")

    @contextlib.contextmanager
    def asked(self) -> Iterator[None]:
        """Ask now, and have the call within the block ask again after each of its waits."""
        self.check()
        with permission.asked_of(self.check):
            yield


class GuardedProvider:
    """`ports.BatchProvider`. Reads as well: the service's limits are the leader's to spend."""

    def __init__(self, provider: BatchProvider, leadership: Leadership) -> None:
        self.name = provider.name
        self.region = provider.region
        self.names_are_ids = provider.names_are_ids
        self.cancel_erases = provider.cancel_erases
        self.remembers_seconds = provider.remembers_seconds
        self._provider = provider
        self._guard = _Guard(leadership)

    @property
    def site(self) -> Destination:
        return self._provider.site

    def destination(self, spec: JobSpec, namespace: str) -> Destination:
        return self._provider.destination(spec, namespace)

    async def open(self) -> None:
        await self._provider.open()

    async def prepare(self, request: SubmitRequest) -> None:
        with self._guard.asked():
            await self._provider.prepare(request)

    async def submit(self, request: SubmitRequest) -> Observation:
        with self._guard.asked():
            return await self._provider.submit(request)

    async def find(self, ref: JobRef) -> Sequence[Observation]:
        with self._guard.asked():
            return await self._provider.find(ref)

    async def get(self, ref: JobRef) -> Observation | None:
        with self._guard.asked():
            return await self._provider.get(ref)

    async def observe(self, refs: Collection[JobRef]) -> Mapping[str, Observation]:
        with self._guard.asked():
            return await self._provider.observe(refs)

    async def unclaimed(self, claimed: Set[str], *, ended_since: datetime | None = None) -> Sequence[OwnedJob]:
        with self._guard.asked():
            return await self._provider.unclaimed(claimed, ended_since=ended_since)

    async def cancel(self, ref: JobRef, *, reason: str) -> bool:
        with self._guard.asked():
            return await self._provider.cancel(ref, reason=reason)

    async def delete(self, ref: JobRef) -> None:
        with self._guard.asked():
            await self._provider.delete(ref)

    async def close(self) -> None:
        await self._provider.close()


class GuardedRecord:
    """`ports.JobRecord`: beneath the group commit, because a transition may wait for its group."""

    def __init__(self, record: JobRecord, leadership: Leadership) -> None:
        self._record = record
        self._guard = _Guard(leadership)

    async def record(self, transitions: Sequence[Transition]) -> Sequence[Recorded | RecordFailure]:
        with self._guard.asked():
            return await self._record.record(transitions)

    async def get_job(self, tenant_id: str, job_id: str) -> JobRow | None:
        return await self._record.get_job(tenant_id, job_id)

    async def delete_job(self, tenant_id: str, job_id: str, *, uid: str) -> bool:
        with self._guard.asked():
            return await self._record.delete_job(tenant_id, job_id, uid=uid)


class GuardedResources:
    """`ports.JobResources`: reads are free, and so are events, which tell of what was done."""

    def __init__(self, resources: JobResources, leadership: Leadership) -> None:
        self._resources = resources
        self._guard = _Guard(leadership)

    async def get(self, namespace: str, name: str) -> Job | None:
        return await self._resources.get(namespace, name)

    async def newest_version(self, namespace: str) -> int:
        return await self._resources.newest_version(namespace)

    async def hold(self, job: Job, labels: Mapping[str, str]) -> Job:
        self._guard.check()
        return await self._resources.hold(job, labels)

    async def release(self, job: Job) -> None:
        self._guard.check()
        await self._resources.release(job)

    async def write_status(self, job: Job, status: Mapping[str, object]) -> Job:
        self._guard.check()
        return await self._resources.write_status(job, status)

    async def delete(self, job: Job) -> None:
        self._guard.check()
        await self._resources.delete(job)

    async def uids(self, namespaces: Collection[str]) -> Set[str]:
        return await self._resources.uids(namespaces)

    async def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        return await self._resources.namespace_labels(namespace)

    async def tenant_policy(self, tenant_id: str) -> TenantPolicy:
        return await self._resources.tenant_policy(tenant_id)

    async def environment(self, job: Job) -> Environment:
        return await self._resources.environment(job)

    def post_event(self, job: Job, *, kind: str, reason: str, message: str) -> None:
        self._resources.post_event(job, kind=kind, reason=reason, message=message)
