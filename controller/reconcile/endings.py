"""The ends of jobs that have no object any more: only their record is left to be told.

The record is the only one that knows the last transition's number, so it is read, the next number tried, and what the
record answers gone on from.
"""

import logging
from typing import Self

import msgspec

from controller.domain import reasons
from controller.domain.conditions import shorten
from controller.domain.errors import Permanent, Retryable
from controller.domain.phases import Phase
from controller.domain.records import JobRow, Transition
from controller.ports import Clock, JobRecord, JobRef, JobWriter, Observation

log = logging.getLogger(__name__)

TRIES = 4


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a job ended."""

    phase: Phase
    reason: str
    message: str
    seen: Observation | None = None

    @classmethod
    def of(cls, seen: Observation) -> Self:
        """As the service says. Raises ValueError for a job that has not ended."""
        if seen.phase is None or not seen.has_ended:
            raise ValueError("the job has not ended")
        reason = reasons.ORPHANED if seen.phase is Phase.CANCELLED else seen.reason or seen.phase.value
        text = f"{seen.message}; " if seen.message else ""
        return cls(phase=seen.phase, reason=reason, message=f"{text}its JennahJob was gone by then", seen=seen)

    @classmethod
    def cancelled(cls) -> Self:
        """It was to be ended, or was never submitted, and the service does not have it."""
        message = "its JennahJob is gone, and the service does not have the job"
        return cls(phase=Phase.CANCELLED, reason=reasons.ORPHANED, message=message)

    @classmethod
    def asked_for(cls) -> Self:
        """The service ends it now, and will then have nothing of it any more."""
        return cls(phase=Phase.CANCELLED, reason=reasons.ORPHANED, message="it is ended, as its JennahJob is gone")

    @classmethod
    def missing(cls) -> Self:
        """Nobody knows."""
        message = "its JennahJob is gone, and the service does not know the job any more"
        return cls(phase=Phase.FAILED, reason=reasons.PROVIDER_JOB_MISSING, message=message)


class Endings:
    """Writes them."""

    def __init__(self, *, store: JobRecord, writer: JobWriter, clock: Clock) -> None:
        self._store = store
        self._writer = writer
        self._clock = clock

    async def is_open(self, tenant_id: str, job_id: str) -> bool:
        """Whether there is a row that has not ended. Raises Retryable."""
        row = await self._store.get_job(tenant_id, job_id) if tenant_id and job_id else None
        return row is not None and not row.status.is_terminal

    async def record(self, ref: JobRef, *, tenant_id: str, job_id: str, ending: Ending) -> None:
        """Have the job's row ended: once, and only if it is that very object's. Raises Retryable.

        No row, or one that has ended, stays as it is.
        """
        number = 1
        for _ in range(TRIES):
            row = await self._store.get_job(tenant_id, job_id) if tenant_id and job_id else None
            if row is None or row.status.is_terminal:
                return
            transition = Transition(
                uid=ref.uid,
                number=number,
                from_phase=row.status,
                row=self._ended(row, ref, ending),
                at=self._clock.now(),
                reason=f"{ending.reason}: {ending.message}",
            )
            try:
                truth = await self._writer.write([transition])
            except Permanent as refused:
                log.info("the record is not that job's: %s", refused, extra={"external_name": ref.external_name})
                return
            if truth.phase.is_terminal:
                return
            number = truth.number + 1
        raise Retryable("the record of a job without its object moves on")

    def _ended(self, row: JobRow, ref: JobRef, ending: Ending) -> JobRow:
        now, seen = self._clock.now(), ending.seen
        text = None if ending.phase is Phase.COMPLETED else shorten(ending.message)
        return msgspec.structs.replace(
            row,
            status=ending.phase,
            updated_at=now,
            started_at=row.started_at or (seen.started_at if seen else None),
            completed_at=(seen.completed_at if seen else None) or now,
            retry_count=max(row.retry_count, seen.retries if seen else 0),
            error_message=text,
            resource_path=row.resource_path or ref.resource_path,
        )
