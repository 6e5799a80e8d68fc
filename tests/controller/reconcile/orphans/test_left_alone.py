"""What is no orphan, or not ours to end."""

import msgspec
import pytest

from controller.domain.phases import Phase
from controller.reconcile.orphans import OrphanPolicy
from tests.controller.fakes import START
from tests.controller.reconcile.harness import World
from tests.controller.reconcile.orphans.harness import EVERY, row, running, sweep


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


async def test_an_object_that_ended_and_went_at_once_is_no_orphan_for_who_saw_only_the_last_of_it(world: World) -> None:
    job = await running(world)
    standby = world.another()
    world.provider.move(Phase.COMPLETED, completed_at=START)
    last = await world.observe(job)
    standby.reconciler.remove(job.key, last)
    assert standby.orphans._known == {}


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
