"""botocore's exceptions as ours (providers.md §2f). Its texts can quote values: only the service's own words, code and
the operation's name go into messages.
"""

import contextlib
import re
from collections.abc import Iterator
from enum import StrEnum

import msgspec
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    TokenRetrievalError,
)

from controller.domain import reasons
from controller.domain.conditions import shorten
from controller.domain.errors import Forbidden, JennahError, Permanent, Retryable, Throttled, Unavailable


class Kind(StrEnum):
    """What a failed call says about what was done."""

    NOT_SENT = "not sent"
    """No byte of it left: nothing was done."""
    UNKNOWN = "unknown"
    """It may have been done."""
    THROTTLED = "throttled"
    FORBIDDEN = "forbidden"
    REFUSED = "refused"
    """For what is in it."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A failed call."""

    kind: Kind
    code: str
    words: str = ""
    """The service's own."""
    delay: float = 0.0
    """Seconds that the service asks to wait."""
    is_unknown_operation: bool = False
    """The endpoint does not have the operation: the service answers 400 to whatever is wrong with a request."""
    is_throttle: bool = False
    """The service asks for fewer calls. With a status of 5xx it may have done the call all the same (kind UNKNOWN)."""


class TooLate(Exception):
    """The time for sending was over before anything was sent."""


class Unreadable(Exception):
    """The reply has not what it must have."""


class Failed(Exception):
    """A call failed. Stays between `connection` and here; it has no text that could quote values."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure


class Refused(Permanent):
    """The service refused a request for what is in it."""

    def __init__(self, message: str, failure: Failure) -> None:
        super().__init__(message, reason=reasons.SUBMISSION_REFUSED)
        self.failure = failure


IAM_ACTIONS = {"TerminateJobs": "batch:TerminateJob", "CancelJobs": "batch:CancelJob"}
"""Where the action is not named as the operation."""

_SERVICES = {"batch": "AWS Batch", "logs": "CloudWatch Logs"}
_NOT_SENT = (EndpointConnectionError, ConnectTimeoutError)
"""The connection itself failed (urllib3's NewConnectionError, NameResolutionError and ConnectTimeoutError, all of them
from `_new_conn`). ProxyConnectionError is none of these: urllib3 asks `has_connected_to_proxy`, which closing a
connection resets, so it is raised as well when the connection is lost after the request was sent through it."""
_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, TokenRetrievalError)
_NO_CREDENTIALS_NAMES = frozenset(error.__name__ for error in _NO_CREDENTIALS)
_ACTION = re.compile(r"not authorized to perform: ([a-z0-9-]+:[A-Za-z]+)")
_THROTTLED = frozenset(
    {"TooManyRequestsException", "ThrottlingException", "Throttling", "ThrottledException", "RequestThrottled"}
    | {"RequestLimitExceeded", "RequestThrottledException", "SlowDown"}
)
_FORBIDDEN = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnrecognizedClientException", "ExpiredToken"}
    | {"ExpiredTokenException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch"}
    | {"MissingAuthenticationToken", "MissingAuthenticationTokenException", "IncompleteSignature", "OptInRequired"}
)


def failure(error: Exception) -> Failure:
    """What happened. Total: what is not known may have been done."""
    if isinstance(error, ClientError):
        return _answered(error)
    name = type(error).__name__
    if isinstance(error, (TooLate, *_NOT_SENT)):
        return Failure(kind=Kind.NOT_SENT, code=name)
    if isinstance(error, _NO_CREDENTIALS):
        return Failure(kind=Kind.FORBIDDEN, code=name)
    return Failure(kind=Kind.UNKNOWN, code=name)


def _answered(error: ClientError) -> Failure:
    answer = error.response
    code = str(answer.get("Error", {}).get("Code", ""))
    words = str(answer.get("Error", {}).get("Message", ""))
    meta = answer.get("ResponseMetadata", {})
    status = int(meta.get("HTTPStatusCode", 0))
    is_throttle = status == 429 or code in _THROTTLED
    kind = Kind.THROTTLED if is_throttle and status < 500 else _kind(code, words, status)
    after = str(meta.get("HTTPHeaders", {}).get("retry-after", ""))
    delay = float(after) if after.isdecimal() else 0.0
    return Failure(
        kind=kind,
        code=code or str(status),
        words=shorten(words),
        delay=min(delay, 60.0),
        is_unknown_operation=kind is Kind.REFUSED and status in (404, 405),
        is_throttle=is_throttle,
    )


def _kind(code: str, words: str, status: int) -> Kind:
    if status >= 500:
        return Kind.UNKNOWN  # whatever its code says
    if status in (401, 403) or code in _FORBIDDEN or "not authorized to perform" in words:
        return Kind.FORBIDDEN  # the service says some of it by a ClientException
    return Kind.REFUSED if 400 <= status < 500 and status != 408 else Kind.UNKNOWN


def translated(happened: Failure, operation: str, region: str, *, service: str = "batch") -> JennahError:
    """Our error for a call that may be repeated. `service` is its prefix in IAM."""
    where = f"{_SERVICES.get(service, service)} in {region}"
    if happened.is_throttle:
        return Throttled(f"{where} asks for fewer calls: {operation}", delay=happened.delay)
    match happened.kind:
        case Kind.FORBIDDEN:
            if happened.code in _NO_CREDENTIALS_NAMES:
                return Forbidden(f"no AWS credentials were found for {where} ({happened.code})")
            named = _ACTION.search(happened.words)  # it can be another than the call's: iam:PassRole
            action = named[1] if named else IAM_ACTIONS.get(operation, f"{service}:{operation}")
            return Forbidden(f"{where} refuses our credentials: {action} is needed ({happened.code})")
        case Kind.REFUSED:
            words = happened.words or happened.code
            return Refused(f"{where} refused {operation}: {words}", happened)
    return Unavailable(f"{where} cannot be reached or failed: {operation} ({happened.code})")


def for_submit(happened: Failure, region: str) -> JennahError:
    """As `translated`, but a call of which nothing was sent is told from one that may have been done."""
    if happened.kind is Kind.NOT_SENT:
        return Retryable(f"SubmitJob was not sent to AWS Batch in {region} ({happened.code})")
    if happened.kind is Kind.UNKNOWN:  # also a throttle with a status of 5xx
        happened = msgspec.structs.replace(happened, is_throttle=False)
    return translated(happened, "SubmitJob", region)


@contextlib.contextmanager
def caught() -> Iterator[None]:
    """Around what calls botocore. Raises Failed, and nothing else that the call caused."""
    try:
        yield
    except Exception as error:
        raise Failed(failure(error)) from None
