"""Any order of deaths, lost calls and time: one job is made; and where a call came too late, one job is left."""

import asyncio
from collections.abc import Awaitable, Iterator

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controller.domain.errors import Conflict, Retryable, Unavailable
from controller.domain.phases import Phase
from controller.ports import SubmitRequest
from tests.controller.fakes import Crash
from tests.controller.reconcile.harness import World

SETTLE = 30
SIGNATURE = 300
"""So long the service takes a call after it was signed; a call that comes later is refused."""
FAULTS = {
    "the process dies": Crash,
    "the reply is lost": lambda: Unavailable("lost"),
    "it was refused": lambda: Retryable("not now"),
}


class Submissions(RuleBasedStateMachine):
    """Two controllers that both believe that they lead, one job, and everything that can go wrong with its call."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.too_late = False

    @initialize(hidden=st.integers(0, SETTLE - 1), first=st.sampled_from(sorted(FAULTS)), sent=st.booleans())
    def begin(self, hidden: int, first: str, sent: bool) -> None:
        self.run(self._begin(hidden))
        self.world.faults.arm(
            "after submit" if sent and first != "it was refused" else "before submit", FAULTS[first]()
        )

    async def _begin(self, hidden: int) -> None:
        self.world = World(names_are_ids=False)
        self.service = self.world.provider
        self.service.hidden = hidden
        self.job = self.world.kube.create()
        self.processes = [self.world.another(), self.world.another()]
        self.world.kube.changed = lambda job: None  # each learns of changes by its watch, when `watch` says so

    def run(self, work: Awaitable[object]) -> object:
        return self.loop.run_until_complete(work)

    @rule(n=st.integers(0, 1))
    def reconcile(self, n: int) -> None:
        """A pass on the version that this process knows, which may be old."""
        self.run(self._reconcile(n))

    async def _reconcile(self, n: int) -> None:
        process = self.processes[n]
        known = process.cache.get(self.job.key)
        try:
            await process.observer._round()
            await process.reconciler.reconcile(known or self.job)
        except Crash:
            self.processes[n] = self.world.another()
        except (Conflict, Retryable):
            process.upsert(self.world.kube.current(self.job))

    @rule(n=st.integers(0, 1))
    def watch(self, n: int) -> None:
        self.processes[n].upsert(self.world.kube.current(self.job))

    @rule(n=st.integers(0, 1))
    def restart(self, n: int) -> None:
        self.processes[n] = self.world.another()

    @rule(
        point=st.sampled_from(["before submit", "prepare", "before status", "after status", "find"]),
        kind=st.sampled_from(sorted(FAULTS)),
    )
    def fault(self, point: str, kind: str) -> None:
        self.world.faults.arm(point, FAULTS[kind]())

    @rule(kind=st.sampled_from(["the process dies", "the reply is lost"]))
    def lose_a_reply(self, kind: str) -> None:
        self.world.faults.arm("after submit", FAULTS[kind]())

    @rule(seconds=st.sampled_from([1, 5, 15, 16, 43, 130]))
    def wait(self, seconds: int) -> None:
        self.run(self.world.clock.advance(seconds))

    @rule(n=st.integers(0, 1))
    def a_minute_passes(self, n: int) -> None:
        self.run(self._minute(n))

    async def _minute(self, n: int) -> None:
        for _ in range(4):
            self.watch(n)
            await self._reconcile(n)
            await self.world.clock.advance(15)

    @precondition(lambda self: not self.too_late and any(self.calls_that_may_come()))
    @rule()
    def a_call_comes_too_late(self) -> None:
        """A process was stopped between its check and its call: the only way to a second job."""
        self.too_late = True
        self.world.faults._faults.clear()
        self.run(self.service.submit(msgspec.structs.replace(next(self.calls_that_may_come()), send_by=None)))

    def calls_that_may_come(self) -> Iterator[SubmitRequest]:
        now = self.world.clock.monotonic()
        return (request for at, request in self.service.stopped if now - at < SIGNATURE)

    @precondition(lambda self: not self.too_late)
    @rule()
    def finish(self) -> None:
        self.service.move(Phase.COMPLETED, exit_code=0)

    @invariant()
    def at_most_one_job_is_made(self) -> None:
        if hasattr(self, "service"):
            assert len(self.service.made) <= 1 + self.too_late

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                self.run(self._settle())
        finally:
            self.loop.close()

    async def _settle(self) -> None:
        self.world.faults._faults.clear()
        for _ in range(60):
            for n in (0, 1):
                self.watch(n)
                await self._reconcile(n)
            await self.world.clock.advance(15)
        made = [job for _, job in self.service.made]
        status = self.world.kube.current(self.job).status
        assert made, "the job was submitted in the end"
        assert len([job for job in made if not job.has_ended]) <= 1, "and one is left"
        assert status.resource_path in {job.resource_path for job in made}
        assert status.submission is None, "and no doubt"


TestSubmissions = Submissions.TestCase
TestSubmissions.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_an_end_that_was_recorded_and_not_written_keeps_its_path_though_the_intent_is_in_doubt() -> None:
    """Found by the machine: the next process learned of the end from the record alone."""
    state = Submissions()
    state.begin(hidden=0, first="the process dies", sent=True)
    state.reconcile(n=0)
    state.finish()
    state.wait(seconds=43)
    state.fault(kind="the process dies", point="before status")
    state.a_minute_passes(n=0)
    state.teardown()
