"""Reading, cancelling and deleting jobs: out of the record, and out of Kubernetes where the record has nothing yet.

Reads go on while one of the two is down. Called by the service; raises `controller.domain.errors`.
"""

import asyncio
import logging
from datetime import datetime
from typing import Final

import msgspec

from api import listing
from api.objects import JobObjects
from api.recording import SubmissionRecorder
from api.rows import Rows
from controller.domain.errors import Invalid, NotFound, Retryable
from controller.domain.job import Job
from controller.domain.phases import Phase
from controller.domain.records import JobRow
from controller.ports import Clock, JobStore, Page

LOG = logging.getLogger(__name__)

GLANCE_SECONDS: Final = 1.0
UNRECORDED_SECONDS: Final = 5.0
"""How long a read that the record can answer waits for Kubernetes."""
_POLL_SECONDS: Final = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Waits between two looks at a job that is being cancelled; the last one again and again."""


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What ListJobs was asked for."""

    page_size: int | None = None
    page_token: str = ""
    status: Phase | None = None
    created_after: datetime | None = None

    def take(self, row: JobRow) -> bool:
        is_status = self.status is None or row.status is self.status
        return is_status and (self.created_after is None or row.created_at > self.created_after)


class Jobs:
    """The jobs of all tenants, each only for its own."""

    def __init__(
        self,
        *,
        objects: JobObjects,
        store: JobStore,
        recorder: SubmissionRecorder,
        rows: Rows,
        clock: Clock,
        cancel_wait_seconds: float,
    ) -> None:
        self._objects = objects
        self._store = store
        self._recorder = recorder
        self._rows = rows
        self._clock = clock
        self._cancel_wait_seconds = cancel_wait_seconds

    async def get(self, tenant_id: str, job_id: str) -> JobRow:
        """Raises NotFound also for another tenant's job."""
        row = await self._row(tenant_id, job_id)
        if row is not None:
            if await self._is_purged(row):
                raise _unknown(job_id)
            return row
        job = await self._objects.find(tenant_id, job_id)
        if job is not None:
            if job.is_purged:
                raise _unknown(job_id)
            return self._rows.of(job, tenant_id)
        # Neither has it. While the record is down nobody knows what it holds: then this raises Unavailable.
        row = await self._store.get_job(tenant_id, job_id)
        if row is None:
            raise _unknown(job_id)
        return row

    async def list_page(self, tenant_id: str, filters: Filters) -> Page:
        """Newest first. While the record is down all objects are one page, whatever the page size."""
        after = listing.decode(filters.page_token)
        page, unrecorded = await asyncio.gather(
            self._recorded(tenant_id, filters, after), self._unrecorded(tenant_id, filters)
        )
        if page is None:
            return await self._list_objects(tenant_id, filters)
        return listing.merge(page, unrecorded, after=after)

    async def cancel(self, tenant_id: str, job_id: str) -> Phase:
        """Ask for the job's end and wait a little for it; the phase it has then. Raises Invalid for an ended job."""
        row, job = await self._look_up(tenant_id, job_id)
        phase = _phase(row, job)
        if phase.is_terminal:
            if phase is Phase.CANCELLED:
                return phase  # cancelling twice is fine
            raise Invalid(f"job is already finished: its status is {phase.wire}")
        if job is None:
            raise NotFound("the job is no longer in Kubernetes, only in the record")
        if not job.wants_end:
            await self._objects.cancel(job)
        return await self._await_end(tenant_id, job)

    async def delete(self, tenant_id: str, job_id: str) -> None:
        """Remove the job and its row; its cloud job is ended by the controller. Raises NotFound.

        The row is that of the object that was there when it was called, or had been: never that of a successor.
        """
        # The row's owner first: an object that comes after this has another uid.
        owner, unreadable = await self._owner(tenant_id, job_id)
        row = await self._row(tenant_id, job_id) if owner is not None else None
        job = await self._objects.find(tenant_id, job_id, row.name if row is not None else None)
        if job is None and unreadable is not None:
            raise unreadable
        if owner is None and (job is None or job.is_purged) and unreadable is None:
            raise _unknown(job_id)
        uid = job.metadata.uid if job is not None else owner or ""
        if job is not None:
            await self._objects.purge(job)
        self._recorder.forget(uid)
        await self._store.delete_job(tenant_id, job_id, uid=uid)

    async def _owner(self, tenant_id: str, job_id: str) -> tuple[str | None, Retryable | None]:
        """Whose row there is, and why that cannot be told."""
        try:
            return await self._store.owner(tenant_id, job_id), None
        except Retryable as error:
            LOG.warning("job %s is deleted without a look at the record: %s", job_id, error)
            return None, error

    async def _look_up(self, tenant_id: str, job_id: str) -> tuple[JobRow | None, Job | None]:
        """The row and the object, at least one of them. A purged object alone is as good as gone."""
        row = await self._row(tenant_id, job_id)
        job = await self._objects.find(tenant_id, job_id, row.name if row is not None else None)
        if row is None and job is None:
            row = await self._store.get_job(tenant_id, job_id)  # raises where the record cannot be read
        if row is None and (job is None or job.is_purged):
            raise _unknown(job_id)
        return row, job

    async def _row(self, tenant_id: str, job_id: str) -> JobRow | None:
        try:
            return await self._store.get_job(tenant_id, job_id)
        except Retryable as error:
            LOG.warning("job %s is looked up without the record: %s", job_id, error)
            return None

    async def _is_purged(self, row: JobRow) -> bool:
        """Whether DeleteJob was called: where it could not reach the record, the row is there until the controller has
        removed it."""
        try:
            async with asyncio.timeout(GLANCE_SECONDS):
                own = await self._objects.own(row.tenant_id, row.job_id, row.name)
        except (Retryable, TimeoutError):
            return False
        return own is not None and own.is_purged

    async def _recorded(self, tenant_id: str, filters: Filters, after: listing.Token | None) -> Page | None:
        """The record's page; None for a first page while the record is down. Raises Invalid for a bad token."""
        try:
            return await self._store.list_jobs(
                tenant_id,
                page_size=filters.page_size,
                page_token=after.record if after else "",
                status=filters.status,
                created_after=filters.created_after,
            )
        except Retryable as error:
            if after is not None:
                raise
            LOG.warning("jobs are listed without the record: %s", error)
            return None

    async def _unrecorded(self, tenant_id: str, filters: Filters) -> list[JobRow]:
        """What the record may not have; nothing while Kubernetes is down."""
        if filters.status not in (None, Phase.PENDING):
            return []
        try:
            async with asyncio.timeout(UNRECORDED_SECONDS):
                found = await self._objects.unrecorded(tenant_id)
        except (Retryable, TimeoutError) as error:
            LOG.warning("jobs are listed from the record alone: %s", error or "Kubernetes is too slow")
            return []
        rows = (self._rows.of(job, tenant_id) for job in found)
        return [row for row in rows if filters.take(row)]

    async def _list_objects(self, tenant_id: str, filters: Filters) -> Page:
        rows = (self._rows.of(job, tenant_id) for job in await self._objects.all_of(tenant_id))
        return Page(jobs=tuple(listing.newest_first(row for row in rows if filters.take(row))))

    async def _await_end(self, tenant_id: str, job: Job) -> Phase:
        """The phase when the job has ended, or when the wait is over."""
        until = self._clock.monotonic() + self._cancel_wait_seconds
        looks = 0
        newest: Job | None = job
        while newest is not None and not newest.is_finished and (left := until - self._clock.monotonic()) > 0:
            await self._clock.sleep(min(_POLL_SECONDS[min(looks, len(_POLL_SECONDS) - 1)], left))
            looks += 1
            newest = await self._objects.reload(job)
        if newest is not None:
            return newest.status.phase or Phase.PENDING
        row = await self._row(tenant_id, job.job_id)  # deleted meanwhile: the record keeps how it ended
        return row.status if row is not None else Phase.CANCELLED


def _phase(row: JobRow | None, job: Job | None) -> Phase:
    """How the job stands: an end is the truth wherever it is written first."""
    recorded = row.status if row is not None else Phase.PENDING
    if recorded.is_terminal or job is None or job.status.phase is None:
        return recorded
    return job.status.phase


def _unknown(job_id: str) -> NotFound:
    return NotFound(f"job {job_id} not found")
