"""The phases of a job, one vocabulary for Kubernetes, the wire and the database."""

from enum import StrEnum


class Phase(StrEnum):
    """Where a job is in its life (``status.phase``)."""

    PENDING = "Pending"
    """Known to Jennah, or queued at the service: nothing of it has a machine yet."""
    SCHEDULED = "Scheduled"
    """The service found it a place; it is about to start."""
    RUNNING = "Running"
    """At least one of its tasks runs or has run."""
    COMPLETED = "Completed"
    """Ended with success. Never left."""
    FAILED = "Failed"
    """Ended without success, or never got to start. Never left."""
    CANCELLED = "Cancelled"
    """Ended because somebody asked for it. Never left."""

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL

    @property
    def wire(self) -> str:
        """The same phase on the wire and in the database (contract §1): upper case."""
        return self.value.upper()

    @classmethod
    def from_wire(cls, status: str) -> "Phase":
        """The inverse of `wire`. Raises ValueError for a status that does not exist."""
        return cls(status.capitalize())


TERMINAL = frozenset({Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED})
