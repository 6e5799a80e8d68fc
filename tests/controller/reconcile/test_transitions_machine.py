"""Transition numbers: who writes, what is written twice or in vain, who dies between database and status."""

import asyncio
from collections.abc import Awaitable, Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from controller.domain import names
from controller.domain.errors import Conflict, Unavailable
from controller.domain.job import Job
from controller.domain.phases import Phase
from controller.domain.records import Recorded, Transition
from controller.domain.resources import ResourceSet
from controller.reconcile import statuses
from controller.reconcile.cache import JobCache
from controller.reconcile.draft import Draft
from controller.reconcile.freshness import Freshness
from controller.reconcile.recorder import Recorder
from controller.stores.merge import Stored, merge
from tests.controller.fakes import Crash, FakeClock, FakeResources, FaultPoints

WRITERS = 3


class MergedRecord:
    """`ports.JobWriter` by the pure function that every store goes by."""

    def __init__(self, faults: FaultPoints) -> None:
        self.stored: Stored | None = None
        self.audit: list[tuple[str, int, Phase | None, Phase]] = []
        self.notifications: list[str] = []
        self.sent: list[Sequence[Transition]] = []
        """All that was ever asked to be written, to be repeated later."""
        self._faults = faults

    async def write(self, transitions: Sequence[Transition]) -> Recorded:
        self._faults.reach("before record")
        self.sent.append(list(transitions))
        for transition in transitions:
            merged = merge(self.stored, transition)
            self.stored = merged.stored
            if merged.is_applied:
                row = transition.row
                row_id = names.transition_id(transition.uid, transition.number)
                self.audit.append((row_id, transition.number, transition.from_phase, row.status))
                if row.status.is_terminal:
                    self.notifications.append(names.notification_id(transition.uid))
        self._faults.reach("after record")
        assert self.stored is not None
        return self.stored.recorded


class Transitions(RuleBasedStateMachine):
    """Some processes that all believe that they lead, each with the version of the object that it last heard of."""

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.faults = FaultPoints()
        self.record = MergedRecord(self.faults)
        self.kube = FakeResources(self.faults)
        self.clock = FakeClock()
        self.job = self.kube.create()
        self.known: list[Job] = [self.job] * WRITERS
        self.recorders = [self.recorder() for _ in range(WRITERS)]
        self.highest = -1
        self.ended: Phase | None = None

    def recorder(self) -> Recorder:
        return Recorder(
            resources=self.kube,
            writer=self.record,
            cache=JobCache(),
            clock=self.clock,
            freshness=Freshness(self.kube),
        )

    def run(self, work: Awaitable[object]) -> object:
        return self.loop.run_until_complete(work)

    @rule(n=st.integers(0, WRITERS - 1), phases=st.lists(st.sampled_from(Phase), max_size=1))
    def write(self, n: int, phases: list[Phase]) -> None:
        """A pass in which the job moves so, perhaps from its acceptance on, written once at its end."""
        self.run(self._write(n, phases))

    async def _write(self, n: int, phases: list[Phase]) -> None:
        draft = Draft(self.known[n], ResourceSet())
        now = self.clock.now()
        if draft.job.status.transition is None:
            draft.set_status(statuses.accepted(draft.job, tenant_id="tenant", provider="local"), now)
        for phase in phases:
            if draft.job.is_finished:
                break  # `decide` asks for nothing then
            status = statuses.moved(draft.job, draft.job.status, phase, reason=None, message=None, at=now, now=now)
            draft.set_status(status, now)
        try:
            for _ in range(3):
                if await self.recorders[n].flush(draft):
                    self.known[n] = draft.job
                    return
        except Crash:
            self.recorders[n] = self.recorder()
            self.hear(n)
        except Conflict:
            self.hear(n)
        except Unavailable:
            pass

    @rule(n=st.integers(0, WRITERS - 1))
    def hear(self, n: int) -> None:
        """The watch brings the newest version, or a read does."""
        self.known[n] = self.kube.current(self.job)

    @rule()
    def hand(self) -> None:
        """Somebody writes to the object who has nothing to do with its status."""
        self.kube.edit(self.job, metadata={"labels": {"a": str(self.kube._version)}})

    @rule(which=st.integers(0, 100))
    def repeat(self, which: int) -> None:
        """A write whose reply was lost is done again, much later."""
        if self.record.sent:
            self.run(self._repeat(self.record.sent[which % len(self.record.sent)]))

    async def _repeat(self, transitions: Sequence[Transition]) -> None:
        try:
            await self.record.write(transitions)
        except (Crash, Unavailable):
            return

    @rule(
        point=st.sampled_from(["before record", "after record", "before status", "after status"]),
        fault=st.sampled_from([Crash, Unavailable]),
    )
    def fails(self, point: str, fault: type[BaseException]) -> None:
        self.faults.arm(point, fault("on purpose"))

    # --- what always holds ---------------------------------------------------------------------------

    @invariant()
    def numbers_never_go_back_and_an_end_is_never_left(self) -> None:
        if not hasattr(self, "record") or self.record.stored is None:
            return
        recorded = self.record.stored.recorded
        assert recorded.number >= self.highest
        assert self.ended in (None, recorded.phase)
        self.highest = recorded.number
        self.ended = recorded.phase if recorded.phase.is_terminal else None

    @invariant()
    def audit_ids_are_unique_and_the_path_is_legal(self) -> None:
        if not hasattr(self, "record"):
            return
        audit = self.record.audit
        assert len({row_id for row_id, *_ in audit}) == len(audit)
        assert [number for _, number, _, _ in audit] == sorted({number for _, number, _, _ in audit})
        assert [came for *_, came, _ in audit[1:]] == [to for *_, to in audit[:-1]]
        assert all(not to.is_terminal for *_, to in audit[:-1])
        assert len(self.record.notifications) == sum(to.is_terminal for *_, to in audit)

    @invariant()
    def status_tells_nothing_that_the_record_does_not_know(self) -> None:
        if not hasattr(self, "record"):
            return
        status = self.kube.current(self.job).status
        if status.transition is not None:
            assert self.record.stored is not None
            recorded = self.record.stored.recorded
            assert status.transition <= recorded.number
            assert status.transition < recorded.number or status.phase is recorded.phase

    def teardown(self) -> None:
        try:
            if hasattr(self, "record"):
                self.run(self._agree())
        finally:
            if hasattr(self, "loop"):
                self.loop.close()

    async def _agree(self) -> None:
        """Left alone, one pass or two make Kubernetes and the database agree."""
        self.faults._faults.clear()
        for _ in range(2):
            self.hear(0)
            status = self.kube.current(self.job).status
            await self._write(0, [Phase.RUNNING if status.phase is not Phase.RUNNING else Phase.SCHEDULED])
        status = self.kube.current(self.job).status
        assert self.record.stored is not None
        assert self.record.stored.recorded == Recorded(number=status.transition or 0, phase=status.phase)


TestTransitions = Transitions.TestCase
TestTransitions.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
