"""Sets with a parallelism under the real reconciler, on the stand-in: whoever dies, and whatever is lost."""

import random
from collections.abc import AsyncIterator

import pytest

from controller.domain import conditions, reasons
from controller.domain.errors import Conflict, EnvironmentMissing, JennahError, NotFound, Permanent, Retryable
from controller.domain.job import Job
from controller.domain.phases import Phase
from dev.emulators.azure.pools import PoolSpec
from dev.emulators.faults import Faults
from tests.controller.fakes import START, Crash
from tests.controller.providers.azure.harness import Service
from tests.controller.providers.azure.world import AzureWorld
from tests.controller.reconcile.harness import Process

POINTS = ["before status", "after status", "before record", "after record"]
SET = {"completions": 10, "parallelism": 3, "command": ("sleep", "10")}


@pytest.fixture
async def world() -> AsyncIterator[AzureWorld]:
    async with Service(pools=[PoolSpec(name="jennah")]).serving() as service:
        yield AzureWorld(service)


async def step(world: AzureWorld, process: Process, job: Job) -> None:
    """A round and a pass, of whichever process."""
    try:
        await process.observer._round()
        await process.reconcile(job)
    except Crash:
        world.restart()
    except (Conflict, NotFound):
        process.upsert(world.kube.current(job))
    except JennahError as error:
        assert not isinstance(error, Permanent), error


@pytest.mark.parametrize("seed", range(6))
async def test_ten_tasks_run_once_three_at_once_whoever_is_killed_and_whatever_is_lost(seed: int) -> None:
    dice = random.Random(seed)
    faults = Faults(lost_replies=0.33, lost_requests=0.05)
    async with Service(pools=[PoolSpec(name="jennah")], faults=faults, seed=seed).serving() as service:
        world = AzureWorld(service)
        job = world.kube.create(**SET)
        processes = [world.process]
        kills = 0
        for _ in range(400):
            if world.kube.current(job).is_finished:
                break
            fate = dice.random()
            if fate < 0.15:
                world.restart()
                kills += 1
            elif fate < 0.3:
                world.faults.arm(dice.choice(POINTS), Crash())
            if world.process not in processes:
                processes.append(world.process)
            # One that was paused and not killed goes on with what it knew.
            await step(world, dice.choice(processes[-2:]), job)
            await world.clock.advance(dice.uniform(0.5, 4))
        status = world.kube.current(job).status
        assert (status.phase, status.tasks.succeeded, status.tasks.submitted) == (Phase.COMPLETED, 10, 10)
        [entry] = world.account.ledger()
        assert (entry.tasks, entry.tasks_made_again, entry.most_at_once) == (10, 0, 3)
        assert kills > 0
        assert [to for _, _, to in world.audit(job)][-1] == "Completed"
        assert [row[0] for row in world.audit(job)] == list(range(len(world.audit(job))))
        await world.provider.close()


@pytest.mark.parametrize("seed", range(3))
async def test_what_somebody_removes_is_never_made_again_whoever_is_killed(seed: int) -> None:
    dice = random.Random(seed)
    faults = Faults(lost_replies=0.2)
    async with Service(pools=[PoolSpec(name="jennah")], faults=faults, seed=seed).serving() as service:
        world = AzureWorld(service)
        job = world.kube.create(**SET)
        removed: set[int] = set()
        for _ in range(600):
            status = world.kube.current(job).status
            if status.phase is not None and status.phase.is_terminal:
                break
            if dice.random() < 0.05:
                world.restart()
            known = status.tasks.submitted if status.tasks else 0
            if known and dice.random() < (0.1 if removed else 0.8) and len(removed) < 4:
                index = dice.choice([known - 1, dice.randrange(known)])
                [shared] = world.account.jobs.values()
                for task_id in [one.id for one in shared.tasks.values() if one.id.endswith(f"-{index}")]:
                    world.account.delete_task(shared.id, task_id)
                    removed.add(index)
            await step(world, world.process, job)
            await world.clock.advance(dice.uniform(0.5, 6))
        status = world.kube.current(job).status
        [entry] = world.account.ledger()
        assert (entry.tasks, entry.tasks_made_again) == (10, 0) and entry.most_at_once <= 3
        # One whose success was seen before it was removed has succeeded.
        assert removed and status.tasks.succeeded >= 10 - len(removed)
        assert status.phase is (Phase.COMPLETED if status.tasks.succeeded == 10 else Phase.FAILED)
        await world.provider.close()


