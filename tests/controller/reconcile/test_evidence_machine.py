"""Evidence decides: status, record and service are each lost, stale or unreadable, in any order, and no job runs twice.

Whatever is lost, one witness of a run is left; without any nobody could tell. The service forgets only what has ended,
after the time for which it remembers ended jobs.
"""

import asyncio
from collections.abc import Awaitable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controller.domain.errors import Conflict, JennahError, NotFound, Throttled, Unavailable
from controller.domain.job import Job, JobStatus
from controller.domain.phases import Phase
from controller.ports import SubmitRequest
from tests.controller.fakes import START, Crash, FakeService
from tests.controller.reconcile.harness import World

REMEMBERS = 1000.0
POINTS = ["prepare", "before submit", "after submit", "before record", "after record", "before status", "after status"]
POINTS += ["get", "find", "get row"]
EMPTY = {name: getattr(JobStatus(), name) for name in JobStatus.__struct_fields__}


class Evidence(RuleBasedStateMachine):
    """One job; what is known of it in three places; and a controller that can die at any point."""

    @initialize(names_are_ids=st.booleans(), own_id=st.booleans())
    def begin(self, names_are_ids: bool, own_id: bool) -> None:
        self.loop = asyncio.new_event_loop()
        self.ended_at: float | None = None
        self.is_down = False
        self.uid = ""
        self.run(self._begin(names_are_ids, own_id))

    async def _begin(self, names_are_ids: bool, own_id: bool) -> None:
        self.world = World(names_are_ids=names_are_ids)
        self.service = self.world.provider
        self.service.remembers_seconds = REMEMBERS
        self.watch_submissions()
        self.world.start()
        await self.world.reconcile(self.world.kube.create("first"))  # the version that the term began at is known
        self.service.submissions.clear()
        self.job = self.world.kube.create(job_id="own" if own_id else None)
        self.uid = self.job.key
        self.has_new_id = not own_id
        self.had_status = False
        self.versions: list[Job] = []

    def run(self, work: Awaitable[object]) -> object:
        return self.loop.run_until_complete(work)

    def watch_submissions(self) -> None:
        """Each call is judged by what is true at that moment."""
        submit = self.service.submit

        async def judged(request: SubmitRequest) -> object:
            if self.is_down and request.uid == self.uid:
                assert self.has_new_id and not self.was_accepted, "an unreadable record says nothing"
            return await submit(request)

        self.service.submit = judged  # type: ignore[method-assign,assignment]

    # --- what the three witnesses say ------------------------------------------------------------------

    @property
    def object(self) -> Job:
        return self.world.kube.current(self.job)

    @property
    def was_accepted(self) -> bool:
        """Whether the object had a status when the pass that is under way began."""
        return self.had_status

    def status_knows(self, status: JobStatus) -> bool:
        return status.proves_a_run or status.destination is not None

    @property
    def row_knows(self) -> bool:
        key = ("tenant", self.object.job_id)
        row = self.world.record.rows.get(key)
        if row is None:
            return False
        number = self.world.record.audit[self.job.key][-1][0]
        return number > 0 or row.resource_path is not None or self.job.key in self.world.record.destinations

    @property
    def is_sent(self) -> bool:
        return bool(self.service.submissions)

    # --- losses ----------------------------------------------------------------------------------------

    @precondition(lambda self: hasattr(self, "world") and (self.row_knows or not self.is_sent))
    @rule()
    def status_is_lost(self) -> None:
        self.world.kube.edit_status(self.job, **EMPTY)

    @precondition(lambda self: hasattr(self, "world") and self.versions)
    @rule(data=st.data())
    def status_is_stale(self, data: st.DataObject) -> None:
        """As after a restore of etcd."""
        old = data.draw(st.sampled_from(self.versions)).status
        if self.row_knows or not self.is_sent or self.status_knows(old):
            facts = {name: getattr(old, name) for name in JobStatus.__struct_fields__}
            self.world.kube.edit_status(self.job, **facts)

    @precondition(lambda self: hasattr(self, "world") and (self.status_knows(self.object.status) or not self.is_sent))
    @rule()
    def row_is_lost(self) -> None:
        record = self.world.record
        record.rows.pop(("tenant", self.object.job_id), None)
        record.owners.pop(("tenant", self.object.job_id), None)
        record.audit.pop(self.job.key, None)
        record.destinations.pop(self.job.key, None)

    @rule()
    def the_service_forgets_what_ended_long_ago(self) -> None:
        if self.ended_at is not None and self.world.clock.monotonic() - self.ended_at > REMEMBERS:
            self.service.jobs.clear()
            if isinstance(self.service, FakeService):
                self.service.made.clear()

    @rule(is_down=st.booleans())
    def database(self, is_down: bool) -> None:
        self.is_down = is_down
        self.world.record.faults._faults.clear()

    @rule(queue=st.sampled_from(["queue", "spot"]))
    def the_queue_of_the_settings(self, queue: str) -> None:
        self.service.queue = queue

    # --- the world goes on -----------------------------------------------------------------------------

    @rule(phase=st.sampled_from([Phase.SCHEDULED, Phase.RUNNING, Phase.COMPLETED, Phase.FAILED]))
    def the_job_moves(self, phase: Phase) -> None:
        if self.ended_at is None and self.is_sent:
            self.service.move(phase, started_at=START)
            if phase.is_terminal:
                self.ended_at = self.world.clock.monotonic()

    @rule(point=st.sampled_from(POINTS), fault=st.sampled_from([Crash, Unavailable]))
    def fails(self, point: str, fault: type[BaseException]) -> None:
        self.world.faults.arm(point, fault("on purpose"))

    @rule(point=st.sampled_from(["prepare", "before submit"]))
    def is_throttled(self, point: str) -> None:
        self.world.faults.arm(point, Throttled("on purpose"))

    @rule(point=st.sampled_from(["before status", "after status"]))
    def is_overtaken(self, point: str) -> None:
        self.world.faults.arm(point, Conflict("on purpose"))

    @rule()
    def restart(self) -> None:
        self.world.clock.pause(0.001)
        self.world.start()

    @rule(seconds=st.sampled_from([1, 20, 60, 400, 1100]))
    def wait(self, seconds: int) -> None:
        self.run(self.world.clock.advance(seconds))

    @rule(count=st.integers(1, 4))
    def work(self, count: int) -> None:
        for _ in range(count):
            self.run(self._work())

    async def _work(self) -> None:
        process = self.world.process
        self.had_status = self.had_status or self.object.is_accepted
        if self.is_down:
            for point in ("before record", "get row"):
                for _ in range(50):
                    self.world.record.faults.arm(point, Unavailable("the database is down"))
        try:
            await process.observer._round()
            await process.reconciler.reconcile(self.object)
        except Crash:
            self.world.clock.pause(0.001)  # a new process takes its time: what it writes down has another one
            self.world.start()
        except Conflict:
            process.upsert(self.object)
        except (JennahError, NotFound) as error:
            assert "at rest" not in str(error)
        finally:
            if self.is_down:
                self.world.record.faults._faults.clear()
        if self.object.is_accepted:
            self.versions.append(self.object)

    # --- what always holds -----------------------------------------------------------------------------

    @invariant()
    def it_was_sent_once(self) -> None:
        if hasattr(self, "world"):
            assert len(self.service.submissions) <= 1

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                self.run(self._rest())
        finally:
            if hasattr(self, "loop"):
                self.loop.close()

    async def _rest(self) -> None:
        """Left alone, it is sent in the end, and ends when its job does, or is known to be lost."""
        self.database(False)
        self.world.faults._faults.clear()
        for _ in range(60):
            await self._work()
            await self.world.clock.advance(20)
        status = self.object.status
        assert status.phase is not None
        assert len(self.service.submissions) <= 1
        assert self.is_sent or status.phase.is_terminal, "a job that was never sent is sent, or given up with a word"
        if self.ended_at is not None:
            assert status.phase.is_terminal


TestEvidence = Evidence.TestCase
TestEvidence.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
