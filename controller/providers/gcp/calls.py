"""The one place where the service is called and the SDK's errors become ours.

Every call has a place in the rate limit, a time limit and no retries of the SDK's; each is counted once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from google.api_core import exceptions as api
from google.auth import exceptions as auth

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
"""The time limit of one call. With the wait for its place it is less than the lease of 15 s (design §3)."""
MESSAGE_MAX = 600
MASK_HEADER = "x-goog-fieldmask"
AT_ONCE = 16
"""Calls for single jobs that a round of observation makes at once."""

ROLES = (
    "the controller's identity needs roles/batch.jobsEditor on the project, and roles/iam.serviceAccountUser on the "
    "service account that jobs run as; that account needs roles/batch.agentReporter and roles/logging.logWriter "
    "(roles/logging.viewer is for reading logs)"
)

# The SDK logs whole requests at this level, environment included.
logging.getLogger("google.cloud.batch_v1").setLevel(logging.INFO)


class Refused(Permanent):
    """The service will not do that, whoever asks and however often (INVALID_ARGUMENT, FAILED_PRECONDITION)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason=reasons.SUBMISSION_REFUSED)


class TimedOut(Unavailable):
    """The service did not answer within the call's time limit."""


class Unimplemented(Unavailable):
    """Nobody there knows that method; a proxy may say so, too."""


async def make(method: str, bucket: TokenBucket, call: Callable[[], Awaitable[T]]) -> T:
    """What the call returns.

    Raises NotFound, AlreadyExists, Refused, Throttled, Forbidden, and Unavailable for everything else: then the
    outcome is unknown.
    """
    await bucket.take()
    try:
        result = await call()
    except (api.GoogleAPICallError, api.RetryError, auth.GoogleAuthError) as error:
        ours = translated(error)
        if isinstance(ours, Throttled):
            ours.delay = bucket.throttled()
        PROVIDER_CALLS.labels("gcp", method, type(ours).__name__).inc()
        raise ours from error
    bucket.accepted()
    PROVIDER_CALLS.labels("gcp", method, "ok").inc()
    return result


async def for_each(call: Callable[[T], Awaitable[None]], items: Sequence[T]) -> None:
    """Make the calls, a few at once. The first error ends the others and is raised."""
    left = iter(items)

    async def work() -> None:
        for item in left:
            await call(item)

    workers = [asyncio.create_task(work()) for _ in range(min(AT_ONCE, len(items)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


def translated(error: Exception) -> JennahError:
    """The SDK's error in our words (providers.md §1f). Total: what is not known is Unavailable."""
    text = str(getattr(error, "message", None) or error)[:MESSAGE_MAX]
    match error:
        case api.ResourceExhausted() | api.TooManyRequests():
            return Throttled(f"the service asks for fewer calls: {text}")
        case api.NotFound():
            return NotFound(text)
        case api.AlreadyExists():
            return AlreadyExists(text)
        case api.Aborted():  # a Conflict to the SDK, a passing one to the service
            return Unavailable(f"the service gave up on the call: {text}")
        case api.PermissionDenied() | api.Unauthenticated() | api.Forbidden() | api.Unauthorized():
            return Forbidden(f"the service does not allow that: {text}; {ROLES}")
        case auth.DefaultCredentialsError():
            return Forbidden(f"there are no credentials: {text}")
        case api.DeadlineExceeded():
            return TimedOut("the service did not answer in time")
        case api.InvalidArgument() | api.FailedPrecondition() | api.OutOfRange() | api.BadRequest():
            return Refused(text)
        case api.MethodNotImplemented():
            return Unimplemented(f"the service does not have that method: {text}")
        case auth.GoogleAuthError():
            return Unavailable(f"no access token was to be had: {text}")
        case _:
            return Unavailable(f"the service could not be reached: {text}")


def missing_rights(error: Exception) -> ConfigError:
    """Why the program does not start: one line that names the roles."""
    return ConfigError(
        [
            f"Google Cloud Batch refused the credentials ({str(error).partition(';')[0][:300]}): {ROLES}. Credentials "
            "are the application default ones: workload identity on GKE, or GOOGLE_APPLICATION_CREDENTIALS"
        ]
    )
