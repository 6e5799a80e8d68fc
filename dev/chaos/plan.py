"""What a run of the chaos does."""

import msgspec

from dev.emulators.faults import Faults

ALL_DEEDS = {
    "kill": 14,
    "pause": 2,
    "terminate": 2,
    "kill-api": 1,
    "trouble-one": 4,
    "trouble-all": 1,
    "cut": 2,
    "restart-kubernetes": 1,
    "crash-database": 1,
    "storm": 1,
    "set-clock": 1,
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
    """Whether some jobs are cancelled, deleted, or made by kubectl."""
    patience: float = 300.0
    """From the last deed until everything must have come to rest."""
