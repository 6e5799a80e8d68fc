"""When it is looked for orphans, and what holds that up."""

import asyncio
from collections.abc import Sequence, Set
from datetime import datetime

import pytest

from controller.domain.errors import NotLeading, Unavailable
from controller.domain.phases import Phase
from controller.domain.records import JobRow
from controller.ports import OwnedJob
from controller.reconcile import orphans
from controller.reconcile.orphans import AGE_SECONDS
from tests.controller.fakes import START
from tests.controller.reconcile.harness import World
from tests.controller.reconcile.orphans.harness import EVERY, gauge, row, running, sweep


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
