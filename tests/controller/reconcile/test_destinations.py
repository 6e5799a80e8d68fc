"""Where a job was sent is written first, and counts whatever the settings say later."""

import contextlib
from collections.abc import Callable

import pytest

from controller.domain import conditions, reasons
from controller.domain.errors import Unavailable, Unreachable
from controller.domain.job import Job, JobStatus
from controller.domain.phases import Phase
from tests.controller.fakes import START, Crash, FakeProvider, FakeService
from tests.controller.reconcile.harness import World
from tests.controller.reconcile.orphans.harness import row, running


def change_the_region(world: World) -> None:
    world.elsewhere[world.provider.site] = world.provider
    world.provider = FakeProvider(world.faults)
    world.provider.region = "another"


def change_the_provider(world: World) -> None:
    world.elsewhere[world.provider.site] = world.provider
    world.provider = FakeProvider(world.faults, name="gcp")


def change_the_provider_to_one_that_names_jobs(world: World) -> None:
    world.elsewhere[world.provider.site] = world.provider
    world.provider = FakeService(world.faults, world.clock)
    world.provider.name = "aws"


CHANGES: dict[str, Callable[[World], None]] = {
    "region": change_the_region,
    "provider": change_the_provider,
    "provider, to one that names jobs": change_the_provider_to_one_that_names_jobs,
}


async def passes(world: World, job: Job, count: int = 8) -> Job:
    for _ in range(count):
        with contextlib.suppress(Unreachable):
            job = await world.observe(job)
        world.clock.pause(30)
    return world.kube.current(job)


def lose_the_status(world: World, job: Job) -> None:
    world.kube.edit_status(job, **{name: getattr(JobStatus(), name) for name in JobStatus.__struct_fields__})


@pytest.mark.parametrize("is_lost", [False, True], ids=["status is there", "status is lost"])
@pytest.mark.parametrize("change", CHANGES)
async def test_a_setting_that_changes_while_a_submission_is_in_doubt_makes_no_second_job(
    world: World, change: str, is_lost: bool
) -> None:
    old = world.provider
    job = world.kube.create()
    world.faults.arm("after submit", Crash())
    assert await world.crashes(world.reconcile(job))
    status = world.kube.current(job).status
    assert status.destination is not None and status.destination.site == old.site
    if is_lost:
        lose_the_status(world, job)
    CHANGES[change](world)
    world.start()
    job = await passes(world, job)
    assert (len(old.submissions), len(world.provider.submissions)) == (1, 0)
    assert (job.status.phase, job.status.provider) == (Phase.SCHEDULED, old.name)
    assert job.status.resource_path == f"fake/{job.external_name}"
    old.move(Phase.COMPLETED, exit_code=0, completed_at=START)
    job = await passes(world, job, 2)
    assert (job.status.phase, row(world, job).status) == (Phase.COMPLETED, Phase.COMPLETED)


@pytest.mark.parametrize("change", CHANGES)
async def test_a_submission_that_never_left_goes_where_it_was_to_go(world: World, change: str) -> None:
    old = world.provider
    job = world.kube.create()
    world.faults.arm("before submit", Crash())
    assert await world.crashes(world.reconcile(job))
    CHANGES[change](world)
    world.start()
    job = await passes(world, job)
    assert (len(old.submissions), len(world.provider.submissions)) == (1, 0)


@pytest.mark.parametrize("change", CHANGES)
async def test_jobs_that_run_are_followed_to_their_end_where_they_are(world: World, change: str) -> None:
    old = world.provider
    job = await running(world)
    CHANGES[change](world)
    world.start()
    world.reconciler.start_leading()
    new = world.kube.create("new")
    await world.reconcile(new)
    assert len(world.provider.submissions) == 1, "new jobs go where the settings say"
    job = await passes(world, job, 2)
    old.move(Phase.FAILED, exit_code=3, completed_at=START)
    job = await passes(world, job, 2)
    assert (job.status.phase, job.status.exit_code) == (Phase.FAILED, 3)
    assert len(old.submissions) == 1


@pytest.mark.parametrize("is_lost", [False, True], ids=["status is there", "status is lost"])
async def test_a_queue_that_changes_while_a_submission_is_in_doubt_makes_no_second_job(is_lost: bool) -> None:
    world = World(names_are_ids=False)
    service = world.provider
    job = world.kube.create()
    world.faults.arm("after submit", Unavailable("the reply is lost"))
    with pytest.raises(Unavailable):
        await world.reconcile(job)
    if is_lost:
        lose_the_status(world, job)
    service.queue = "spot"
    world.start()
    job = await passes(world, job, 20)
    assert len(service.submissions) == 1
    assert (job.status.resource_path, job.status.destination.queue) == (f"fake/{job.external_name}/0", "queue")


