"""The Azure adapter against the stand-in: the start, and each job exactly once."""

import asyncio

import msgspec
import pytest
from aiohttp import web

from controller.domain import reasons
from controller.domain.errors import ConfigError, Permanent, Retryable, Throttled, Unavailable
from controller.domain.phases import Phase
from controller.ports import SubmitRequest
from controller.providers.azure import calls
from controller.providers.azure.provider import AzureProvider
from dev.emulators.azure.pools import PoolSpec
from dev.emulators.azure.server import drop
from tests.controller.providers.azure.harness import (
    Service,
    answer,
    each_task,
    entries,
    lost,
    noted,
    observed,
    ref,
    wanted,
)


async def done_and_lost(service: Service, operation: str, request: SubmitRequest, provider: AzureProvider) -> None:
    """A submission that the service takes and of which no reply comes."""

    async def reply(asked: web.Request) -> web.StreamResponse:
        body = msgspec.json.decode(await asked.read())
        made = body["value"] if operation == "create_tasks" else body
        getattr(service.emulator.service, operation)(asked.path.split("/")[2], made)
        return drop(asked)

    service.answer(operation, reply)
    with pytest.raises(Unavailable):
        await provider.submit(request)
    service.clock.advance(1)


# --- the start ------------------------------------------------------------------------------------------


async def test_opening_finds_every_configured_pool(service: Service, provider: AzureProvider) -> None:
    await provider.open()
    assert service.counts == {"get_pool": 3}


async def test_a_missing_pool_is_named_with_its_variable(service: Service) -> None:
    provider = service.provider(pool="nowhere", pools={"spot": "gone"})
    with pytest.raises(ConfigError) as error:
        await provider.open()
    first, second = error.value.faults
    assert "AZURE_BATCH_POOL:" in first and "'nowhere'" in first
    assert "AZURE_BATCH_POOLS:" in second and "'gone'" in second


async def test_a_pool_without_containers_is_no_pool_for_us() -> None:
    async with Service(pools=[PoolSpec(name="jennah", takes_containers=False)]).serving() as service:
        with pytest.raises(ConfigError, match="containerConfiguration"):
            await service.provider(pools={}).open()


@pytest.mark.parametrize("other", [{"account_key": "d3Jvbmc="}, {"account": "stranger"}])
async def test_refused_credentials_name_the_role_and_not_the_key(service: Service, other: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="Azure Batch Job Submitter") as error:
        await service.provider(**other).open()
    assert "d3Jvbmc=" not in str(error.value)


async def test_an_unreachable_service_is_unavailable_at_the_start(service: Service) -> None:
    with pytest.raises(Unavailable):
        await service.provider(endpoint="http://127.0.0.1:1").open()


# --- exactly once ---------------------------------------------------------------------------------------


async def test_a_submission_into_a_known_shared_job_is_one_call(service: Service, provider: AzureProvider) -> None:
    await provider.submit(wanted())
    service.counts.clear()
    await provider.submit(wanted())
    assert service.counts == {"create_task": 1}


@pytest.mark.parametrize("operation", ["create_job", "create_task"])
async def test_a_create_is_sent_once_whatever_comes_of_it(
    service: Service, provider: AzureProvider, operation: str
) -> None:
    for error in (answer(500, "InternalError"), answer(503, "ServerBusy"), lost):
        service.answer(operation, error)
        before = service.counts[operation]
        with pytest.raises(Retryable):
            await provider.submit(wanted())
        assert service.counts[operation] == before + 1


async def test_replicas_that_begin_a_day_at_once_share_one_job(service: Service) -> None:
    requests = [wanted() for _ in range(40)]
    replicas = [service.provider() for _ in range(4)]
    await asyncio.gather(*(replicas[n % 4].submit(request) for n, request in enumerate(requests)))
    [job] = service.emulator.service.jobs.values()
    assert len(job.tasks) == 40


