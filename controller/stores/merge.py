"""What a transition does to the record of its job: the laws of `ports.JobStore` as one pure function.

Every store reads the record, calls `merge`, and writes what comes out, all in one transaction.
"""

from collections.abc import Container

import msgspec

from controller.domain import reasons
from controller.domain.errors import Permanent
from controller.domain.records import JobRow, Record, Recorded, Transition

_NOT_FACTS = {"tenant_id", "job_id", "status", "created_at", "updated_at", "retry_count", "max_retries"}
FACTS = tuple(field for field in JobRow.__struct_fields__ if field not in _NOT_FACTS)
"""The columns that are empty until known, and never emptied again."""


class Stored(Record, frozen=True, kw_only=True):
    """A job's record: its row, and the transition that the row stands at."""

    uid: str
    number: int
    row: JobRow
    destination: str | None = None
    """Of the first transition that had one: it never changes."""

    @property
    def recorded(self) -> Recorded:
        return Recorded(
            number=self.number,
            phase=self.row.status,
            resource_path=self.row.resource_path,
            destination=self.destination,
        )


class Merged(Record, frozen=True, kw_only=True):
    """The record afterwards, and what of it must be written."""

    stored: Stored
    transition: Transition
    """It, from the phase that the record was in: what Kubernetes says of that may have been edited by hand."""
    is_changed: bool
    """The row, or its destination, differs from what was read."""
    is_applied: bool
    """The transition happened now: it gets its audit row and, where it ends the job, the notification."""


def merge(stored: Stored | None, transition: Transition, deleted: Container[str] = ()) -> Merged:
    """The record after that transition. `deleted`: uids of objects that were deleted, that transition's at least.

    Raises Permanent: JOB_DELETED for an object that was deleted, RECORD_REJECTED where the row is another object's.
    """
    if transition.uid in deleted:
        raise Permanent("the job was deleted; its object came back", reason=reasons.JOB_DELETED)
    if stored is None:
        new = Stored(
            uid=transition.uid, number=transition.number, row=transition.row, destination=transition.destination
        )
        return Merged(stored=new, transition=transition, is_changed=True, is_applied=True)
    if stored.uid != transition.uid:
        # Two JennahJobs with the same tenant and job id: the history of the first is never overwritten.
        raise Permanent("the record of this job id belongs to another JennahJob", reason=reasons.RECORD_REJECTED)
    if stored.destination is None and transition.destination is not None:
        sent = msgspec.structs.replace(stored, destination=transition.destination)
        return msgspec.structs.replace(_merge(sent, transition), is_changed=True)
    return _merge(stored, transition)


def _merge(stored: Stored, transition: Transition) -> Merged:
    """The same for the row and the number."""
    if transition.number == stored.number and transition.row.status is stored.row.status:
        row = _with_facts(stored.row, transition.row)
        now = msgspec.structs.replace(stored, row=row)
        return Merged(stored=now, transition=transition, is_changed=row != stored.row, is_applied=False)
    is_late = transition.number <= stored.number or stored.row.status.is_terminal
    if is_late or transition.row.status is stored.row.status:
        return Merged(stored=stored, transition=transition, is_changed=False, is_applied=False)
    applied = msgspec.structs.replace(transition, from_phase=stored.row.status)
    row = _advanced(stored.row, transition.row)
    new = msgspec.structs.replace(stored, number=transition.number, row=row)
    return Merged(stored=new, transition=applied, is_changed=True, is_applied=True)


def _with_facts(old: JobRow, new: JobRow) -> JobRow:
    """The old row, with the new one's facts where it had none."""
    missing = {field: getattr(new, field) for field in FACTS if _is_empty(getattr(old, field))}
    return msgspec.structs.replace(old, **missing)


def _advanced(old: JobRow, new: JobRow) -> JobRow:
    """The new row, with the old one's facts where it says nothing."""
    kept = {field: getattr(old, field) for field in FACTS if _is_empty(getattr(new, field))}
    # A job that goes back into its service's queue is no retry by itself: its machine may have been taken back.
    retries = max(old.retry_count, new.retry_count)
    return msgspec.structs.replace(new, created_at=old.created_at, retry_count=retries, **kept)


def _is_empty(value: object) -> bool:
    return value is None or value == ()
