"""Dates in status come from the clock of whoever wrote them; the one who reads them may have another."""

from datetime import timedelta

import msgspec
import pytest

from controller.domain import reasons
from controller.domain.errors import EnvironmentMissing, Unavailable
from controller.domain.job import Job, Submission
from controller.domain.phases import Phase
from tests.controller.fakes import START
from tests.controller.reconcile.harness import World
from tests.controller.reconcile.test_intents import drive


def backdated(world: World, job: Job, by: timedelta) -> None:
    """As if the conditions had been written by a clock that was so far behind."""
    current = world.kube.current(job)
    changed = tuple(
        msgspec.structs.replace(one, last_transition_time=one.last_transition_time - by)
        for one in current.status.conditions
    )
    status = msgspec.structs.replace(current.status, conditions=changed)
    world.kube._store(msgspec.structs.replace(current, status=status))


async def test_a_job_is_looked_for_in_our_own_time_though_it_was_missed_by_a_clock_that_was_behind() -> None:
    world = World()
    job = world.kube.create()
    await drive(world, job, 2)
    world.provider.jobs.clear()
    await drive(world, job, 5)
    backdated(world, job, timedelta(hours=1))
    world.start()
    assert not (await drive(world, job, 60)).is_finished
    after = await drive(world, job, 60)
    assert (after.status.phase, after.status.reason) == (Phase.FAILED, reasons.PROVIDER_JOB_MISSING)


async def test_an_environment_is_waited_for_in_our_own_time_though_a_clock_that_was_behind_noted_it() -> None:
    world = World()
    world.kube.env = EnvironmentMissing("secret job-env does not exist")
    job = world.kube.create()
    await drive(world, job, 5)
    backdated(world, job, timedelta(hours=1))
    world.start()
    assert (await drive(world, job, 50)).status.phase is Phase.PENDING
    after = await drive(world, job, 20)
    assert (after.status.phase, after.status.reason) == (Phase.FAILED, reasons.ENV_SECRET_MISSING)


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(hours=1)])
async def test_duplicates_are_looked_for_soon_though_the_date_comes_from_a_clock_that_was_ahead(
    ahead: timedelta,
) -> None:
    world = World(names_are_ids=False)
    job = world.kube.create()
    await drive(world, job, 2)
    current = world.kube.current(job)
    doubted = Submission(attempt=1, by="other", at=START, deadline=START, in_doubt=True, look_again_at=START + ahead)
    world.kube._store(
        msgspec.structs.replace(current, status=msgspec.structs.replace(current.status, submission=doubted))
    )
    after = await drive(world, job, 2)
    assert after.status.submission is not None
    assert after.status.submission.look_again_at is not None
    assert after.status.submission.look_again_at < START + timedelta(seconds=80)


async def test_an_intent_of_a_clock_that_was_ahead_is_settled_and_watched_in_our_own_time() -> None:
    world = World(names_are_ids=False)
    job = world.kube.create()
    ahead = START + timedelta(hours=1)
    intent = Submission(attempt=1, by="other", at=ahead, deadline=ahead + timedelta(seconds=12))
    world.kube._store(msgspec.structs.replace(job, status=msgspec.structs.replace(job.status, submission=intent)))
    world.start()
    await drive(world, job, 40)
    assert world.provider.made == [], "its call may be under way, or its job not shown yet"
    await drive(world, job, 40)
    assert len(world.provider.made) == 1
    world.provider.move(Phase.COMPLETED, exit_code=0)
    after = await drive(world, job, 420, every=5)
    assert (after.status.phase, after.status.submission) == (Phase.COMPLETED, None)


async def test_the_watch_after_an_intent_of_a_clock_that_was_ahead_ends_in_our_own_time() -> None:
    world = World(names_are_ids=False)
    job = world.kube.create()
    world.faults.arm("after submit", Unavailable("the reply is lost"))
    await drive(world, job, 2)
    current = world.kube.current(job)
    assert current.status.submission is not None
    ahead = timedelta(hours=1)
    wrong = msgspec.structs.replace(
        current.status.submission, at=current.status.submission.at + ahead, deadline=START + ahead
    )
    world.kube._store(
        msgspec.structs.replace(current, status=msgspec.structs.replace(current.status, submission=wrong))
    )
    world.start()
    world.provider.move(Phase.COMPLETED, exit_code=0)
    after = await drive(world, job, 600, every=5)
    assert (after.status.phase, after.status.submission) == (Phase.COMPLETED, None)
    assert len(world.provider.made) == 1
