"""A lease in memory, clocks that differ, and candidates for it."""

import asyncio
import random
from datetime import datetime, timedelta

import msgspec

from controller.candidacy import Timing
from controller.domain.errors import AlreadyExists, Conflict, NotFound
from controller.kube.lease import Lease
from controller.leadership import Election
from tests.controller.fakes import FakeClock

TIMING = Timing(ttl=15, interval=2)
DEADLINE = 10


class FakeLease:
    """The API server's one lease, guarded by its version. `hangs` never answers; what was sent is done all the same."""

    def __init__(self) -> None:
        self.stored: Lease | None = None
        self.writes = 0
        self.looks = 0
        self.fault: Exception | None = None
        self.hangs = False
        self.loses_replies = False

    async def get(self) -> Lease:
        self.looks += 1
        await self._reach()
        if self.stored is None:
            raise NotFound("no lease")
        return self.stored

    async def create(self, lease: Lease) -> Lease:
        await self._reach()
        if self.stored is not None:
            raise AlreadyExists("there is one")
        return await self._store(lease)

    async def replace(self, lease: Lease) -> Lease:
        await self._reach()
        if self.stored is None:
            raise NotFound("no lease")
        if self.stored.version != lease.version:
            raise Conflict("a newer version exists")
        return await self._store(lease)

    def edit(self, **changes: object) -> None:
        """Somebody else writes."""
        assert self.stored is not None
        self.writes += 1
        self.stored = msgspec.structs.replace(self.stored, version=str(self.writes), **changes)

    async def _store(self, lease: Lease) -> Lease:
        self.writes += 1
        self.stored = msgspec.structs.replace(lease, version=str(self.writes))
        if self.loses_replies:
            await asyncio.Event().wait()
        return self.stored

    async def _reach(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.fault is not None:
            raise self.fault


class SkewedClock:
    """A clock of another machine, or one that was set: another wall time, another epoch, the same seconds."""

    def __init__(self, clock: FakeClock, *, wall: float = 0, epoch: float = 0) -> None:
        self._clock, self.wall, self._epoch = clock, wall, epoch

    def now(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self.wall)

    def monotonic(self) -> float:
        return self._clock.monotonic() + self._epoch

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


class Steady(random.Random):
    """No jitter: what the tests of times count on."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Candidate:
    """An election with its task, and what it told."""

    def __init__(self, name: str, lease: FakeLease, clock: SkewedClock, jitter: random.Random | None = None) -> None:
        self.name = name
        self.told: list[str] = []
        self.election = Election(
            lease,
            identity=name,
            timing=TIMING,
            clock=clock,
            started=lambda: self.told.append("leads"),
            stopped=lambda: self.told.append("stops"),
            jitter=jitter or Steady(),
        )
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self.election.run())

    async def die(self) -> None:
        """As kill -9: nothing is released."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def stop(self) -> None:
        await self.die()
        await self.election.release()

    @property
    def leads(self) -> bool:
        return self.election.is_leader()


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.lease = FakeLease()
        self.candidates: list[Candidate] = []

    def candidate(self, name: str, *, wall: float = 0, epoch: float = 0) -> Candidate:
        made = Candidate(name, self.lease, SkewedClock(self.clock, wall=wall, epoch=epoch))
        made.start()
        self.candidates.append(made)
        return made

    async def leader(self, name: str = "a") -> Candidate:
        made = self.candidate(name)
        await self.clock.advance(1)
        assert made.leads
        return made

    @property
    def stored(self) -> Lease:
        assert self.lease.stored is not None
        return self.lease.stored
