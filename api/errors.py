"""Every error of the domain as an answer, in one table; what is not in it is `internal` with a fixed text.

Messages of Retryable errors are for the log: they may hold an address of the cluster or the database.
"""

import math
from typing import Final

from api.connect.errors import Code, ConnectError
from controller.domain.errors import (
    AlreadyExists,
    Conflict,
    Invalid,
    JennahError,
    NotAllowed,
    NotFound,
    Permanent,
    Retryable,
    Throttled,
    Unavailable,
)


class RecordUnreadable(Unavailable):
    """Whether a job id was used before cannot be told: the record alone knows of jobs whose objects are gone."""


class NamespaceMissing(Unavailable):
    """The namespace in which the API makes jobs does not exist: it is for the installation's operators to make it."""

    def __init__(self, namespace: str) -> None:
        super().__init__(f"the namespace {namespace!r} of JENNAH_NAMESPACE, in which jobs are made, does not exist")


CODES: Final[tuple[tuple[type[JennahError], Code, str | None], ...]] = (
    (Invalid, Code.INVALID_ARGUMENT, None),
    (NotFound, Code.NOT_FOUND, None),
    (AlreadyExists, Code.ALREADY_EXISTS, None),
    (NotAllowed, Code.PERMISSION_DENIED, None),
    (Permanent, Code.FAILED_PRECONDITION, None),
    (Conflict, Code.ABORTED, "somebody else changed it at the same time, try again"),
    (Throttled, Code.RESOURCE_EXHAUSTED, "too many requests, try again later"),
    (
        RecordUnreadable,
        Code.UNAVAILABLE,
        "the database cannot be read, and it alone may know that this job_id has run before: nothing was submitted, "
        "try again",
    ),
    (NamespaceMissing, Code.FAILED_PRECONDITION, None),
    (Unavailable, Code.UNAVAILABLE, "the Kubernetes API or the database is unavailable, try again"),
    (Retryable, Code.UNAVAILABLE, "temporarily unavailable, try again"),
)
"""The first class that fits decides. A text of None means the error's own message."""

RETRY_SECONDS: Final = 2
"""When to try again, where the other side does not say."""

INTERNAL: Final = "internal error; the worker's log says more"


def from_domain(error: JennahError) -> ConnectError | None:
    """The answer for an error of ours; None for one that no caller can do anything about."""
    for kind, code, text in CODES:
        if isinstance(error, kind):
            retry_after = None
            if code in (Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED) and isinstance(error, Retryable):
                retry_after = max(RETRY_SECONDS, math.ceil(error.delay))
            return ConnectError(code, text or str(error), retry_after=retry_after)
    return None