async def test_a_job_that_is_sent_for_the_second_time_goes_to_the_same_queue() -> None:
    world = World(names_are_ids=False)
    job = world.kube.create()
    world.faults.arm("before submit", Unavailable("nothing arrived"))
    with pytest.raises(Unavailable):
        await world.reconcile(job)
    world.provider.queue = "spot"
    world.start()
    await passes(world, job, 20)
    assert [request.destination.queue for request in world.provider.submissions] == ["queue"]


async def test_a_place_that_cannot_be_reached_is_told_of_and_nothing_is_sent_elsewhere(world: World) -> None:
    old = world.provider
    job = world.kube.create()
    world.faults.arm("after submit", Crash())
    assert await world.crashes(world.reconcile(job))
    change_the_region(world)
    kept = world.elsewhere.pop(old.site)
    world.start()
    job = await passes(world, job, 4)
    told = conditions.find(job.status.conditions, conditions.SUBMITTED)
    assert told is not None and (told.status, told.reason) == ("False", reasons.DESTINATION_UNREACHABLE)
    assert "local nowhere" in told.message and "there are no credentials" in told.message
    assert world.kube.events.count(("Warning", reasons.DESTINATION_UNREACHABLE)) == 1
    assert (len(old.submissions), world.provider.submissions) == (1, [])
    world.elsewhere[old.site] = kept
    world.clock.pause(60)
    job = await passes(world, job, 2)
    assert (job.status.phase, len(old.submissions)) == (Phase.SCHEDULED, 1)


async def test_a_job_that_runs_out_of_reach_is_not_given_up(world: World) -> None:
    """The time in which nobody can look counts for nothing: neither is it missing, nor is it cancelled."""
    old = world.provider
    job = await running(world)
    change_the_region(world)
    kept = world.elsewhere.pop(old.site)
    world.kube.edit(job, cancel=True)
    world.start()
    world.reconciler.start_leading()
    job = await passes(world, job, 30)
    told = conditions.find(job.status.conditions, conditions.OBSERVED)
    assert told is not None and (told.status, told.reason) == ("False", reasons.DESTINATION_UNREACHABLE)
    assert (job.status.phase, old.cancelled) == (Phase.RUNNING, [])
    old.jobs, jobs = {}, old.jobs  # and when it can be looked for again, it has its whole time
    world.elsewhere[old.site] = kept
    job = await passes(world, job, 1)
    assert job.status.phase is Phase.RUNNING
    old.jobs = jobs
    job = await passes(world, job, 2)
    assert (job.status.phase, old.cancelled) == (Phase.RUNNING, [job.external_name])


async def test_a_place_out_of_reach_is_tried_once_a_minute_for_all_of_its_jobs(world: World) -> None:
    old = world.provider
    all_of_them = [await running(world, f"job-{number}") for number in range(5)]
    change_the_region(world)
    world.elsewhere.clear()
    tries = 0
    make = world.make_elsewhere

    def counting(site: object) -> object:
        nonlocal tries
        tries += 1
        return make(site)  # type: ignore[arg-type]

    world.make_elsewhere = counting  # type: ignore[method-assign,assignment]
    world.start()
    for _ in range(3):
        for job in all_of_them:
            with pytest.raises(Unreachable):
                await world.reconcile(job)
    assert tries == 1
    world.clock.pause(61)
    with pytest.raises(Unreachable):
        await world.reconcile(all_of_them[0])
    assert (tries, len(old.submissions)) == (2, 5)


async def test_a_place_that_is_another_than_the_credentials_say_is_not_used(world: World) -> None:
    """An account is told by the credentials: with those of another one every job would be absent."""
    job = await running(world)
    site = world.provider.site
    change_the_region(world)
    impostor = FakeProvider()
    impostor.region = "elsewhere"
    world.elsewhere[site] = impostor
    world.start()
    with pytest.raises(Unreachable, match="today's credentials and settings reach local elsewhere"):
        await world.reconcile(job)


async def test_a_submitted_job_of_before_destinations_whose_provider_is_no_more_says_so(world: World) -> None:
    job = await running(world)
    world.kube.edit_status(job, destination=None)
    change_the_provider(world)
    world.start()
    with pytest.raises(Unreachable, match="provider local is not set up"):
        await world.reconcile(job)
    told = conditions.find(world.kube.current(job).status.conditions, conditions.OBSERVED)
    assert told is not None and told.reason == reasons.DESTINATION_UNREACHABLE
