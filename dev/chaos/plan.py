"""What a run of the chaos does."""

import msgspec

from dev.emulators.faults import Faults

ALL_DEEDS = {
    "kill": 28,
    "pause": 4,
    "terminate": 4,
    "kill-api": 2,
    "change-settings": 4,
    "trouble-one": 8,
    "trouble-all": 2,
    "cut": 4,
    "restart-kubernetes": 2,
    "restore-kubernetes": 1,
    "empty-status": 6,
    "crash-database": 2,
    "unreadable-database": 2,
    "storm": 2,
    "set-clock": 2,
}
"""How often what is done, in shares (`hand`)."""

STEADY_FAULTS = {
    # What tells a lost reply there is AlreadyExists, also while reads do not show the job yet.
    "gcp": Faults(lost_replies=0.05, lost_requests=0.02, throttled=0.01),
    # A search does not show a job at once.
    "aws": Faults(lost_replies=0.05, lost_requests=0.02, hidden_seconds=2.5),
    "azure": Faults(lost_replies=0.05, lost_requests=0.02, throttled=0.01),
    # The API server is the service: what is wrong with it is done to the connections, as to all others.
    "kubernetes": Faults(),
}
"""Of the stand-ins, all the time; a storm makes them worse for a while."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds."""

    provider: str
    seed: int
    jobs: int
    seconds: float
    """The jobs are submitted over this time; 0: all at once."""
    kills: int = 0
    """So many SIGKILLs of operators at least: the hand goes on until then, also when all jobs are submitted."""
    controllers: int = 2
    deeds: dict[str, int] = msgspec.field(default_factory=ALL_DEEDS.copy)
    pause_between_deeds: tuple[float, float] = (0.2, 3.0)
    faults: Faults
    """Of the cloud's stand-in, from the beginning to the end."""
    settle: float = 4.0
    """SUBMIT_SETTLE_SECONDS; must be more than `faults.hidden_seconds`."""
    wishes: bool = True
    """Whether some jobs are cancelled, deleted, made by kubectl, or submitted again by a caller who has forgotten."""
    ttl: int = 0
    """JOB_TTL_SECONDS of the API: ended jobs that it made are removed after that, and only the record knows them."""
    backup_age: float = 15.0
    """Of the copy that Kubernetes is restored from, at most."""
    patience: float = 300.0
    """From the last deed until everything must have come to rest."""