async def looked_after(world: AzureWorld, job: Job, seconds: float, *, every: float = 5) -> Job:
    for _ in range(int(seconds / every)):
        await world.clock.advance(every)
        await world.observer._round()
        await world.reconcile(job)
    return world.kube.current(job)


async def test_a_set_tells_how_it_gets_on(world: AzureWorld) -> None:
    job = await world.submitted(**SET)
    job = await looked_after(world, job, 25)
    tasks = job.status.tasks
    assert (job.status.phase, tasks.total, tasks.submitted) == (Phase.RUNNING, 10, 9 if tasks.succeeded == 6 else 6)
    assert tasks.pending == 10 - tasks.running - tasks.succeeded
    job = await looked_after(world, job, 60)
    assert (job.status.phase, job.status.exit_code, job.status.tasks.pending) == (Phase.COMPLETED, 0, 0)


@pytest.mark.parametrize(
    "wish", [{"cancel": True}, {"metadata": {"deletion_timestamp": START}}], ids=["cancel", "delete"]
)
@pytest.mark.parametrize("seconds", [5, 15], ids=["while it runs", "at rest"])
async def test_a_set_that_is_not_wanted_any_more_ends_and_gets_no_more_tasks(
    world: AzureWorld, wish: dict[str, object], seconds: float
) -> None:
    job = await world.submitted(**SET)
    await world.clock.advance(seconds)
    world.kube.edit(job, **wish)
    for _ in range(3):
        await world.observer._round()
        if world.kube.objects:
            await world.reconcile(job)
        await world.clock.advance(1)
    assert world.record.rows["tenant", "job"].status is Phase.CANCELLED
    [entry] = world.account.ledger()
    assert (entry.tasks, entry.state) == (3, "completed")
    if not wish.get("cancel"):
        assert world.kube.objects == {}


async def test_a_set_that_waits_for_too_long_ends_at_its_pending_deadline(world: AzureWorld) -> None:
    world.account.put_pool(PoolSpec(name="jennah", has_nodes=False))
    job = await world.submitted(**SET, pending_deadline_seconds=60)
    job = await looked_after(world, job, 80)
    assert (job.status.phase, job.status.reason) == (Phase.FAILED, reasons.PENDING_DEADLINE_EXCEEDED)


async def test_a_set_whose_secret_has_gone_runs_on_and_says_so(world: AzureWorld) -> None:
    job = await world.submitted(**SET)
    env, world.kube.env = world.kube.env, EnvironmentMissing("Secret 'x' is not there")
    await world.clock.advance(15)
    for _ in range(3):
        await world.observer._round()
        with pytest.raises(Retryable, match="Secret 'x'"):
            await world.reconcile(job)
        await world.clock.advance(60)
    job = world.kube.current(job)
    told = conditions.find(job.status.conditions, conditions.PROGRESSING)
    assert (job.status.phase, told.status, told.reason) == (
        Phase.RUNNING,
        "False",
        reasons.WAITING_FOR_ENVIRONMENT,
    )
    world.kube.env = env
    job = await looked_after(world, job, 60)
    assert job.status.phase is Phase.COMPLETED


async def test_a_set_whose_shared_job_somebody_ended_at_rest_has_failed(world: AzureWorld) -> None:
    job = await world.submitted(**SET)
    await world.clock.advance(15)
    [shared] = world.account.jobs.values()
    world.account.terminate_job(shared.id, "by hand")
    for _ in range(30):
        await world.clock.advance(5)
        await step(world, world.process, job)
    job = world.kube.current(job)
    assert (job.status.phase, job.status.reason) == (Phase.FAILED, reasons.DELETED_EXTERNALLY)
    assert (job.status.tasks.succeeded, len(world.account.jobs)) == (3, 1)


async def test_a_set_at_rest_whose_object_was_forced_away_gets_its_end_in_the_record(world: AzureWorld) -> None:
    job = await world.submitted(**SET)
    await world.clock.advance(15)
    world.kube.force_off(job)
    await world.clock.advance(400)
    await world.process.orphans.sweep()
    assert world.record.rows["tenant", "job"].status is Phase.CANCELLED
    assert world.account.ledger()[0].tasks == 3
