"""A new leader whose watch lags: what the one before it has done and cleared away is not done again."""

import pytest

from controller.domain import names
from controller.domain.errors import Unavailable
from controller.domain.job import Job, JobStatus
from controller.domain.phases import Phase
from tests.controller.fakes import START
from tests.controller.reconcile.harness import Process, World

PURGED = {"annotations": {names.ANNOTATION_PURGE: "true"}, "deletion_timestamp": START}


class Handover(World):
    """`process` leads; `next` stands by, and its watch stands still from `lag` on."""

    def __init__(self, *, names_are_ids: bool = True) -> None:
        super().__init__(names_are_ids=names_are_ids)
        self.next = self.another()
        self.kube.changed = self._tell
        self._lags = False

    def _tell(self, job: Job) -> None:
        self.process.upsert(job)
        if not self._lags:
            self.next.upsert(job)

    def lag(self) -> None:
        self._lags = True

    async def take_over(self) -> Process:
        """`next` leads now, and works on what it knows until nothing is left."""
        self.next.reconciler.start_leading()
        for _ in range(10):
            await self.next.observer._round()
            for job in list(self.next.cache):
                await self.next.reconciler.work_on(job.key)
            await self.clock.advance(60)
        return self.next


async def finish_and_purge(world: Handover, job: Job) -> None:
    await world.observe(job)
    world.provider.move(Phase.COMPLETED, exit_code=0)
    await world.observe(job)
    assert world.kube.current(job).is_finished
    world.kube.edit(job, metadata=PURGED)
    await world.reconcile(job)
    assert (world.kube.objects, world.record.rows) == ({}, {})
    world.record.audit.clear()  # as the row's audit rows do
    world.provider.jobs.clear()  # DeleteJob removes the job at the service too
    if not world.provider.names_are_ids:
        world.provider.made.clear()


@pytest.mark.parametrize("names_are_ids", [True, False])
@pytest.mark.parametrize("wish", [{}, {"cancel": True}])
async def test_a_job_that_was_finished_and_purged_within_the_lag_is_neither_submitted_nor_recorded_again(
    names_are_ids: bool, wish: dict[str, object]
) -> None:
    world = Handover(names_are_ids=names_are_ids)
    job = world.kube.create(**wish)
    world.lag()
    if wish:
        world.kube.edit(job, cancel=False)
    await world.reconcile(job)
    await finish_and_purge(world, job)
    successor = await world.take_over()
    assert len(world.provider.submissions) == 1
    assert (world.record.rows, world.kube.objects) == ({}, {})
    assert successor.cache.get(job.key) is None


async def test_a_submitted_job_that_was_finished_and_purged_within_the_lag_is_not_recorded_again() -> None:
    """Where the service keeps what has ended: its last state is news to the successor."""
    world = Handover()
    job = world.kube.create()
    await world.reconcile(job)
    world.lag()
    kept = dict(world.provider.jobs)
    await finish_and_purge(world, job)
    world.provider.jobs = kept
    world.provider.move(Phase.COMPLETED, exit_code=0)
    await world.take_over()
    assert world.record.rows == {}


async def test_a_job_that_was_submitted_within_the_lag_is_taken_as_it_is_without_a_call() -> None:
    world = Handover()
    job = world.kube.create()
    world.lag()
    await world.reconcile(job)
    calls = []
    submit = world.provider.submit

    async def counted(request: object) -> object:
        calls.append(request)
        return await submit(request)

    world.provider.submit = counted
    successor = await world.take_over()
    assert calls == []
    assert successor.cache.get(job.key) == world.kube.current(job)


async def test_the_row_of_a_new_object_with_the_old_ones_job_id_is_not_deleted() -> None:
    world = Handover()
    old = world.kube.create("same")
    await world.reconcile(old)
    world.provider.move(Phase.COMPLETED, exit_code=0)
    await world.observe(old)
    world.kube.edit(old, metadata=PURGED)
    world.lag()
    await world.reconcile(old)
    new = world.kube.create("same")
    await world.reconcile(new)
    row = world.record.rows["tenant", "same"]
    await world.take_over()
    assert world.record.rows["tenant", "same"] == row


async def test_only_what_is_older_than_the_term_is_read_and_once() -> None:
    world = Handover()
    old = [world.kube.create(f"old-{n}") for n in range(5)]
    await world.take_over()
    assert world.kube.reads == 5
    for n in range(20):
        await world.next.reconcile(world.kube.create(f"new-{n}"))
    for phase in (Phase.RUNNING, Phase.COMPLETED):
        world.provider.move(phase)
        for job in old:
            await world.next.observe(job)
    assert world.kube.reads == 5


async def test_a_term_that_begins_anew_believes_nothing_of_the_last() -> None:
    world = Handover()
    job = world.kube.create(suspend=True)
    await world.take_over()
    reads = world.kube.reads
    world.kube.edit(job, suspend=False)
    world.next.reconciler.start_leading()  # somebody else led in between
    await world.next.reconcile(job)
    assert world.kube.reads == reads + 1


@pytest.mark.parametrize("names_are_ids", [True, False])
async def test_an_object_that_is_older_than_our_term_is_not_new_because_somebody_edited_it(names_are_ids: bool) -> None:
    """Its status was taken off by hand, and the database is down: that it has a version of our term proves nothing."""
    world = World(names_are_ids=names_are_ids)
    job = world.kube.create(job_id=None)
    await world.reconcile(job)
    assert len(world.provider.submissions) == 1
    empty = {name: getattr(JobStatus(), name) for name in JobStatus.__struct_fields__}
    world.kube.edit_status(job, **empty)
    world.start()
    other = world.kube.create("other")
    await world.reconcile(other)  # from here on it is known at which version our term began
    world.kube.edit_status(job, **empty)
    for point in ("before record", "get row"):
        world.faults.arm(point, Unavailable("the database is down"))
    with pytest.raises(Unavailable):
        await world.reconcile(job)
    assert [one.uid for one in world.provider.submissions] == [job.key, other.key]