async def test_a_job_of_that_id_that_is_not_ours_is_left_alone(service: Service) -> None:
    await service.provider().submit(wanted())
    [job] = service.emulator.service.jobs.values()
    job.wire["metadata"] = []
    with pytest.raises(Permanent) as error:
        await service.provider().submit(wanted())
    assert error.value.reason == reasons.NAME_TAKEN


@pytest.mark.parametrize("state", ["completed", "terminating", "deleting"])
async def test_a_shared_job_that_somebody_ended_is_followed_by_the_next(service: Service, state: str) -> None:
    provider, request = service.provider(), wanted()
    await provider.submit(wanted())
    [job] = service.emulator.service.jobs.values()
    service.emulator.service.set_state(job.id, state)
    path = (await provider.submit(request)).resource_path
    assert f"{job.id}-g1/" in path
    fresh = service.provider()
    assert (await fresh.submit(request)).resource_path == path
    assert (await fresh.get(ref(request))).resource_path == path
    assert len(entries(service, request)) == 1


async def test_a_task_in_an_ended_shared_job_is_adopted_and_not_run_again(service: Service) -> None:
    provider, request = service.provider(), wanted()

    await done_and_lost(service, "create_task", request, provider)
    [job] = service.emulator.service.jobs.values()
    service.emulator.service.terminate_job(job.id, "by hand")
    for adapter in (provider, service.provider()):
        adopted = await adapter.submit(request)
        assert (adopted.phase, f"{job.id}/" in adopted.resource_path) == (Phase.CANCELLED, True)
    assert len(entries(service, request)) == 1


async def test_an_ended_shared_job_that_was_removed_does_not_come_back_below_the_next(service: Service) -> None:
    provider, request = service.provider(), wanted()
    await provider.submit(wanted())
    [first] = service.emulator.service.jobs.values()
    service.emulator.service.terminate_job(first.id, "by hand")
    path = (await provider.submit(request)).resource_path
    service.emulator.service.delete_job(first.id)
    assert (await service.provider().submit(request)).resource_path == path
    assert len(entries(service, request)) == 1


@pytest.mark.parametrize(("completions", "operation"), [(1, "create_task"), (250, "create_tasks")])
async def test_a_submission_that_went_to_another_pool_before_the_settings_changed_is_gone_on_with_there(
    service: Service, completions: int, operation: str
) -> None:
    request = noted(service.provider(), wanted(completions=completions))
    await done_and_lost(service, operation, request, service.provider())
    changed = service.provider(pool="jennah-spot", pools={"gpu": "jennah-gpu"})
    await changed.submit(wanted())
    path = (await changed.submit(request)).resource_path
    [first, second] = service.emulator.service.jobs.values()
    assert f"/{first.id}/" in path
    assert (len(first.tasks), len(second.tasks)) == (completions, 1)
    assert (await service.provider(pool="jennah-spot").submit(request)).resource_path == path


async def test_a_submission_looks_nowhere_but_where_it_goes(service: Service) -> None:
    provider = service.provider()
    for spec in ({"spot": True}, {}, {"priority": 50}):
        await provider.submit(wanted(**spec))
    fresh = service.provider()
    service.counts.clear()
    for _ in range(5):
        await fresh.submit(wanted())
    assert service.counts == {"get_pool": 1, "get_job": 1, "create_task": 5}


async def test_a_set_that_was_cut_off_is_gone_on_with(service: Service) -> None:
    request = wanted(completions=250)
    for _ in range(2):
        service.answer("create_tasks", answer(500, "InternalError"))
        provider = service.provider()
        with pytest.raises(Unavailable):
            await provider.submit(request)
    await service.provider().submit(request)
    [job] = service.emulator.service.jobs.values()
    assert len(job.tasks) == 250


async def test_the_same_controller_goes_on_where_a_set_was_cut_off(service: Service, provider: AzureProvider) -> None:
    request, sent = wanted(completions=350), []

    async def note(asked: web.Request) -> web.StreamResponse:
        tasks = msgspec.json.decode(await asked.read())["value"]
        if len(sent) == 1:
            sent.append(0)
            return drop(asked)
        sent.append(len(tasks))
        results = service.emulator.service.create_tasks(asked.path.split("/")[2], tasks)
        return web.json_response({"value": results})

    service.answer("create_tasks", *[note] * 10)
    with pytest.raises(Unavailable):
        await provider.submit(request)
    await provider.submit(request)
    assert sent == [100, 0, 100, 100, 50]
    assert len(entries(service, request)) == 1


