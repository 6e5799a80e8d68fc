"""One error tree, answered by one question: will trying again help?

Adapters translate their SDK's exceptions into these (``raise … from e``). Messages are shown to users:
they never contain the value of an environment variable, a token or a connection string.
"""


class JennahError(Exception):
    """Base of all errors that the project raises on purpose."""


class Retryable(JennahError):
    """Trying again later may help. `delay` is the least wait in seconds, 0 where the back-off decides."""

    def __init__(self, message: str, *, delay: float = 0.0) -> None:
        super().__init__(message)
        self.delay = delay


class Unavailable(Retryable):
    """The other side could not be reached or did not answer in time; nothing is known of the outcome."""


class Forbidden(Unavailable):
    """We may not do that. It heals when the right is granted."""


class Unreachable(Forbidden):
    """The job is at a place that this process has no client for. It heals when settings or credentials are mended."""


class Throttled(Retryable):
    """The other side asks for fewer calls."""


class Conflict(Retryable):
    """A guarded write met a newer version: read again, decide again."""


class Expired(Retryable):
    """What was to be gone on with is no longer kept there: begin anew."""


class NotLeading(Retryable):
    """This controller is not the leader (any more): nothing was sent. Who leads goes on from what is."""


class EnvironmentMissing(Retryable):
    """A Secret or ConfigMap that the job's environment refers to is not there (yet)."""


class Permanent(JennahError):
    """Trying the same again cannot help. `reason` is a word of `domain.reasons`."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class NotFound(Permanent):
    """What was asked for does not exist."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="NotFound")


class AlreadyExists(Permanent):
    """Something else has that name."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="AlreadyExists")


class Invalid(Permanent):
    """The input cannot be accepted; the message says which part and why."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="InvalidSpec")


class NotAllowed(Permanent):
    """The tenant's policy does not allow it; the message has the field and the rule."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="NotAllowed")


class ConfigError(JennahError):
    """Wrong or missing settings. `faults` is one line each; the program ends with exit code 2."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults
