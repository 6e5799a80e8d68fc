"""Leader election on a coordination.k8s.io Lease: the loop that runs a `Candidacy` and tells who waits for it.

Not `kubernetes.aio.leaderelection` (37.0). It measures by the wall clock, so a clock that is set makes two leaders or
none; it writes local time as if it were UTC and leaves leaseTransitions out; it never releases the lease; its calls
have no time limit, so a hung one outlives the lease; it survives no error but ApiException, and logs every try.
Its LeaseLock would remain, which is three calls: `kube.lease`.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Protocol

import msgspec

from controller import metrics
from controller.candidacy import Call, Candidacy, Timing
from controller.clock import within
from controller.domain.errors import AlreadyExists, Conflict, JennahError, NotFound, Retryable
from controller.kube.lease import Lease, micro_time
from controller.ports import Clock

log = logging.getLogger(__name__)

EARLIEST = 0.8
"""Of a pause: the least part of it that is waited for. Candidates that failed together do not try again together."""
RELEASE_SECONDS = 2.0
"""What a release may take: who stops has no more time, and the lease ends by itself."""


class LeaseObject(Protocol):
    """The lease, see `kube.lease.KubeLease`."""

    async def get(self) -> Lease: ...

    async def create(self, lease: Lease) -> Lease: ...

    async def replace(self, lease: Lease) -> Lease: ...


class Election:
    """`ports.Leadership` by a lease.

    `started` and `stopped` are called at each change, before anybody who waits is woken; they must not block.
    """

    def __init__(
        self,
        lease: LeaseObject,
        *,
        identity: str,
        timing: Timing,
        clock: Clock,
        started: Callable[[], None],
        stopped: Callable[[], None],
        jitter: random.Random | None = None,
    ) -> None:
        self._lease = lease
        self._candidacy = Candidacy(identity, timing)
        self._clock = clock
        self._jitter = jitter or random.Random()  # noqa: S311 - spreads load, guards nothing
        self._started, self._stopped = started, stopped
        self._leads = False
        """What was told last. The truth is `is_leader`: it ends by itself."""
        self._gained = asyncio.Event()
        self._trouble = ""
        self._leader = ""

    def is_leader(self) -> bool:
        """By the clock alone: right also for the first question after a pause of the process."""
        return self._candidacy.is_leader(self._clock.monotonic())

    async def wait_until_leader(self) -> None:
        while not self.is_leader():
            self._gained.clear()
            await self._gained.wait()

    async def run(self) -> None:
        """Stand for election, and renew. Runs until it is cancelled; `release` comes after that."""
        while True:
            await self._clock.sleep(await self.step())

    async def step(self) -> float:
        """One call of the lease; the seconds until the next."""
        candidacy, now = self._candidacy, self._clock.monotonic()
        self._tell()
        call = candidacy.next_call(now, self._clock.now())
        limit = candidacy.timing.call_limit
        if self._leads:
            limit = min(limit, candidacy.seconds_left(now))  # so that the end is noticed when it comes
        trouble, delay = "", 0.0
        try:
            lease = await within(limit, self._make(call), self._clock)
        except asyncio.CancelledError:
            candidacy.failed(call)  # for `release`: it may have got through
            raise
        except (Conflict, AlreadyExists):
            candidacy.refused()
        except NotFound as error:
            candidacy.missing(self._clock.monotonic())
            if call.is_creation:
                trouble = str(error)  # the namespace does not exist
        except TimeoutError:
            trouble = "the Kubernetes API did not answer in time"
        except Exception as error:
            trouble = str(error) or type(error).__name__
            if not isinstance(error, JennahError):
                log.exception("unexpected failure of the election")
            if isinstance(error, Retryable):
                delay = min(error.delay, candidacy.timing.interval)
        else:
            self._tell()  # who stopped leading during the call did so, also where the reply makes him lead again
            candidacy.answered(call, lease, self._clock.monotonic())
        if trouble:
            candidacy.failed(call)
        self._complain(trouble)
        self._tell()
        pause = candidacy.pause(self._clock.monotonic(), failed=bool(trouble))
        if trouble or not self.is_leader():
            pause *= self._jitter.uniform(EARLIEST, 1.0)
        return max(pause, delay)

    async def release(self) -> None:
        """Give the lease back, if it is ours, after `run` has ended. Best effort; raises nothing of the API server."""
        is_held = self._candidacy.resign()
        self._tell("it stops")
        if not is_held:
            return
        try:
            await within(RELEASE_SECONDS, self._release(), self._clock)
        except (JennahError, TimeoutError) as error:
            log.warning("the lease was not released, others wait for its end: %s", error or "no answer in time")

    async def _make(self, call: Call) -> Lease:
        if call.lease is None:
            return await self._lease.get()
        return await (self._lease.create(call.lease) if call.is_creation else self._lease.replace(call.lease))

    async def _release(self) -> None:
        for is_last in (False, True):
            lease = await self._lease.get()  # a renewal may have been cut off: its version is not known
            if lease.holder != self._candidacy.identity:
                return
            freed = msgspec.structs.replace(lease, holder="", renew_time=micro_time(self._clock.now()))
            try:
                await self._lease.replace(freed)
            except Conflict:
                if is_last:
                    raise
            else:
                log.info("released the lease")
                return

    def _tell(self, why: str = "") -> None:
        """Have everybody know of a change, once."""
        leads, identity = self.is_leader(), self._candidacy.identity
        if leads != self._leads:
            self._leads = leads
            metrics.LEADER_CHANGES.inc()
            if leads:
                log.info("leading as %s", identity)
                self._leader = identity
                self._started()
                self._gained.set()
            else:
                holder = self._candidacy.holder
                taken = f"{holder or 'nobody'} holds the lease" if holder != identity else ""
                level = logging.INFO if why else logging.WARNING
                log.log(level, "no longer leading: %s", why or taken or self._trouble or "not renewed in time")
                self._leader = ""
                self._stopped()
        holder = self._candidacy.holder
        if not leads and holder not in ("", identity, self._leader):
            self._leader = holder
            log.info("standing by: %s leads", holder)

    def _complain(self, trouble: str) -> None:
        """One line a change, not one a try."""
        if trouble and trouble != self._trouble:
            log.warning("the lease: %s", trouble)
        elif self._trouble and not trouble:
            log.info("the lease answers again")
        self._trouble = trouble