async def test_a_set_that_is_not_complete_is_not_submitted_and_can_be_cancelled(service: Service) -> None:
    request, provider = wanted(completions=250), service.provider()

    async def first_then_fail(asked: web.Request) -> web.StreamResponse:
        service.answer("create_tasks", answer(500, "InternalError"))
        tasks = msgspec.json.decode(await asked.read())["value"]
        service.emulator.service.create_tasks(asked.path.split("/")[2], tasks)
        return drop(asked)

    service.answer("create_tasks", first_then_fail)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await provider.submit(request)
    service.clock.advance(1)
    fresh = service.provider()
    seen = await observed(fresh, request)
    assert (seen.has_ended, seen.tasks.submitted, seen.tasks_due) == (False, 100, 150)
    assert await fresh.get(ref(request)) == seen
    await fresh.cancel(ref(request), reason="because")
    service.clock.advance(1)
    seen = await observed(fresh, request)
    assert seen.is_at_rest and not seen.has_ended and await fresh.get(ref(request)) == seen


async def test_a_task_that_the_service_failed_to_make_is_tried_again(service: Service, provider: AzureProvider) -> None:
    request = wanted(completions=5)
    service.answer("create_tasks", each_task("servererror", "InternalServerError", "try again"))
    with pytest.raises(Retryable, match="try again"):
        await provider.submit(request)
    assert (await provider.submit(request)).tasks.total == 5
    service.answer("create_tasks", each_task("clienterror", "InvalidPropertyValue", "no"))
    with pytest.raises(calls.Refused):
        await provider.submit(wanted(completions=5))


async def test_what_was_made_of_a_set_is_not_forgotten_by_a_second_failure(
    service: Service, provider: AzureProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, begun, real = wanted(completions=1000), [], provider._connection.create_tasks

    async def create_tasks(job_id: str, tasks, clean):
        begun.append(int(tasks[0].id.rpartition("-")[2]))
        if len(begun) in (4, 5):
            raise Throttled("busy")
        return await real(job_id, tasks, clean)

    monkeypatch.setattr(provider._connection, "create_tasks", create_tasks)
    for _ in range(2):
        with pytest.raises(Throttled):
            await provider.submit(request)
    await provider.submit(request)
    assert begun == [0, 100, 200, 300, 300, *range(300, 1000, 100)]
    assert not provider._submission._made


async def test_what_was_made_of_a_set_is_forgotten_when_its_shared_job_has_gone(
    service: Service, provider: AzureProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, real = wanted(completions=250), provider._connection.create_tasks

    async def create_tasks(job_id: str, tasks, clean):
        if tasks[0].id.endswith("-200"):
            raise Throttled("busy")
        return await real(job_id, tasks, clean)

    monkeypatch.setattr(provider._connection, "create_tasks", create_tasks)
    with pytest.raises(Throttled):
        await provider.submit(request)
    monkeypatch.undo()
    assert provider._submission._made
    service.emulator.service.jobs.clear()
    assert (await provider.submit(request)).tasks.total == 250
    [job] = service.emulator.service.jobs.values()
    assert len(job.tasks) == 250 and not provider._submission._made


async def test_a_set_that_is_refused_leaves_nothing_running(service: Service, provider: AzureProvider) -> None:
    request = wanted(completions=150)

    async def first(asked: web.Request) -> web.StreamResponse:
        tasks = msgspec.json.decode(await asked.read())["value"]
        return web.json_response({"value": service.emulator.service.create_tasks(asked.path.split("/")[2], tasks)})

    service.answer("create_tasks", first, answer(400, "InvalidPropertyValue"))
    with pytest.raises(Permanent):
        await provider.submit(request)
    service.clock.advance(1)
    assert (await provider.get(ref(request))).is_at_rest
