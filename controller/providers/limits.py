"""A token bucket on our side of a service's rate limit: shared by all workers, backed off as a whole."""

import asyncio

from controller import permission
from controller.domain.errors import Throttled
from controller.ports import Clock

PLACE_SECONDS = 5.0
"""How long a call waits for its place, at most. Shorter than the lease: a leader that waits may be none afterwards."""
BACKOFF_BASE_SECONDS = 1.0
BACKOFF_CAP_SECONDS = 60.0


class TokenBucket:
    """At most `rate` calls a second on average, `burst` at once; whoever comes first goes first.

    After `throttled` nobody goes for a while, longer each time until a call is `accepted`; the rate halves as
    well, and grows back with each accepted call (adaptive, as botocore's mode of that name).
    """

    def __init__(self, rate: float, clock: Clock, *, burst: float | None = None) -> None:
        self._clock = clock
        self._full_rate = self._rate = rate
        self._burst = max(burst if burst is not None else rate, 1.0)
        self._tokens = self._burst
        self._filled_at = clock.monotonic()
        self._closed_until = 0.0
        self._throttles = 0
        self._turn = asyncio.Lock()

    @property
    def rate(self) -> float:
        """Calls a second that are let through now."""
        return self._rate

    async def take(self) -> None:
        """Wait for a place. Raises Throttled after `PLACE_SECONDS`: who waits for long acts on what was long ago.

        Raises NotLeading where the call may not begin any more by then (`permission`).
        """
        try:
            async with asyncio.timeout(PLACE_SECONDS):
                await self._take()
        except TimeoutError:
            message = "the service asks for fewer calls, and others wait already"
            raise Throttled(message, delay=PLACE_SECONDS) from None
        permission.check()

    async def _take(self) -> None:
        async with self._turn:  # fair: asyncio.Lock wakes waiters in order
            while (pause := self._pause()) > 0:
                await self._clock.sleep(pause)
            self._tokens -= 1

    def throttled(self, delay: float = 0.0) -> float:
        """The service asked for fewer calls, perhaps for a pause of `delay` seconds. The pause that is made."""
        now = self._clock.monotonic()
        if now >= self._closed_until:  # of calls that were in flight together only the first counts
            self._rate = max(self._rate / 2, self._full_rate / 64)
            self._throttles = min(self._throttles + 1, 16)
            pause = min(BACKOFF_BASE_SECONDS * 2 ** (self._throttles - 1), BACKOFF_CAP_SECONDS)
            self._closed_until = now + max(pause, delay)
            self._tokens = min(self._tokens, 0.0)
        return self._closed_until - now

    def accepted(self) -> None:
        """A call went through."""
        self._throttles = 0
        self._rate = min(self._rate + self._full_rate / 100, self._full_rate)

    def _pause(self) -> float:
        now = self._clock.monotonic()
        if now < self._closed_until:
            self._filled_at = self._closed_until
            return self._closed_until - now
        self._tokens = min(self._tokens + max(now - self._filled_at, 0.0) * self._rate, self._burst)
        self._filled_at = max(now, self._filled_at)
        # Not quite 1: what is lacking by rounding would be a pause too short for any clock to see.
        return 0.0 if self._tokens > 1 - 1e-6 else (1 - self._tokens) / self._rate
