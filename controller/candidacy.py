"""Who holds the lease, and what to do about it: rules over what was seen and when. No I/O; `leadership` runs them.

- Time is this process's own monotonic clock: what a lease says of time is another machine's, or another epoch's.
- A lease is free when it names no holder, or when nobody has changed it for its own duration since we first saw it so.
- Every write carries the version that it was decided on, so of any number of candidates one at most gets through.
- We lead for a renew deadline from the *beginning* of the last write that got through. Whoever takes the lease over
  first saw it later than that, and waited for longer: at no moment are there two leaders (but for a lease that is
  deleted by hand; who has seen it counts it as held for its time all the same).
"""

import math
from datetime import datetime

import msgspec

from controller.kube.lease import Lease, micro_time

MOST_CALL_SECONDS = 5.0
LOOK_SECONDS = 0.5
"""How often a candidate looks, at least: a lease that was released is taken within a second."""


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """When what is done. In seconds."""

    ttl: int
    """leaseDurationSeconds."""
    interval: float
    """Between the beginnings of two renewals."""

    @property
    def renew_deadline(self) -> float:
        """So long after the last renewal the leader is none any more: a third of the lease earlier than for others."""
        return self.ttl * 2 / 3

    @property
    def call_limit(self) -> float:
        """Of one call: two tries and the pause between them fit between a renewal's time and the deadline."""
        return min((self.renew_deadline - self.interval) / 2.5, MOST_CALL_SECONDS)

    @property
    def retry_pause(self) -> float:
        """Between two tries to renew."""
        return self.call_limit / 4

    @property
    def look_pause(self) -> float:
        """Between two looks of a candidate."""
        return min(self.interval, LOOK_SECONDS)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call of the lease, as it is to be made now."""

    begun: float
    """Monotonic."""
    lease: Lease | None = None
    """What is to be written; None: look."""

    @property
    def is_creation(self) -> bool:
        return self.lease is not None and not self.lease.version


class Candidacy:
    """One candidate. Ask `next_call`, make it, tell its outcome; one call at a time. `now` is always monotonic."""

    def __init__(self, identity: str, timing: Timing) -> None:
        self.identity = identity
        self.timing = timing
        self._leads_until = -math.inf
        self._lease: Lease | None = None
        """As last seen; also when it was deleted since."""
        self._since = 0.0
        """When that version was first seen."""
        self._is_missing = False
        self._must_look = True
        self._is_in_doubt = False
        """The outcome of a write is unknown: the lease may be ours."""

    # --- what is so ----------------------------------------------------------------------------------

    def is_leader(self, now: float) -> bool:
        return now < self._leads_until

    def seconds_left(self, now: float) -> float:
        """Until we lead no longer without a renewal; 0 where we do not lead."""
        return max(self._leads_until - now, 0.0)

    @property
    def holder(self) -> str:
        """Who was last seen to hold the lease; "" for nobody."""
        return self._lease.holder if self._lease is not None and not self._is_missing else ""

    def is_free(self, now: float) -> bool:
        """Whether it may be taken by us; also when it is ours already."""
        return self._free_in(now) <= 0

    def has_something_to_write(self, now: float) -> bool:
        return not self._must_look and self.is_free(now)

    def pause(self, now: float, *, failed: bool) -> float:
        """How long to wait before the next call, after one that failed or not."""
        timing = self.timing
        if self.is_leader(now):
            renewed = self._leads_until - timing.renew_deadline
            if failed:
                pause = timing.retry_pause
            elif self._must_look or self._is_missing:
                pause = 0.0
            else:
                pause = renewed + timing.interval - now
            return min(max(pause, 0.0), self.seconds_left(now))
        if failed:
            return timing.interval
        if self.has_something_to_write(now):
            return 0.0
        return min(timing.look_pause, max(self._free_in(now), timing.retry_pause))

    # --- what to do ----------------------------------------------------------------------------------

    def next_call(self, now: float, wall: datetime) -> Call:
        """`wall` is what the lease will show as its time."""
        if not self.has_something_to_write(now):
            return Call(begun=now)
        lease, time = self._lease, micro_time(wall)
        mine = Lease(
            holder=self.identity, duration_seconds=self.timing.ttl, acquire_time=time, renew_time=time, transitions=0
        )
        if lease is None:
            return Call(begun=now, lease=mine)
        is_ours = lease.holder == self.identity
        return Call(
            begun=now,
            lease=msgspec.structs.replace(
                mine,
                acquire_time=lease.acquire_time if is_ours else time,
                transitions=lease.transitions if is_ours else lease.transitions + 1,
                version="" if self._is_missing else lease.version,
                whole={} if self._is_missing else lease.whole,
            ),
        )

    # --- what came of it -----------------------------------------------------------------------------

    def answered(self, call: Call, lease: Lease, now: float) -> None:
        """The call got through; `lease` is the object in the reply."""
        if self._lease is None or self._lease.version != lease.version:
            self._lease, self._since = lease, now
        self._is_missing = self._is_in_doubt = False
        if call.lease is not None:
            self._leads_until = call.begun + self.timing.renew_deadline
            self._must_look = False
        else:
            if lease.holder != self.identity:
                self._leads_until = -math.inf  # whatever we believed
            self._must_look = not self.is_free(now)

    def missing(self, now: float) -> None:
        """There is no lease (any more)."""
        self._is_missing = True
        self._must_look = not self.is_free(now)

    def refused(self) -> None:
        """A write met another version, or a lease where there was none: see whose it is."""
        self._must_look = True

    def failed(self, call: Call) -> None:
        """Nothing is known of the outcome. A write is repeated as it was: where it got through, that is refused."""
        self._is_in_doubt = self._is_in_doubt or call.lease is not None

    # --- the end -------------------------------------------------------------------------------------

    def resign(self) -> bool:
        """Lead no longer; whether the lease may be ours, and others wait for it to be released."""
        self._leads_until = -math.inf
        return self._is_in_doubt or self.holder == self.identity

    def _free_in(self, now: float) -> float:
        """The seconds until it may be taken: 0 or less when it may be now."""
        lease = self._lease
        if lease is None or lease.holder in ("", self.identity):
            return 0.0
        return self._since + (lease.duration_seconds or self.timing.ttl) - now
