"""Objects that go though their cloud jobs run: what is found, what is left alone, and what the record says."""

import asyncio
from collections.abc import Callable, Iterator, Sequence, Set
from datetime import datetime

import msgspec
import pytest

from controller import metrics
from controller.domain import names
from controller.domain.errors import NotLeading, Unavailable
from controller.domain.job import Job
from controller.domain.phases import Phase
from controller.domain.records import JobRow, Transition, job_row
from controller.domain.resources import ResourceSet
from controller.ports import OwnedJob
from controller.reconcile import orphans, statuses
from controller.reconcile.orphans import AGE_SECONDS, OrphanPolicy
from tests.controller.fakes import START
from tests.controller.reconcile.harness import World

EVERY = 300.0


@pytest.fixture(params=[True, False], ids=["we name jobs", "the service names jobs"])
def names_are_ids(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def world(names_are_ids: bool) -> World:
    """A controller that ends orphans."""
    return World(names_are_ids=names_are_ids, ends_orphans=True)


@pytest.fixture
def reporting(names_are_ids: bool) -> World:
    """A controller that only reports them."""
    return World(names_are_ids=names_are_ids, ends_orphans=False)


def sample(name: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, {"provider": "local"}) or 0.0


def gauge() -> float:
    return sample("jennah_orphans")


@pytest.fixture
def ended() -> Iterator[Callable[[], float]]:
    """How many were ended since the test began."""
    before = sample("jennah_orphans_ended_total")
    yield lambda: sample("jennah_orphans_ended_total") - before


async def running(world: World, name: str = "job", **spec: object) -> Job:
    job = world.kube.create(name, **spec)
    await world.reconcile(job)
    world.provider.move(Phase.RUNNING, started_at=START)
    return await world.observe(job)


async def sweep(world: World, times: int = 1) -> None:
    for _ in range(times):
        await world.process.orphans.sweep()
        world.clock.pause(EVERY)


def row(world: World, job: Job) -> JobRow:
    return world.record.rows["tenant", job.job_id]


@pytest.mark.parametrize("unseen", [False, True], ids=["seen by the watch", "gone while nobody watched"])
async def test_the_cloud_job_of_an_object_that_was_forced_away_is_ended_and_its_row_says_so(
    world: World, ended: Callable[[], float], unseen: bool
) -> None:
    job = await running(world)
    world.kube.force_off(job, unseen=unseen)
    if unseen:
        world.start()
    await sweep(world)
    world.clock.pause(AGE_SECONDS)
    assert (world.provider.cancelled, row(world, job).status) == ([], Phase.RUNNING)
    await sweep(world)
    assert len(world.provider.cancelled) == 1
    world.provider.move(Phase.CANCELLED, completed_at=START)
    await sweep(world, 2)
    last = row(world, job)
    assert last.status is Phase.CANCELLED
    assert last.completed_at is not None
    assert "its JennahJob was gone" in last.error_message
    assert world.audit(job)[-1][1:] == ("Running", "Cancelled")
    assert ended() == 1
    assert len(world.provider.cancelled) == 1


async def test_it_is_only_reported_once_where_that_is_the_setting_and_its_row_follows_it_to_its_end(
    reporting: World, caplog: pytest.LogCaptureFixture
) -> None:
    world = reporting
    job = await running(world)
    world.kube.force_off(job)
    await sweep(world, 5)
    assert world.provider.cancelled == []
    assert row(world, job).status is Phase.RUNNING
    assert caplog.text.count("has no JennahJob any more") == 1
    assert "left running (ORPHANS=report)" in caplog.text
    assert gauge() == 1
    world.provider.move(Phase.COMPLETED, exit_code=0, completed_at=START)
    await sweep(world)
    assert (row(world, job).status, row(world, job).error_message) == (Phase.COMPLETED, None)
    assert world.audit(job)[-1][1:] == ("Running", "Completed")
    assert gauge() == 0


async def test_a_job_that_fails_before_it_is_ended_has_failed(world: World) -> None:
    job = await running(world)
    world.kube.force_off(job)
    world.provider.move(Phase.FAILED, exit_code=3, reason="NonZeroExitCode", message="exit code 3", completed_at=START)
    world.clock.pause(AGE_SECONDS)
    await sweep(world)
    assert row(world, job).status is Phase.FAILED
    assert "exit code 3" in row(world, job).error_message
    assert world.provider.cancelled == []


@pytest.mark.parametrize("unseen", [False, True], ids=["seen by the watch", "gone while nobody watched"])
async def test_a_job_whose_deletion_policy_is_orphan_goes_on_and_its_row_gets_its_true_end(
    world: World, caplog: pytest.LogCaptureFixture, unseen: bool
) -> None:
    job = await running(world, deletion_policy="Orphan")
    world.kube.force_off(job, unseen=unseen)
    if unseen:
        world.start()
    await sweep(world, 4)
    assert world.provider.cancelled == []
    assert gauge() == 0
    assert "WARNING" not in caplog.text
    world.provider.move(Phase.COMPLETED, exit_code=0, completed_at=START)
    await sweep(world)
    assert row(world, job).status is Phase.COMPLETED


async def test_a_deleted_object_that_leaves_its_job_alone_has_its_row_ended_with_the_job(world: World) -> None:
    job = await running(world, deletion_policy="Orphan")
    await world.kube.delete(world.kube.current(job))
    await world.reconcile(job)
    world.reconciler.remove(job.key)
    await sweep(world, 3)
    assert (row(world, job).status, world.provider.cancelled) == (Phase.RUNNING, [])
    world.provider.move(Phase.FAILED, completed_at=START)
    await sweep(world)
    assert row(world, job).status is Phase.FAILED


async def test_a_cache_that_is_not_complete_makes_no_orphan_of_a_live_job(world: World) -> None:
    jobs = [await running(world, f"job-{number}") for number in range(3)]
    world.cache._jobs.clear()  # as when the watch has not listed anything yet
    await sweep(world, 5)
    assert world.provider.cancelled == []
    assert {row(world, job).status for job in jobs} == {Phase.RUNNING}


async def test_an_object_that_is_made_while_the_sweep_looks_is_no_orphan(world: World) -> None:
    """Kubernetes was asked before it was there, the service after it was submitted."""
    process = world.another()

    class Slow:
        """Lets the object be made between the two questions."""

        async def uids(self, namespaces: object) -> set[str]:
            there = set(await world.kube.uids(()))
            if not world.kube.objects:
                self.job = await running(world)
            return there

    slow = Slow()
    process.orphans._resources = slow  # type: ignore[assignment]
    await process.orphans.sweep()
    assert [one.ref.uid for one in process.orphans._known.values()] == [slow.job.key]
    for _ in range(3):
        world.clock.pause(EVERY)
        await process.orphans.sweep()
    assert world.provider.cancelled == []
    assert process.orphans._known == {}


async def test_a_job_without_a_namespace_is_reported_and_never_ended(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Earlier releases submitted such: nobody can tell whose it is."""
    job = await running(world)
    world.provider.submissions[:] = [
        msgspec.structs.replace(request, namespace="") for request in world.provider.submissions
    ]
    world.kube.force_off(job, unseen=True)
    world.start()
    await sweep(world, 4)
    assert world.provider.cancelled == []
    assert "does not say of which namespace it is" in caplog.text


async def test_a_job_of_a_namespace_that_is_not_watched_is_somebody_elses(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    job = await running(world)
    world.orphans = OrphanPolicy(ends=True, every=EVERY, namespaces=frozenset({"other"}))
    world.kube.force_off(job, unseen=True)
    world.start()
    await sweep(world, 4)
    assert world.provider.cancelled == []
    assert row(world, job).status is Phase.RUNNING
    assert "JennahJob" not in caplog.text


async def test_an_end_that_the_watch_missed_is_found_by_the_sweep(world: World) -> None:
    job = await running(world)
    world.kube.force_off(job, unseen=True)
    assert world.cache.get(job.key) is not None
    await sweep(world, 2)
    assert world.cache.get(job.key) is None
    assert len(world.provider.cancelled) == 1


async def test_a_job_that_the_list_leaves_out_because_it_was_claimed_before_is_ended_too(world: World) -> None:
    job = await running(world)
    world.provider.unlisted.add(job.external_name)
    world.kube.force_off(job)
    world.clock.pause(AGE_SECONDS)
    await sweep(world)
    assert len(world.provider.cancelled) == 1


async def test_an_object_that_went_before_its_job_was_submitted_has_its_row_ended(reporting: World) -> None:
    world = reporting
    world.faults.arm("before submit", Unavailable("no answer"))
    job = world.kube.create()
    with pytest.raises(Unavailable):
        await world.reconcile(job)
    assert row(world, job).status is Phase.PENDING
    world.kube.force_off(job)
    world.clock.pause(AGE_SECONDS)
    await sweep(world)
    assert row(world, job).status is Phase.PENDING
    await sweep(world)
    assert row(world, job).status is Phase.CANCELLED
    assert world.audit(job) == [(0, None, "Pending"), (1, "Pending", "Cancelled")]


async def test_an_object_that_went_before_it_was_accepted_has_the_row_ended_that_the_api_began(
    reporting: World,
) -> None:
    world = reporting
    job = world.kube.create()
    status = statuses.accepted(job, tenant_id="tenant", provider="local")
    api = msgspec.structs.replace(job, status=status)
    first = job_row(api, tenant_id="tenant", resources=ResourceSet(), env=None, now=START)
    await world.record.write([Transition(uid=job.key, number=0, from_phase=None, row=first, at=START, reason="")])
    world.kube.force_off(job)
    await sweep(world)
    await sweep(world, 2)
    assert row(world, job).status is Phase.CANCELLED


async def test_an_orphan_that_vanishes_at_the_service_has_failed_after_the_grace(reporting: World) -> None:
    world = reporting
    job = await running(world)
    world.kube.force_off(job)
    world.provider.jobs, world.provider.made = {}, []  # type: ignore[union-attr]
    world.clock.pause(AGE_SECONDS)
    await sweep(world)
    assert row(world, job).status is Phase.RUNNING
    await sweep(world)
    assert row(world, job).status is Phase.FAILED
    assert "does not know the job" in row(world, job).error_message


async def test_the_row_of_a_job_that_was_purged_does_not_come_back(world: World) -> None:
    job = await running(world)
    world.kube.edit(job, metadata={"annotations": {names.ANNOTATION_PURGE: "true"}})
    await world.record.delete_job("tenant", job.job_id)
    world.kube.force_off(job, unseen=True)
    world.start()
    await sweep(world, 2)
    world.provider.move(Phase.CANCELLED)
    await sweep(world, 2)
    assert world.record.rows == {}


async def test_another_objects_row_is_not_touched(world: World) -> None:
    """The object was made anew with the same job id, and the old one's row removed before."""
    old = await running(world)
    world.kube.force_off(old)
    await world.record.delete_job("tenant", old.job_id)
    new = await running(world)
    await sweep(world, 2)
    assert len(world.provider.cancelled) == 1
    if world.provider.names_are_ids:
        gone = world.provider.jobs[old.external_name]
        world.provider.jobs[old.external_name] = msgspec.structs.replace(gone, phase=Phase.CANCELLED)
    await sweep(world, 2)
    assert row(world, new).status is Phase.RUNNING
    assert world.audit(new) == [(0, None, "Pending"), *world.audit(new)[1:]]


async def test_a_database_that_is_down_delays_the_end_of_the_row(reporting: World) -> None:
    world = reporting
    job = await running(world)
    world.kube.force_off(job)
    world.provider.move(Phase.COMPLETED, completed_at=START)
    world.clock.pause(AGE_SECONDS)
    world.faults.arm("before record", Unavailable("down"))
    await world.process.orphans.sweep()
    assert row(world, job).status is Phase.RUNNING
    await sweep(world)
    assert row(world, job).status is Phase.COMPLETED


async def test_an_object_that_ended_and_went_at_once_is_no_orphan_for_who_saw_only_the_last_of_it(world: World) -> None:
    job = await running(world)
    standby = world.another()
    world.provider.move(Phase.COMPLETED, completed_at=START)
    last = await world.observe(job)
    standby.reconciler.remove(job.key, last)
    assert standby.orphans._known == {}


async def test_a_standby_that_saw_the_object_go_carries_on_when_it_leads(reporting: World) -> None:
    """Also for a job that has ended by then, of which no list tells."""
    world = reporting
    job = await running(world)
    standby = world.another()
    world.kube.force_off(job)
    standby.reconciler.remove(job.key)
    world.provider.move(Phase.COMPLETED, completed_at=START)
    world.clock.pause(EVERY)
    await standby.orphans.sweep()
    assert row(world, job).status is Phase.COMPLETED


@pytest.mark.parametrize("end", [Phase.COMPLETED, Phase.CANCELLED])
async def test_an_object_and_its_cloud_job_that_both_went_while_no_operator_ran_have_their_row_ended(
    reporting: World, end: Phase, caplog: pytest.LogCaptureFixture
) -> None:
    world = reporting
    job = await running(world)
    world.kube.force_off(job, unseen=True)
    world.provider.move(end, completed_at=world.clock.now())
    world.start()
    await sweep(world, 2)
    assert row(world, job).status is end
    assert "JennahJob any more" not in caplog.text


async def test_what_ended_as_it_should_and_whose_object_is_gone_is_forgotten_at_once(world: World) -> None:
    job = await running(world)
    world.provider.move(Phase.COMPLETED, exit_code=0, completed_at=START)
    await world.observe(job)
    before = row(world, job)
    world.kube.force_off(job, unseen=True)
    world.start()
    await sweep(world)
    world.faults.arm("get", AssertionError("the service is not asked for what nobody waits for"))
    await sweep(world)
    assert world.process.orphans._known == {}
    assert row(world, job) == before


async def test_a_job_that_cannot_be_read_holds_no_other_back(reporting: World) -> None:
    world = reporting
    jobs = [await running(world, name) for name in ("a", "b", "c")]
    for job in jobs:
        world.kube.force_off(job)
    world.provider.move(Phase.COMPLETED, completed_at=START)
    world.clock.pause(AGE_SECONDS)
    world.faults.arm("get", Unavailable("not this one"))
    await sweep(world)
    assert sorted(row(world, job).status for job in jobs) == [Phase.COMPLETED, Phase.COMPLETED, Phase.RUNNING]


async def test_the_first_sweep_comes_only_some_time_after_taking_over(world: World) -> None:
    swept: list[float] = []

    async def note() -> None:
        swept.append(world.clock.monotonic())
        if len(swept) == 2:
            raise NotLeading("lost")  # that ends nothing

    orphans = world.process.orphans
    orphans.sweep = note  # type: ignore[method-assign]
    await world.clock.advance(1000)
    orphans.take_over()
    task = asyncio.create_task(orphans.run())
    await world.clock.advance(299)
    assert swept == []
    await world.clock.advance(602)
    assert swept == [1300, 1600, 1900]
    task.cancel()


async def test_what_went_before_our_eyes_is_seen_to_soon_and_followed_to_its_end(world: World) -> None:
    job = await running(world)
    task = asyncio.create_task(world.process.orphans.run())
    await world.clock.advance(EVERY)  # the first sweep
    world.kube.force_off(job)
    await world.clock.advance(AGE_SECONDS + 1)
    assert len(world.provider.cancelled) == 1
    world.provider.move(Phase.CANCELLED, completed_at=START)
    await world.clock.advance(31)
    assert row(world, job).status is Phase.CANCELLED
    task.cancel()


async def test_a_fault_that_lasts_is_one_line_and_its_end_another(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    task = asyncio.create_task(world.process.orphans.run())
    for _ in range(3):
        world.faults.arm("unclaimed", Unavailable("the service is down"))
    await world.clock.advance(3 * EVERY)
    assert caplog.text.count("the service is down") == 1
    assert "again" not in caplog.text
    await world.clock.advance(2 * EVERY)
    assert caplog.text.count("orphans can be looked for again") == 1
    task.cancel()


async def test_what_goes_shortly_before_a_sweep_does_not_wait_for_the_next_but_one(world: World) -> None:
    job = await running(world)
    task = asyncio.create_task(world.process.orphans.run())
    await world.clock.advance(EVERY - 5)
    world.kube.force_off(job)
    await world.clock.advance(5)  # the sweep comes, and it is too young for that
    assert world.provider.cancelled == []
    await world.clock.advance(AGE_SECONDS - 5)
    assert len(world.provider.cancelled) == 1
    task.cancel()


async def test_each_of_two_faults_that_take_turns_is_one_line(world: World, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("one", "other"):
        world.kube.force_off(await running(world, name))
    task = asyncio.create_task(world.process.orphans.run())
    for _ in range(3):
        world.faults.arm("cancel", Unavailable("one cannot be ended"))
        world.faults.arm("cancel", Unavailable("nor can the other"))
    await world.clock.advance(3 * EVERY)
    assert caplog.text.count("one cannot be ended") == 1
    assert caplog.text.count("nor can the other") == 1
    task.cancel()


async def test_a_look_back_that_never_comes_to_its_end_holds_the_search_up_no_longer(reporting: World) -> None:
    """As where a queue has more jobs of the last days than can be listed in the time for that."""
    world = reporting
    asked = []
    unclaimed = world.provider.unclaimed

    async def overwhelmed(claimed: Set[str], *, ended_since: datetime | None = None) -> Sequence[OwnedJob]:
        asked.append(ended_since is not None)
        if ended_since is not None:
            raise Unavailable("too many")
        return await unclaimed(claimed)

    world.provider.unclaimed = overwhelmed  # type: ignore[method-assign]
    world.kube.force_off(await running(world), unseen=True)
    for _ in range(3):
        with pytest.raises(Unavailable):
            await sweep(world)
        world.clock.pause(EVERY)
    await sweep(world, 2)
    assert asked == [True, True, True, False, False]
    assert gauge() == 1


async def test_of_too_many_objects_that_went_the_oldest_are_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "REMEMBERED", 2)
    jobs = [await running(world, name) for name in ("first", "second", "third")]
    for job in jobs:
        world.kube.force_off(job)
    assert [one.ref.uid for one in world.process.orphans._known.values()] == [job.key for job in jobs[1:]]


async def test_of_many_that_no_list_has_each_has_its_turn(reporting: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world = reporting
    monkeypatch.setattr(orphans, "LOOKS", 2)
    jobs = [await running(world, f"job-{number}") for number in range(5)]
    world.provider.unlisted = {job.external_name for job in jobs}
    for job in jobs:
        world.kube.force_off(job)
    world.clock.pause(AGE_SECONDS)
    await sweep(world, 3)
    assert all(one.is_told for one in world.process.orphans._known.values())
    world.provider.move(Phase.COMPLETED, exit_code=0, completed_at=START)
    await sweep(world, 3)
    assert {row(world, job).status for job in jobs} == {Phase.COMPLETED}


async def test_a_database_that_hangs_does_not_keep_what_runs_from_being_ended() -> None:
    world = World(names_are_ids=False, ends_orphans=True)
    rows = [await running(world, f"job-{number}") for number in range(20)]
    world.provider.move(Phase.COMPLETED, completed_at=START)
    late = await running(world, "late")
    for job in (*rows, late):
        world.kube.force_off(job)

    async def hung(tenant_id: str, job_id: str) -> JobRow | None:
        world.clock.pause(8)
        raise Unavailable("the database does not answer")

    world.record.get_job = hung  # type: ignore[method-assign]
    world.clock.pause(AGE_SECONDS)
    await sweep(world)
    begun = world.clock.monotonic()
    await sweep(world)
    assert world.clock.monotonic() - begun - EVERY < 70
    assert set(world.provider.cancelled) == {late.status.resource_path}
