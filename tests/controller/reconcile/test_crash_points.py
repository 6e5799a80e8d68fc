"""A leader dies at each step of submitting, cancelling and deleting; the table says what the next one does, exactly.

The next leader is a new process, a standby that has seen everything, or one whose watch has stood still all along.
"""

from collections import Counter

import msgspec
import pytest

from controller.domain import names, reasons
from controller.domain.job import Job, TaskCounts
from controller.domain.phases import Phase
from tests.controller.fakes import START, Crash, FakeResources
from tests.controller.reconcile.harness import Process, World

NAMED, INTENT_FIRST = "names are ids", "intent first"
NEXT = ["a new process", "a standby", "a standby that lags"]
PURGE = {"annotations": {names.ANNOTATION_PURGE: "true"}, "deletion_timestamp": START}


ENDING_SECONDS = 20


class Step(msgspec.Struct, frozen=True):
    """The leader dies at `point`, after it was passed `passes` times in this protocol."""

    point: str
    passes: int
    then: str
    """What the next leader does."""
    calls: dict[str, int]
    """How often it calls what changes the service."""


class Death(World):
    """One job, a leader that dies, and who leads after it."""

    def __init__(self, kind: str) -> None:
        super().__init__(names_are_ids=kind == NAMED)
        self.calls: Counter[str] = Counter()
        self._asked: dict[str, float] = {}
        """When the service was first asked for a job's end."""
        self._standby, self._lagging = self.another(), self.another()
        self.kube.changed = self._tell
        self.kube.release = self._release  # type: ignore[method-assign]
        self._count()

    def create(self, **spec: object) -> Job:
        job = self.kube.create(held=False, **spec)
        self._lagging.upsert(job)
        return job

    def _tell(self, job: Job) -> None:
        self.process.upsert(job)
        self._standby.upsert(job)

    async def _release(self, job: Job) -> None:
        await FakeResources.release(self.kube, job)
        for process in (self.process, self._standby):
            process.reconciler.remove(job.key)

    def _count(self) -> None:
        for name in ("submit", "cancel", "delete"):
            setattr(self.provider, name, self._counting(name, getattr(self.provider, name)))

    def _counting(self, name: str, call: object) -> object:
        async def counting(*arguments: object, **options: object) -> object:
            self.calls[name] += 1
            return await call(*arguments, **options)  # type: ignore[operator]

        return counting

    async def lead(self, process: Process, seconds: int) -> None:
        """What a leader does in that time, and the service with it: what it was asked to end ends after a while."""
        for _ in range(seconds // 5):
            await process.observer._round()
            for known in list(process.cache):
                await process.reconciler.work_on(known.key)
            now = self.clock.monotonic()
            for name in self.provider.cancelled:
                if now - self._asked.setdefault(name, now) >= ENDING_SECONDS and name in self.provider.jobs:
                    ended = msgspec.structs.replace(self.provider.jobs[name], phase=Phase.CANCELLED)
                    self.provider.jobs[name] = ended
            await self.clock.advance(5)

    async def dies(self, step: Step) -> None:
        """The leader, at that step."""
        self.faults.arm(step.point, Crash(), passes=step.passes)
        with pytest.raises(Crash):
            await self.lead(self.process, 300)
        self.calls.clear()

    async def leads_next(self, which: str, seconds: int = 300) -> None:
        """What was armed and not reached is no fault of the next leader's."""
        process = {NEXT[0]: self.another(), NEXT[1]: self._standby, NEXT[2]: self._lagging}[which]
        self.process = process
        process.reconciler.start_leading()
        await self.lead(process, seconds)

    def made(self) -> int:
        """The cloud jobs that were ever made."""
        return len(self.provider.submissions)

    def assert_recorded(self, job: Job, *phases: Phase) -> None:
        """The audit path is those phases, each once, and legal; one of them ends it, so one notification was made."""
        audit = self.record.audit[job.key]
        assert [to for _, _, to in audit] == list(phases)
        assert [number for number, _, _ in audit] == list(range(len(phases)))
        assert [came for _, came, _ in audit] == [None, *phases[:-1]]
        assert [phase.is_terminal for phase in phases].count(True) == 1
        assert phases[-1].is_terminal


def ids(step: Step) -> str:
    return f"{step.point}/{step.passes}: {step.then}".replace(" ", "-")


# --- submit ------------------------------------------------------------------------------------------

SUBMIT_NAMED = [
    Step("hold", 0, "holds it and submits", {"submit": 1}),
    Step("after hold", 0, "submits", {"submit": 1}),
    Step("before record", 0, "records its beginning and submits", {"submit": 1}),
    Step("after record", 0, "looks where the record says, and submits there", {"submit": 1}),
    Step("before status", 0, "looks where the record says, and submits there", {"submit": 1}),
    Step("after status", 0, "looks where status says, and submits there", {"submit": 1}),
    Step("before submit", 0, "looks where status says, and submits there", {"submit": 1}),
    Step("after submit", 0, "looks where status says, and adopts", {}),
    Step("before record", 1, "looks where status says, and adopts", {}),
    Step("after record", 1, "goes on from the record and finds the job", {}),
    Step("before status", 1, "goes on from the record and finds the job", {}),
    Step("after status", 1, "goes on", {}),
]
SUBMIT_INTENT_FIRST = [
    Step("hold", 0, "holds it and submits", {"submit": 1}),
    Step("after hold", 0, "submits", {"submit": 1}),
    Step("before record", 0, "records its beginning and submits", {"submit": 1}),
    Step("after record", 0, "searches where the record says, and submits there", {"submit": 1}),
    Step("prepare", 0, "searches where the record says, and submits there", {"submit": 1}),
    Step("before status", 0, "searches where the record says, and submits there", {"submit": 1}),
    Step("after status", 0, "waits, searches twice without a find and submits again", {"submit": 1}),
    Step("before submit", 0, "waits, searches twice without a find and submits again", {"submit": 1}),
    Step("after submit", 0, "waits, finds the job and adopts it", {}),
    Step("before status", 1, "waits, finds the job and adopts it", {}),
    Step("after status", 1, "goes on", {}),
]


@pytest.mark.parametrize("which", NEXT)
@pytest.mark.parametrize("step", SUBMIT_NAMED, ids=ids)
async def test_submitting_where_names_are_ids(step: Step, which: str) -> None:
    world = Death(NAMED)
    await submit(world, step, which)


@pytest.mark.parametrize("which", NEXT)
@pytest.mark.parametrize("step", SUBMIT_INTENT_FIRST, ids=ids)
async def test_submitting_intent_first(step: Step, which: str) -> None:
    world = Death(INTENT_FIRST)
    await submit(world, step, which)


async def submit(world: Death, step: Step, which: str) -> None:
    job = world.create()
    await world.dies(step)
    await world.leads_next(which)
    assert (world.calls, world.made()) == (Counter(step.calls), 1)
    assert world.kube.current(job).is_submitted
    world.provider.move(Phase.RUNNING)
    await world.lead(world.process, 30)
    world.provider.move(Phase.COMPLETED, exit_code=0)
    await world.lead(world.process, 500)
    scheduled = [Phase.SCHEDULED] if world.provider.names_are_ids else []
    world.assert_recorded(job, Phase.PENDING, *scheduled, Phase.RUNNING, Phase.COMPLETED)
    status = world.kube.current(job).status
    assert (status.phase, status.submission, world.made()) == (Phase.COMPLETED, None, 1)


SUBMIT_MORE = [
    Step("before submit more", 0, "makes the next tasks", {"submit": 1}),
    Step("after submit more", 0, "goes on from what the service has", {}),
    Step("before status", 0, "goes on from what the service has", {}),
    Step("after status", 0, "goes on", {}),
]


@pytest.mark.parametrize("which", NEXT)
@pytest.mark.parametrize("step", SUBMIT_MORE, ids=ids)
async def test_submitting_the_next_tasks_of_a_set(step: Step, which: str) -> None:
    world = Death(NAMED)
    job = await running(world, completions=9, parallelism=3)
    counts = TaskCounts(total=9, pending=6, succeeded=3, submitted=3)
    world.provider.move(Phase.RUNNING, tasks=counts, tasks_due=3, is_at_rest=True)
    await world.dies(step)
    await world.leads_next(which)
    assert (world.calls, world.made()) == (Counter(step.calls), 1)
    assert world.provider.more == [(3, 6)]
    assert world.kube.current(job).status.tasks.submitted == 6
    assert world.kube.events.count(("Normal", reasons.SUBMITTED)) == 1
    world.provider.move(Phase.COMPLETED, exit_code=0)
    await world.lead(world.process, 500)
    world.assert_recorded(job, Phase.PENDING, Phase.SCHEDULED, Phase.RUNNING, Phase.COMPLETED)


# --- cancel ------------------------------------------------------------------------------------------

CANCEL = [
    Step("cancel", 0, "asks the service for its end", {"cancel": 1}),
    Step("after cancel", 0, "asks once more, or sees that it has ended", {"cancel": 1}),
    Step("before status", 0, "asks once more, or sees that it has ended", {"cancel": 1}),
    Step("after status", 0, "waits for its end", {}),
    Step("before record", 0, "records the end", {}),
    Step("after record", 0, "goes on from the record: writes the end to status", {}),
    Step("before status", 1, "records the end again, which changes nothing, and writes it to status", {}),
    Step("after status", 1, "finds nothing to do", {}),
]


@pytest.mark.parametrize("which", NEXT)
@pytest.mark.parametrize("kind", [NAMED, INTENT_FIRST])
@pytest.mark.parametrize("step", CANCEL, ids=ids)
async def test_cancelling_a_job_that_runs(step: Step, kind: str, which: str) -> None:
    world = Death(kind)
    job = await running(world)
    world.kube.edit(job, cancel=True)
    await world.dies(step)
    await world.leads_next(which)
    assert_calls(world, step)
    scheduled = [Phase.SCHEDULED] if kind == NAMED else []
    world.assert_recorded(job, Phase.PENDING, *scheduled, Phase.RUNNING, Phase.CANCELLED)
    status = world.kube.current(job).status
    assert (status.phase, status.submission, world.made()) == (Phase.CANCELLED, None, 1)


CANCEL_UNSUBMITTED = [
    Step("before record", 0, "ends it", {}),
    Step("after record", 0, "goes on from the record: writes the end to status", {}),
    Step("before status", 0, "ends it", {}),
    Step("after status", 0, "finds nothing to do", {}),
]


@pytest.mark.parametrize("which", NEXT)
@pytest.mark.parametrize("kind", [NAMED, INTENT_FIRST])
@pytest.mark.parametrize("step", CANCEL_UNSUBMITTED, ids=ids)
async def test_cancelling_a_job_that_was_never_submitted(step: Step, kind: str, which: str) -> None:
    world = Death(kind)
    job = world.create(suspend=True, cancel=True)
    await world.dies(step)
    await world.leads_next(which)
    assert (world.calls, world.made()) == (Counter(), 0)
    world.assert_recorded(job, Phase.PENDING, Phase.CANCELLED)
    status = world.kube.current(job).status
    assert (status.phase, status.reason) == (Phase.CANCELLED, reasons.CANCELLED_BEFORE_SUBMISSION)


# --- delete ------------------------------------------------------------------------------------------

DELETE = [
    Step("cancel", 0, "asks the service for its end, and lets it go", {"cancel": 1}),
    Step("after cancel", 0, "asks once more, or sees that it has ended, and lets it go", {"cancel": 1}),
    Step("after status", 0, "waits for its end, and lets it go", {}),
    Step("before record", 0, "records the end, and lets it go", {}),
    Step("after record", 0, "goes on from the record, and lets it go", {}),
    Step("before status", 1, "writes the end, and lets it go", {}),
    Step("after status", 1, "lets it go", {}),
    Step("release", 0, "lets it go", {}),
    Step("after release", 0, "finds it gone", {}),
]


@pytest.mark.parametrize("which", NEXT)
@pytest.mark.parametrize("kind", [NAMED, INTENT_FIRST])
@pytest.mark.parametrize("step", DELETE, ids=ids)
async def test_deleting_the_object_of_a_job_that_runs(step: Step, kind: str, which: str) -> None:
    world = Death(kind)
    job = await running(world)
    world.kube.edit(job, metadata={"deletion_timestamp": START})
    await world.dies(step)
    await world.leads_next(which)
    assert_calls(world, step)
    assert world.kube.objects == {}
    scheduled = [Phase.SCHEDULED] if kind == NAMED else []
    world.assert_recorded(job, Phase.PENDING, *scheduled, Phase.RUNNING, Phase.CANCELLED)
    assert world.record.rows["tenant", "job"].status is Phase.CANCELLED, "history stays"
    assert len(world.process.cache) == 0


PURGES = [
    Step("cancel", 0, "asks the service for its end, and clears all away", {"cancel": 1, "delete": 1}),
    Step("after status", 0, "waits for its end, and clears all away", {"delete": 1}),
    Step("after status", 1, "clears all away", {"delete": 1}),
    Step("before delete job", 0, "clears all away", {"delete": 1}),
    Step("after delete job", 0, "asks the service once more to remove it, and goes on", {"delete": 1}),
    Step("delete row", 0, "removes the row and lets the object go", {"delete": 1}),
    Step("after delete row", 0, "lets the object go", {"delete": 1}),
    Step("release", 0, "lets the object go", {"delete": 1}),
    Step("after release", 0, "finds it gone", {}),
]


@pytest.mark.parametrize("which", NEXT)
@pytest.mark.parametrize("kind", [NAMED, INTENT_FIRST])
@pytest.mark.parametrize("step", PURGES, ids=ids)
async def test_delete_job_of_a_job_that_runs(step: Step, kind: str, which: str) -> None:
    world = Death(kind)
    job = await running(world)
    world.kube.edit(job, metadata=PURGE)
    await world.dies(step)
    await world.leads_next(which)
    assert_calls(world, step)
    assert (world.kube.objects, world.record.rows, world.made()) == ({}, {}, 1)
    assert len(world.process.cache) == 0


EXPIRY = [
    Step("before delete object", 0, "deletes it and lets it go", {}),
    Step("after delete object", 0, "lets it go", {}),
    Step("release", 0, "lets it go", {}),
    Step("after release", 0, "finds it gone", {}),
]


@pytest.mark.parametrize("which", NEXT)
@pytest.mark.parametrize("step", EXPIRY, ids=ids)
async def test_a_job_whose_time_to_live_is_over(step: Step, which: str) -> None:
    world = Death(NAMED)
    job = await running(world, ttl_seconds_after_finished=10)
    world.provider.move(Phase.COMPLETED, exit_code=0)
    await world.dies(step)
    await world.leads_next(which)
    assert (world.calls, world.kube.objects) == (Counter(), {})
    world.assert_recorded(job, Phase.PENDING, Phase.SCHEDULED, Phase.RUNNING, Phase.COMPLETED)


async def running(world: Death, **spec: object) -> Job:
    """A job that was submitted and runs, as everybody knows but for the one that lags."""
    job = world.create(**spec)
    await world.lead(world.process, 5)
    world.provider.move(Phase.RUNNING)
    await world.lead(world.process, 10)
    assert world.kube.current(job).status.phase is Phase.RUNNING
    world.calls.clear()
    return world.kube.current(job)


def assert_calls(world: Death, step: Step) -> None:
    """A service that ends jobs at once shows the end to the next leader, which need not ask for it again."""
    ends_at_once = not world.provider.names_are_ids and step.point != "cancel"
    calls = {name: count for name, count in step.calls.items() if not (ends_at_once and name == "cancel")}
    assert world.calls == Counter(calls)
