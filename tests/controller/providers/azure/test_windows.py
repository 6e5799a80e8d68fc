"""Sets with a parallelism on Azure Batch: as many tasks as may be under way, and as they end the next, each once."""

import asyncio

import msgspec
import pytest
from aiohttp import web

from controller.domain import reasons
from controller.domain.errors import Permanent, Retryable, Unavailable
from controller.domain.phases import Phase
from controller.providers.azure import hidden, listing
from controller.providers.azure.provider import AzureProvider
from dev.emulators.azure.pools import PoolSpec
from dev.emulators.azure.server import drop
from dev.emulators.faults import Faults
from tests.controller.providers.azure.harness import (
    Service,
    Watched,
    answer,
    each_task,
    entries,
    ref,
    wanted,
)

ROUND_SECONDS = 3


def begun(provider: AzureProvider, command: str = "sleep 10", *, completions: int = 9, parallelism: int = 3) -> Watched:
    return Watched(provider, wanted(("sh", "-c", command), completions=completions, parallelism=parallelism))


async def to_its_end(service: Service, job: Watched, rounds: int = 100) -> None:
    for _ in range(rounds):
        if (await job.go_on()).has_ended:
            return
        service.clock.advance(ROUND_SECONDS)
    raise AssertionError(f"no end: {job.seen}")


def made(service: Service, job: Watched) -> list[int]:
    """The indexes of the tasks that are there."""
    [shared] = service.emulator.service.jobs.values()
    mine = [one.id for one in shared.tasks.values() if one.uid == job.request.uid]
    return sorted(int(task_id.rpartition("-")[2]) for task_id in mine)


def remove(service: Service, job: Watched, index: int) -> None:
    """By hand."""
    [shared] = service.emulator.service.jobs.values()
    [task_id] = [one.id for one in shared.tasks.values() if one.id.endswith(f"-{index}")]
    service.emulator.service.delete_task(shared.id, task_id)


def assert_each_ran_once(service: Service, job: Watched, *, tasks: int = 9, at_once: int = 3) -> None:
    [entry] = entries(service, job.request)
    assert (entry.tasks, entry.tasks_made_again, entry.most_at_once) == (tasks, 0, at_once)


async def test_no_more_tasks_are_made_than_may_be_under_way(service: Service, provider: AzureProvider) -> None:
    job = begun(provider)
    submitted = await job.submit()
    assert (submitted.phase, submitted.tasks.pending, submitted.tasks.submitted) == (Phase.PENDING, 9, 3)
    assert made(service, job) == [0, 1, 2]
    service.clock.advance(5)
    assert (await job.go_on()).tasks.running == 3 and made(service, job) == [0, 1, 2]
    await to_its_end(service, job)
    assert (job.seen.phase, job.seen.tasks.succeeded, job.seen.exit_code) == (Phase.COMPLETED, 9, 0)
    assert_each_ran_once(service, job)


async def test_the_tasks_after_one_that_failed_run_as_they_do_without_a_parallelism(
    service: Service, provider: AzureProvider
) -> None:
    job = begun(provider, "sleep 10; exit 3")
    await job.submit()
    await to_its_end(service, job)
    assert (job.seen.phase, job.seen.tasks.failed, job.seen.exit_code) == (Phase.FAILED, 9, 3)
    assert_each_ran_once(service, job)


async def test_the_next_tasks_are_one_call(service: Service, provider: AzureProvider) -> None:
    job = begun(provider, completions=90, parallelism=30)
    await job.submit()
    service.clock.advance(20)
    await job.look()
    service.counts.clear()
    job.seen = await provider.submit(msgspec.structs.replace(job.request, begun=job.seen))
    assert service.counts == {"create_tasks": 1}
    assert (job.seen.tasks.submitted, job.seen.tasks_due) == (60, 0)


