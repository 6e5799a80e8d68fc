"""The one place where the service is called and the SDK's errors become ours (providers.md §3f).

Every call has a place in the rate limit, a time limit and no retries of the SDK's; each is counted once. 409 has many
meanings there, and all of them raise the same class of the SDK: only the error's code is looked at.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

from controller.domain import reasons
from controller.domain.errors import (
    AlreadyExists,
    ConfigError,
    Forbidden,
    JennahError,
    NotFound,
    Permanent,
    Throttled,
    Unavailable,
)
from controller.metrics import PROVIDER_CALLS
from controller.providers.limits import TokenBucket

T = TypeVar("T")

CALL_SECONDS = 8.0
"""The time limit of one call."""
ACTION_SECONDS = 12.0
"""The time limit of a submission or a cancellation as a whole: less than the lease of 15 s (design §3)."""
QUOTA_SECONDS = 30.0
"""The pause after a quota was reached: nothing but the end of other jobs helps."""
MESSAGE_MAX = 600

ROLES = (
    "the controller's identity needs the role Azure Batch Job Submitter on the account (or Azure Batch Data "
    "Contributor), or AZURE_BATCH_KEY the account's key"
)

_EXISTS = frozenset({"JobExists", "TaskExists"})
_ENDED = frozenset({"JobCompleted", "JobTerminating", "JobBeingTerminated", "JobBeingDeleted", "JobNotActive"})
_TASK_ENDED = frozenset({"TaskCompleted"})
_BUSY = frozenset({"ServerBusy", "TooManyRequests", "TooManyEnableAutoScaleRequests"})

# They log addresses, headers and, at debug level, whole requests with the jobs' environment in them.
logging.getLogger("azure").setLevel(logging.WARNING)


class Refused(Permanent):
    """The service will not do that, whoever asks and however often."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message, reason=reasons.SUBMISSION_REFUSED)
        self.code = code


class Conflict(Unavailable):
    """The service's state is against it, and why is not told by a code that is known."""


class Nameless(NotFound):
    """An answer of 404 without a code: who gave it may not have what was asked, and the service always has one."""


class JobEnded(Permanent):
    """The shared job takes no tasks any more: somebody ended it, or is about to."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason=reasons.DELETED_EXTERNALLY)


class TaskEnded(Permanent):
    """The task has ended already."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason=reasons.COMPLETED)


def _as_it_is(text: str) -> str:
    return text


async def make(
    method: str, bucket: TokenBucket, call: Callable[[], Awaitable[T]], *, clean: Callable[[str], str] = _as_it_is
) -> T:
    """What the call returns. `clean` takes secrets out of the service's words, before they are cut short.

    Raises NotFound, AlreadyExists, JobEnded, TaskEnded, Conflict, Refused, Throttled, Forbidden, and Unavailable for
    everything else: then the outcome is unknown.
    """
    await bucket.take()
    try:
        async with asyncio.timeout(CALL_SECONDS):
            result = await call()
    except (AzureError, TimeoutError, msgspec.MsgspecError, ValueError) as error:
        ours = translated(error, clean)
        if isinstance(ours, Throttled) and not _is_quota(code_of(error)):
            ours.delay = bucket.throttled(ours.delay)
        PROVIDER_CALLS.labels("azure", method, type(ours).__name__).inc()
        # Not chained: the service may have quoted the request, and a traceback would show its words.
        raise ours from None
    bucket.accepted()
    PROVIDER_CALLS.labels("azure", method, "ok").inc()
    return result


def code_of(error: Exception) -> str:
    """The service's word for what is wrong; "" where it did not answer."""
    return str(getattr(getattr(error, "error", None), "code", "") or "")


def translated(error: Exception, clean: Callable[[str], str] = _as_it_is) -> JennahError:
    """The SDK's error in our words. Total: what is not known is Unavailable."""
    if isinstance(error, TimeoutError):
        return Unavailable("the service did not answer in time")
    if not isinstance(error, HttpResponseError) or error.status_code is None:
        if isinstance(error, ClientAuthenticationError):
            return Forbidden("there are no Azure credentials, or no token was to be had with them")
        return Unavailable(f"the service could not be reached, or answered what is no answer ({type(error).__name__})")
    return meaning(error.status_code, code_of(error), clean(_text(error))[:MESSAGE_MAX], _delay(error))


def meaning(status: int, code: str, text: str, delay: float = 0.0) -> JennahError:
    """What an answer with that HTTP status and that code means for us."""
    words = f"{text} ({code})" if code and code not in text else text
    if _is_quota(code):
        return Throttled(f"the account's quota is used up: {words}", delay=QUOTA_SECONDS)
    if code in _EXISTS:
        return AlreadyExists(words)
    if code in _ENDED:
        return JobEnded(words)
    if code in _TASK_ENDED:
        return TaskEnded(words)
    if status in (429, 503) or code in _BUSY:
        return Throttled(f"the service asks for fewer calls: {words}", delay=delay)
    if status in (401, 403):
        return Forbidden(f"the service does not allow that: {words}; {ROLES}")
    if status == 404:
        return NotFound(words) if code else Nameless(words)
    if status == 409:
        return Conflict(f"the service is against it: {words}")
    if 400 <= status < 500 and status != 408:
        return Refused(words, code=code)
    return Unavailable(f"the service failed or is busy with that: {words}")


def missing_rights(error: Exception) -> ConfigError:
    """Why the program does not start: one line that names the role."""
    return ConfigError([f"Azure Batch refused the credentials ({str(error).partition(';')[0][:300]}): {ROLES}"])


def _is_quota(code: str) -> bool:
    """All of the service's quotas have codes of this form, such as ActiveJobAndScheduleQuotaReached."""
    return code.endswith("QuotaReached")


def _text(error: HttpResponseError) -> str:
    """The service's words: without its request id and time, which differ each time."""
    told = getattr(error, "error", None)
    text = str(getattr(told, "message", "") or error.reason or "")
    lines = [line for line in text.splitlines() if not line.startswith(("RequestId:", "Time:"))]
    details = [
        f"{item.code}: {item.message}" for item in getattr(told, "details", None) or () if getattr(item, "code", None)
    ]
    return "; ".join([" ".join(lines), *details])


def _delay(error: HttpResponseError) -> float:
    headers = getattr(error.response, "headers", None) or {}
    after = str(headers.get("Retry-After", ""))
    return min(float(after), 60.0) if after.isdecimal() else 0.0
