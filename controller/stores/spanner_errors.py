"""Spanner's errors as ours. Called by the other `spanner` modules.

Only the status's name is passed on: Spanner's own texts quote what was to be written ("Could not parse …"), so they
go neither into our messages nor, for refused rows, into the chain of causes that a log line would print.
Codes: https://cloud.google.com/spanner/docs/reference/rpc/google.rpc (google.rpc.Code).
"""

import re

from google.api_core import exceptions as google
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]

from controller.domain import reasons
from controller.domain.errors import JennahError, Permanent, Throttled, Unavailable

_PASSING = (
    google.Aborted,
    google.Cancelled,
    google.DeadlineExceeded,
    google.InternalServerError,
    google.ResourceExhausted,
    google.ServiceUnavailable,
    google.Unknown,
)
REFUSED = (google.FailedPrecondition, google.InvalidArgument, google.OutOfRange)
"""What a commit answers to values that the tables do not take."""

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.01, 0.5
_RETRY_INFO = "google.rpc.retryinfo-bin"
_COLUMN = re.compile(r"\b(?:Tenants|Jobs|JobStateTransitions|Notifications)\.[A-Z][A-Za-z]+\b")


class Missing(Unavailable):
    """There is no such database, or (`is_instance`) not even its instance."""

    def __init__(self, *, is_instance: bool) -> None:
        super().__init__(f"the Spanner {'instance' if is_instance else 'database'} does not exist: NOT_FOUND")
        self.is_instance = is_instance


def translate(error: google.GoogleAPICallError) -> JennahError:
    """Our error for one that is not the fault of a row."""
    name = code_name(error)
    match error:
        case google.ResourceExhausted():
            return Throttled(f"Spanner asks for fewer calls: {name}", delay=hinted_pause(error) or 0.0)
        case google.PermissionDenied() | google.Unauthenticated():
            # Not permanent: roles are granted, and take effect, while the program waits.
            return Unavailable(f"Spanner refuses our credentials: {name}")
        case google.NotFound() if str(error.message).startswith(("Database not found", "Instance not found")):
            return Missing(is_instance=str(error.message).startswith("Instance"))
        case google.NotFound() | google.InvalidArgument():
            # A table or a column that is not there.
            return Unavailable(f"the Spanner schema is not the one that this release needs: {name}")
        case _:
            return Unavailable(f"Spanner cannot be reached or failed: {name}")


def refusal(error: google.GoogleAPICallError) -> Permanent:
    """Our error for a commit whose values will never be taken; it names the column where Spanner does."""
    found = _COLUMN.search(str(error.message))
    where = f" ({found[0]})" if found else ""
    return Permanent(f"the database refused the row: {code_name(error)}{where}", reason=reasons.RECORD_REJECTED)


def code_name(error: google.GoogleAPICallError) -> str:
    """The status's name, as UNAVAILABLE."""
    code = error.grpc_status_code
    return str(code.name) if code is not None else type(error).__name__


def pause(error: Exception, tries: int, jitter: float) -> float:
    """Seconds until the next try: what the server asks for, else more each time. `jitter` is of [0, 1)."""
    hint = hinted_pause(error)
    if hint is not None:
        return hint
    longest = min(_FIRST_PAUSE_SECONDS * 2.0 ** min(tries, 10), _LONGEST_PAUSE_SECONDS)
    return longest * (0.5 + jitter / 2)


def may_pass(error: google.GoogleAPICallError) -> bool:
    """Whether doing the same again may help."""
    # The emulator forgets a transaction that it aborted for another one.
    is_lost = isinstance(error, google.NotFound) and str(error.message).startswith("Transaction not found")
    return isinstance(error, _PASSING) or is_lost or is_lost_session(error)


def is_lost_session(error: google.GoogleAPICallError) -> bool:
    """Whether the server does not know the session (any more): then a new one is made."""
    return isinstance(error, google.NotFound) and str(error.message).startswith("Session not found")


def hinted_pause(error: Exception) -> float | None:
    """The delay that the server put into the error's RetryInfo, in seconds."""
    call = next(iter(getattr(error, "errors", ())), None)
    trailer = getattr(call, "trailing_metadata", None)
    for key, value in (trailer() if trailer else None) or ():
        if key == _RETRY_INFO:
            info = RetryInfo.FromString(value)
            return float(info.retry_delay.seconds) + float(info.retry_delay.nanos) / 1e9
    return None
