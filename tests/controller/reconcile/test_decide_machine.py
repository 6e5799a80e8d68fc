"""A job's whole life by `decide`: any order of wishes, of what the service says, of deaths and time."""

import asyncio
import itertools
from collections.abc import Awaitable

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controller.domain.errors import Conflict, NotFound, Unavailable
from controller.domain.job import Job, TaskCounts
from controller.domain.phases import Phase
from controller.ports import Observation
from tests.controller.fakes import START, Crash
from tests.controller.reconcile.harness import World

POINTS = ["hold", "after hold", "prepare", "before submit", "after submit", "before record", "after record"]
POINTS += [
    "before submit more",
    "after submit more",
    "before status",
    "after status",
    "cancel",
    "after cancel",
    "get",
    "find",
    "get row",
    "release",
]
MOVES = [*Phase, None]
"""What a service may say of a job: every phase, also out of its order, and what tells nothing."""


class Life(RuleBasedStateMachine):
    """One object, its cloud job, and a controller that can die at any point."""

    @initialize(names_are_ids=st.booleans(), suspend=st.booleans(), ttl=st.sampled_from([None, 0, 100]))
    def begin(self, names_are_ids: bool, suspend: bool, ttl: int | None) -> None:
        self.loop = asyncio.new_event_loop()
        self.run(self._begin(names_are_ids, suspend=suspend, ttl_seconds_after_finished=ttl))

    async def _begin(self, names_are_ids: bool, **spec: object) -> None:
        self.world = World(names_are_ids=names_are_ids)
        self.job = self.world.kube.create(held=False, **spec)
        self.last = self.job

    def run(self, work: Awaitable[object]) -> object:
        return self.loop.run_until_complete(work)

    # --- wishes --------------------------------------------------------------------------------------

    @property
    def object(self) -> Job | None:
        return next(iter(self.world.kube.objects.values()), None)

    def edit(self, **changes: object) -> None:
        if self.object is not None:
            self.world.kube.edit(self.job, **changes)

    @rule()
    def cancel(self) -> None:
        self.edit(cancel=True)

    @rule(suspend=st.booleans())
    def suspend(self, suspend: bool) -> None:
        self.edit(suspend=suspend)

    @rule(policy=st.sampled_from(["Cancel", "Orphan"]))
    def delete(self, policy: str) -> None:
        if self.object is not None and self.object.is_held:
            self.edit(metadata={"deletion_timestamp": START}, deletion_policy=policy)

    # --- the service ---------------------------------------------------------------------------------

    def change(self, **facts: object) -> None:
        provider = self.world.provider
        provider.jobs = {name: msgspec.structs.replace(job, **facts) for name, job in provider.jobs.items()}
        if not provider.names_are_ids:
            provider.made = [(at, msgspec.structs.replace(job, **facts)) for at, job in provider.made]

    @rule(phase=st.sampled_from(MOVES), exit_code=st.sampled_from([None, 0, 1]))
    def says(self, phase: Phase | None, exit_code: int | None) -> None:
        self.change(phase=phase, exit_code=exit_code, is_cancelling=False)

    @rule(what=st.sampled_from(["is_cancelling", "is_being_deleted"]), value=st.booleans())
    def tells(self, what: str, value: bool) -> None:
        self.change(**{what: value})

    @rule(count=st.integers(0, 3), is_at_rest=st.booleans())
    def has_room_for_tasks(self, count: int, is_at_rest: bool) -> None:
        """It is a set of which more tasks are to be made. Only where we name jobs."""
        if self.world.provider.names_are_ids:
            for job in self.world.provider.jobs.values():
                made = job.tasks.submitted if job.tasks and job.tasks.submitted else 1
                tasks = TaskCounts(total=made + 9, pending=made + 9, submitted=made)
                self.change(tasks=tasks, tasks_due=count, is_at_rest=is_at_rest)

    @precondition(lambda self: self.object is not None and self.object.is_submitted)
    @rule()
    def loses_the_job(self) -> None:
        self.world.provider.jobs.clear()
        if not self.world.provider.names_are_ids:
            self.world.provider.made.clear()

    # --- the controller ------------------------------------------------------------------------------

    @rule(point=st.sampled_from(POINTS), fault=st.sampled_from([Crash, Unavailable, Conflict]))
    def fails(self, point: str, fault: type[BaseException]) -> None:
        self.world.faults.arm(point, fault("on purpose"))

    @rule()
    def restart(self) -> None:
        self.world.start()

    @rule(seconds=st.sampled_from([1, 16, 45, 130, 400]))
    def wait(self, seconds: int) -> None:
        self.run(self.world.clock.advance(seconds))

    @rule()
    def work(self) -> None:
        """A bulk observation and a pass, as the workers run it."""
        self.run(self._work())

    async def _work(self) -> float | None:
        process = self.world.process
        known = process.cache.get(self.job.key)
        if known is None:
            return None
        more, is_to_end = len(self.world.provider.more), known.spec.cancel or known.is_finished
        try:
            await process.observer._round()
            return await process.reconciler.reconcile(known)
        except Crash:
            self.world.start()
        except NotFound:
            process.reconciler.remove(self.job.key)
        except Conflict:
            if self.object is not None:
                process.upsert(self.object)
        except Unavailable as error:
            assert "at rest" not in str(error)
        finally:
            assert len(self.world.provider.more) == more or not is_to_end, "what shall end gets no more tasks"
        return None

    # --- what always holds ---------------------------------------------------------------------------

    @invariant()
    def an_end_is_never_left_and_numbers_never_go_back(self) -> None:
        if not hasattr(self, "world") or self.object is None:
            return
        before, now = self.last.status, self.object.status
        if before.phase is not None and before.phase.is_terminal:
            assert (now.phase, now.transition, now.completed_at) == (
                before.phase,
                before.transition,
                before.completed_at,
            )
        assert (now.transition or 0) >= (before.transition or 0)
        self.last = self.object

    @invariant()
    def the_service_got_one_job(self) -> None:
        if hasattr(self, "world"):
            assert len(self.world.provider.submissions) <= 1

    @invariant()
    def each_task_was_made_once(self) -> None:
        if hasattr(self, "world"):
            more = self.world.provider.more
            assert all(before[1] <= after[0] for before, after in itertools.pairwise(more))

    @invariant()
    def the_audit_path_is_legal_and_ends_once(self) -> None:
        if not hasattr(self, "world"):
            return
        audit = self.world.record.audit[self.job.key]
        assert [number for number, _, _ in audit] == sorted({number for number, _, _ in audit})
        assert [came for _, came, _ in audit[1:]] == [to for _, _, to in audit[:-1]]
        assert all(not to.is_terminal for _, _, to in audit[:-1])

    @invariant()
    def the_record_is_never_behind_status(self) -> None:
        if hasattr(self, "world") and self.object is not None and self.object.status.transition is not None:
            number, _, phase = self.world.record.audit[self.job.key][-1]
            status = self.object.status
            assert number >= status.transition
            assert number > status.transition or phase is status.phase

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                self.run(self._rest())
        finally:
            if hasattr(self, "loop"):
                self.loop.close()

    async def _rest(self) -> None:
        """Left alone, with a service that answers, the job comes to rest: nothing is written any more."""
        self.world.faults._faults.clear()
        for _ in range(80):
            await self._work()
            await self.world.clock.advance(20)
        writes, calls = self.world.kube.writes, len(self.world.provider.cancelled)
        for _ in range(3):
            await self._work()
        assert (self.world.kube.writes, len(self.world.provider.cancelled)) == (writes, calls)
        job = self.object
        if job is None:
            return
        assert not job.is_being_deleted or not job.is_finished, "what has ended is let go"
        is_kept = job.spec.deletion_policy == "Orphan" and not job.spec.cancel  # until all of its tasks are made
        if job.wants_end and job.status.phase is not None and not job.is_finished and not is_kept:
            seen = self.world.observer.seen(job)
            assert self.world.provider.cancelled or (isinstance(seen, Observation) and seen.is_cancelling)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=120, stateful_step_count=30, deadline=None)