async def test_a_round_asks_for_no_task_that_is_to_come(service: Service, provider: AzureProvider) -> None:
    job = begun(provider, completions=5000, parallelism=30)
    await job.submit()
    await job.look()
    service.counts.clear()
    for _ in range(3):
        service.clock.advance(1)
        await job.look()
    assert service.counts == {"list_tasks": 3, "list_jobs": 3}


# --- lost replies, deaths, replicas ---------------------------------------------------------------------


async def test_tasks_whose_reply_was_lost_are_not_made_again(service: Service, provider: AzureProvider) -> None:
    job = begun(provider)
    await job.submit()
    service.clock.advance(20)

    async def done_and_lost(asked: web.Request) -> web.StreamResponse:
        tasks = msgspec.json.decode(await asked.read())["value"]
        service.emulator.service.create_tasks(asked.path.split("/")[2], tasks)
        return drop(asked)

    service.answer("create_tasks", done_and_lost)
    with pytest.raises(Unavailable):
        await job.go_on()
    assert made(service, job) == [0, 1, 2, 3, 4, 5]
    await to_its_end(service, job)
    assert_each_ran_once(service, job)


async def test_a_process_that_knows_only_an_older_status_makes_no_task_twice_and_none_too_many(
    service: Service,
) -> None:
    job = begun(service.provider())
    await job.submit()
    before = job.seen
    for _ in range(4):  # at last it has made all of them, and died before it could say so
        service.clock.advance(20)
        await job.go_on()
        late = Watched(service.provider(), job.request)
        late.seen = before
        await late.go_on()
    assert made(service, job) == list(range(9))
    await to_its_end(service, late)
    assert late.seen.phase is Phase.COMPLETED
    assert_each_ran_once(service, late)


async def test_tasks_that_a_process_made_before_it_died_are_under_way_though_status_does_not_know_them(
    service: Service,
) -> None:
    job = begun(service.provider())
    await job.submit()
    service.clock.advance(20)
    before = await job.look()
    assert before.is_at_rest
    await job.go_on()
    late = Watched(service.provider(), job.request)
    late.seen = before
    for _ in range(2):
        seen = await late.provider.observe([late.ref])
        [one] = seen.values()
        assert (one.is_at_rest, one.tasks.submitted, one.tasks_due) == (False, 6, 0)
        assert await late.provider.get(late.ref) == one
        service.clock.advance(1)


async def test_a_set_whose_status_was_lost_goes_on_from_what_there_is(service: Service) -> None:
    job = begun(service.provider())
    await job.submit()
    service.clock.advance(20)
    await job.go_on()
    job = Watched(service.provider(), job.request)
    await to_its_end(service, job)
    assert_each_ran_once(service, job)


async def test_two_replicas_that_go_on_at_once_keep_the_parallelism(service: Service) -> None:
    first = begun(service.provider(), completions=30)
    second = Watched(service.provider(), first.request)
    await asyncio.gather(first.submit(), second.submit())
    for _ in range(30):
        service.clock.advance(ROUND_SECONDS)
        await asyncio.gather(first.go_on(), second.go_on())
    await to_its_end(service, second)
    assert_each_ran_once(service, second, tasks=30)


async def test_a_submission_that_is_repeated_while_the_set_runs_adopts_it(service: Service) -> None:
    job = begun(service.provider())
    await job.submit()
    service.clock.advance(20)
    again = Watched(service.provider(), job.request)
    seen = await again.submit()
    assert (seen.tasks.succeeded, seen.tasks_due, seen.is_at_rest) == (3, 3, True)
    await to_its_end(service, again)
    assert_each_ran_once(service, again)


