"""What `decide` may answer. Each is run by one short method of `reconciler.Reconciler`."""

import msgspec

from controller.domain.job import JobStatus
from controller.domain.phases import Phase


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all actions."""


class Wait(Step, frozen=True, kw_only=True):
    """Nothing to do until something changes, or until `seconds` from now."""

    seconds: float | None = None


class Hold(Step, frozen=True, kw_only=True):
    """Put our finalizer and labels on the object: from here on it cannot vanish behind our back."""


class Accept(Step, frozen=True, kw_only=True):
    """Resolve tenant, provider and name, and begin the record (transition 0)."""


class Submit(Step, frozen=True, kw_only=True):
    """Have the job at the service."""


class SubmitMore(Step, frozen=True, kw_only=True):
    """Have the next tasks of a set made: as many as its parallelism has room for."""


class LookUp(Step, frozen=True, kw_only=True):
    """Ask the service for this one job: it is in doubt."""


class Note(Step, frozen=True, kw_only=True):
    """Write this status: what was seen, or a condition."""

    status: JobStatus


class Cancel(Step, frozen=True, kw_only=True):
    """Ask the service to end the job."""

    reason: str


class EndDuplicates(Step, frozen=True, kw_only=True):
    """Search the service for second jobs of a submission that was in doubt, and end them."""


class Finish(Step, frozen=True, kw_only=True):
    """End the job without the service's word."""

    phase: Phase
    reason: str
    message: str


class Delete(Step, frozen=True, kw_only=True):
    """Delete the object."""

    reason: str
    message: str


class Release(Step, frozen=True, kw_only=True):
    """Let a deleted object go: take the finalizer off."""


Action = Wait | Hold | Accept | Submit | SubmitMore | LookUp | Note | Cancel | EndDuplicates | Finish | Delete | Release