async def test_a_task_that_one_call_for_many_left_out_is_made_by_the_next(service: Service) -> None:
    job = begun(service.provider())
    await job.submit()
    service.clock.advance(20)

    async def without_the_second(asked: web.Request) -> web.StreamResponse:
        tasks = msgspec.json.decode(await asked.read())["value"]
        left_out = tasks.pop(1)
        results = service.emulator.service.create_tasks(asked.path.split("/")[2], tasks)
        error = {"code": "InternalError", "message": {"lang": "en", "value": "try again"}}
        results.append({"taskId": left_out["id"], "status": "servererror", "error": error})
        return web.json_response({"value": results})

    service.answer("create_tasks", without_the_second)
    with pytest.raises(Retryable, match="try again"):
        await job.go_on()
    assert made(service, job) == [0, 1, 2, 3, 5]
    next_one = Watched(service.provider(), job.request)  # of another process
    next_one.seen = job.seen
    await to_its_end(service, next_one)
    assert next_one.seen.phase is Phase.COMPLETED
    assert_each_ran_once(service, next_one)


async def test_tasks_that_no_read_shows_yet_keep_their_places() -> None:
    async with Service(faults=Faults(hidden_seconds=20), seed=7).serving() as service:
        job = begun(service.provider(), "sleep 5", completions=12)
        with pytest.raises(KeyError):
            await job.submit()
            await job.look()
        for _ in range(80):
            service.clock.advance(ROUND_SECONDS)
            found = await job.provider.observe([job.ref])
            if found:
                await job.go_on()
        assert job.seen.phase is Phase.COMPLETED
        assert_each_ran_once(service, job, tasks=12)


# --- tasks that somebody removed or ended ---------------------------------------------------------------


@pytest.mark.parametrize("index", [0, 1, 2], ids=["the first", "one in the middle", "the last that was made"])
@pytest.mark.parametrize("parallelism", [1, 3])
async def test_a_task_that_somebody_removed_is_not_made_again_and_holds_nothing_up(
    service: Service, provider: AzureProvider, index: int, parallelism: int
) -> None:
    job = begun(provider, parallelism=parallelism)
    await job.submit()
    while job.seen.tasks.submitted < 3:
        service.clock.advance(11)
        await job.go_on()
    service.clock.advance(1)
    await job.look()
    remove(service, job, index)
    fresh = Watched(service.provider(), job.request)
    fresh.seen = job.seen
    await to_its_end(service, fresh)
    assert (fresh.seen.phase, fresh.seen.reason) == (Phase.FAILED, reasons.DELETED_EXTERNALLY)
    assert "1 of its tasks" in fresh.seen.message
    assert fresh.seen.tasks.succeeded == 8
    assert made(service, fresh) == [n for n in range(9) if n != index]
    assert_each_ran_once(service, fresh, at_once=parallelism)


async def test_a_task_that_somebody_ended_has_failed_and_the_others_run(
    service: Service, provider: AzureProvider
) -> None:
    job = begun(provider, parallelism=1)
    await job.submit()
    service.clock.advance(1)
    [shared] = service.emulator.service.jobs.values()
    service.emulator.service.terminate_task(shared.id, next(iter(shared.tasks.values())).id)
    await to_its_end(service, job)
    assert (job.seen.phase, job.seen.failed_unless_asked) == (Phase.CANCELLED, reasons.DELETED_EXTERNALLY)
    assert_each_ran_once(service, job, at_once=1)


async def test_a_removed_task_is_waited_for_only_once(service: Service, provider: AzureProvider) -> None:
    job = begun(provider, "sleep 1", parallelism=1)
    await job.submit()
    service.clock.advance(2)
    await job.go_on()
    remove(service, job, 0)
    service.clock.advance(listing.FULL_SECONDS + 1)
    begun_at = service.clock.seconds
    await to_its_end(service, job, 200)
    assert service.clock.seconds - begun_at < 2 * hidden.HIDDEN_SECONDS + 9 * ROUND_SECONDS
    assert job.seen.tasks.succeeded == 8


# --- the end --------------------------------------------------------------------------------------------


async def test_a_cancelled_set_is_at_rest_with_what_was_made_of_it(service: Service, provider: AzureProvider) -> None:
    job = begun(provider, completions=60, parallelism=30)
    await job.submit()
    service.clock.advance(1)
    assert await provider.cancel(job.ref, reason="because")
    service.clock.advance(1)
    seen = await job.look()
    assert seen.is_at_rest and (seen.tasks.failed, seen.tasks.pending) == (30, 30)
    assert await provider.cancel(job.ref, reason="because")


async def test_what_was_made_of_a_set_that_ended_early_is_deleted(service: Service, provider: AzureProvider) -> None:
    job = begun(provider)
    await job.submit()
    service.clock.advance(1)
    await provider.delete(job.ref)
    assert made(service, job) == [0, 1, 2], "deleting is not ending"
    await provider.cancel(job.ref, reason="because")
    service.answer("delete_task", answer(500, "InternalError"))
    with pytest.raises(Unavailable):
        await provider.delete(job.ref)
    await provider.delete(job.ref)
    assert made(service, job) == []


async def test_a_set_at_rest_is_not_among_what_runs_without_its_object(
    service: Service, provider: AzureProvider
) -> None:
    job = begun(provider)
    await job.submit()
    service.clock.advance(1)
    [found] = await provider.unclaimed(set())
    assert not found.has_ended and found.seen.resource_path == job.seen.resource_path
    service.clock.advance(20)
    assert await provider.unclaimed(set()) == []
    unknown = msgspec.structs.replace(ref(job.request), spec=None, created_at=None)
    assert (await provider.get(unknown)).is_at_rest


# --- pools and shared jobs ------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["completed", "terminating", "deleting"])
async def test_a_set_does_not_go_on_in_another_shared_job(
    service: Service, provider: AzureProvider, state: str
) -> None:
    job = begun(provider)
    await job.submit()
    service.clock.advance(20)
    await job.look()
    [shared] = service.emulator.service.jobs.values()
    service.emulator.service.set_state(shared.id, state)
    with pytest.raises(Retryable, match="takes no tasks") as refused:
        await provider.submit(msgspec.structs.replace(job.request, begun=job.seen))
    assert not isinstance(refused.value, Unavailable), "it is known that nothing was made"
    assert len(service.emulator.service.jobs) == 1 and made(service, job) == [0, 1, 2]
    service.clock.advance(120)
    seen = await job.look()
    service.clock.advance(120)
    seen = await job.look()
    if state == "deleting":
        assert seen.is_being_deleted and not seen.tasks_due
    else:
        assert (seen.phase, seen.reason) == (Phase.FAILED, reasons.DELETED_EXTERNALLY)


async def test_a_set_goes_on_when_its_pool_is_there_again(service: Service, provider: AzureProvider) -> None:
    job = begun(provider)
    await job.submit()
    service.clock.advance(100)
    await job.look()
    service.emulator.service.delete_pool("jennah")
    with pytest.raises(Permanent, match="no pool 'jennah'"):
        await job.go_on()
    service.emulator.service.put_pool(PoolSpec(name="jennah"))
    await to_its_end(service, job)
    assert job.seen.phase is Phase.COMPLETED
    assert_each_ran_once(service, job)


async def test_a_set_stays_where_it_is_when_the_settings_change(service: Service, provider: AzureProvider) -> None:
    job = begun(provider)
    await job.submit()
    changed = Watched(service.provider(pool="jennah-spot"), job.request)
    changed.seen = job.seen
    await to_its_end(service, changed)
    assert_each_ran_once(service, changed)


async def test_what_the_service_refuses_of_the_next_tasks_ends_nothing_that_runs(
    service: Service, provider: AzureProvider
) -> None:
    job = begun(provider)
    await job.submit()
    service.clock.advance(20)
    await job.go_on()
    service.clock.advance(5)
    remove(service, job, 0)
    job.seen = msgspec.structs.replace(job.seen, tasks_due=1)
    service.answer("create_tasks", each_task("clienterror", "InvalidPropertyValue", "no"))
    with pytest.raises(Permanent):
        await provider.submit(msgspec.structs.replace(job.request, begun=job.seen))
    assert (await job.look()).tasks.running == 3
