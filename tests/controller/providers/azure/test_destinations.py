"""A job stays where it was sent, whatever the settings say later."""

from collections.abc import Mapping
from datetime import timedelta

import msgspec
import pytest
from aiohttp import web

from controller import clouds
from controller.clock import SystemClock
from controller.domain.destination import Destination
from controller.domain.errors import ConfigError, Forbidden, Permanent, Unavailable, Unreachable
from controller.domain.phases import Phase
from controller.ports import SubmitRequest
from controller.providers.azure.destination import variables
from controller.providers.azure.provider import AzureProvider
from dev.emulators.azure import auth
from dev.emulators.azure.pools import PoolSpec
from dev.emulators.azure.server import drop
from tests.controller.providers.azure.harness import Service, answer, entries, noted, ref, wanted

SETTINGS = (
    ({}, {"pool": "jennah-spot", "pools": {}}),
    ({"spot": True}, {"pools": {"spot": "jennah-gpu"}}),
    ({"completions": 3}, {"pool": "jennah-spot"}),
)
"""What a job asks for, and the pools that changed after it was sent: the place is the same."""
VARIABLES = (
    {"JENNAH_INSTANCE": "another", "AZURE_BATCH_POOL": "another"},
    {"AZURE_BATCH_ENDPOINT": "https://another.westeurope.batch.azure.com"},
    {"BATCH_PROVIDER": "gcp", "BATCH_REGION": "us-central1", "AZURE_BATCH_POOL": ""},
)
"""The variables that changed: the place is another."""


@pytest.fixture
async def before(service: Service) -> AzureProvider:
    provider = service.provider()
    await provider.open()
    return provider


async def at(service: Service, destination: Destination, changed: Mapping[str, str]) -> AzureProvider:
    """The adapter for that place, with the other variables as they are today."""
    today = {
        "BATCH_PROVIDER": "azure",
        "BATCH_REGION": "westeurope",
        "JENNAH_INSTANCE": "test",
        "AZURE_SUBSCRIPTION_ID": "subscription",
        "AZURE_RESOURCE_GROUP": "group",
        "AZURE_BATCH_ACCOUNT": auth.ACCOUNT,
        "AZURE_BATCH_ENDPOINT": service.emulator.url,
        "AZURE_BATCH_KEY": auth.KEY,
        "AZURE_BATCH_POOL": "today's",
    }
    provider = clouds.provider_at(destination, service.clock, {**today, **changed})
    assert isinstance(provider, AzureProvider)
    service.made(provider)
    await provider.open()
    return provider


async def lose_reply(service: Service, provider: AzureProvider, request: SubmitRequest) -> None:
    operation = "create_task" if request.spec.completions == 1 else "create_tasks"

    async def done_and_lost(asked: web.Request) -> web.StreamResponse:
        body = msgspec.json.decode(await asked.read())
        made = body["value"] if operation == "create_tasks" else body
        getattr(service.emulator.service, operation)(asked.path.split("/")[2], made)
        return drop(asked)

    service.answer(operation, done_and_lost)
    with pytest.raises(Unavailable):
        await provider.submit(request)
    service.clock.advance(1)


def shared_jobs(service: Service) -> int:
    return len(service.emulator.service.jobs)


def test_the_destination_is_the_pool_of_the_spec_or_of_the_settings(service: Service) -> None:
    provider = service.provider()
    place = Destination(provider="azure", account=service.emulator.url, instance="test", pool="jennah")
    assert provider.destination(wanted().spec, "any") == place
    assert place.site == provider.site
    assert provider.destination(wanted(spot=True).spec, "any").pool == "jennah-spot"
    with pytest.raises(Permanent, match="AZURE_BATCH_POOLS has none for 'Standard_D4s_v5'"):
        provider.destination(wanted(machine_type="Standard_D4s_v5").spec, "any")


@pytest.mark.parametrize(("spec", "changed"), SETTINGS)
async def test_a_submission_in_doubt_is_adopted_in_its_pool_when_the_pools_changed(
    service: Service, before: AzureProvider, spec: dict[str, object], changed: dict[str, object]
) -> None:
    request = noted(before, wanted(**spec))
    await lose_reply(service, before, request)
    after = service.provider(**changed)
    assert after.site == before.site
    [seen] = await after.find(ref(request))
    assert (await after.observe([ref(request)]))[request.external_name].resource_path == seen.resource_path
    assert (await service.provider(**changed).submit(request)).resource_path == seen.resource_path
    assert (shared_jobs(service), len(entries(service, request))) == (1, 1)


async def test_a_first_submission_goes_to_the_pool_that_was_written_down(
    service: Service, before: AzureProvider
) -> None:
    request = noted(before, wanted())
    after = service.provider(pool="jennah-spot")
    await after.submit(request)
    assert shared_jobs(service) == 1
    assert await before.find(ref(request))
    assert await after.find(ref(request))
    await after.submit(wanted())
    assert shared_jobs(service) == 2


async def test_a_job_is_found_in_a_later_shared_job_of_its_pool_when_the_first_was_removed(
    service: Service, before: AzureProvider
) -> None:
    await before.submit(noted(before, wanted()))
    [first] = service.emulator.service.jobs.values()
    service.emulator.service.terminate_job(first.id, "by hand")
    request = noted(before, wanted())
    await before.submit(request)
    service.emulator.service.delete_job(first.id)
    service.clock.advance(1)
    assert len(await service.provider(pool="jennah-spot").find(ref(request))) == 1


async def test_a_job_is_looked_for_in_the_shared_jobs_of_its_pool_and_in_no_other(
    service: Service, before: AzureProvider
) -> None:
    for spec in ({"spot": True}, {"spot": True, "priority": 50}, {"priority": 50}):
        await before.submit(wanted(**spec))
    there, nowhere = noted(before, wanted()), noted(before, wanted())
    await before.submit(there)
    after = service.provider(pool="jennah-spot")
    service.counts.clear()
    assert await after.find(ref(there))
    assert "list_jobs" not in service.counts
    service.counts.clear()
    assert not await after.find(ref(nowhere))
    assert service.counts["get_task"] == 2  # its own shared job, and that of another priority


@pytest.mark.parametrize("changed", [one for _, one in SETTINGS])
async def test_without_a_destination_a_job_is_found_in_any_shared_job_of_its_day(
    service: Service, before: AzureProvider, changed: dict[str, object]
) -> None:
    request = wanted()
    await lose_reply(service, before, request)
    assert len(await service.provider(**changed).find(ref(request))) == 1


@pytest.mark.parametrize("changed", VARIABLES)
@pytest.mark.parametrize("completions", [1, 3])
async def test_a_submission_in_doubt_is_adopted_in_another_place_when_the_settings_changed(
    service: Service, before: AzureProvider, changed: Mapping[str, str], completions: int
) -> None:
    request = noted(before, wanted(completions=completions))
    await lose_reply(service, before, request)
    there = await at(service, request.destination, changed)
    assert there.site == before.site
    [seen] = await there.find(ref(request))
    assert (await there.submit(request)).resource_path == seen.resource_path
    assert (shared_jobs(service), len(entries(service, request))) == (1, 1)


@pytest.mark.parametrize("changed", VARIABLES)
async def test_a_running_job_is_followed_to_its_end_where_it_was_sent_when_the_settings_changed(
    service: Service, before: AzureProvider, changed: Mapping[str, str]
) -> None:
    request = noted(before, wanted(("sh", "-c", "sleep 60; exit 4")))
    path = (await before.submit(request)).resource_path
    there = await at(service, request.destination, changed)
    phases = []
    for _ in range(2):
        service.clock.advance(40)
        phases.append((await there.observe([ref(request, path)]))[request.external_name].phase)
    assert phases == [Phase.RUNNING, Phase.FAILED]
    assert await there.cancel(ref(request, path), reason="because")
    await there.delete(ref(request, path))
    assert await there.get(ref(request, path)) is None


async def test_a_set_gets_its_next_tasks_where_it_was_sent(service: Service, before: AzureProvider) -> None:
    request = noted(before, wanted(("sleep", "10"), completions=3, parallelism=1))
    seen = await before.submit(request)
    there = await at(service, request.destination, VARIABLES[0])
    while not seen.has_ended:
        service.clock.advance(5)
        known = msgspec.structs.replace(ref(request, seen.resource_path), tasks_submitted=seen.tasks.submitted)
        seen = (await there.observe([known]))[request.external_name]
        if seen.tasks_due:
            seen = await there.submit(msgspec.structs.replace(request, begun=seen))
    assert (seen.phase, seen.tasks.succeeded, len(entries(service, request))) == (Phase.COMPLETED, 3, 1)


async def test_old_shared_jobs_of_another_installation_are_ended_by_who_follows_its_jobs(
    service: Service, before: AzureProvider
) -> None:
    request = noted(before, wanted(("sleep", "10")))
    path = (await before.submit(request)).resource_path
    there = await at(service, request.destination, VARIABLES[0])
    await there.observe([ref(request, path)])
    for _ in range(3):
        service.clock.advance(timedelta(days=1).total_seconds())
        await there.observe([ref(request, path)])
    [job] = service.emulator.service.jobs.values()
    assert job.state == "completed"


@pytest.mark.parametrize(("status", "code"), [(401, "InvalidAuthenticationInfo"), (403, "AuthenticationFailed")])
async def test_credentials_that_do_not_work_there_are_no_answer(
    service: Service, before: AzureProvider, status: int, code: str
) -> None:
    request = noted(before, wanted())
    path = (await before.submit(request)).resource_path
    for operation in ("get_task", "get_job", "list_jobs", "list_tasks", "list_pools", "terminate_task"):
        service.answer(operation, *[answer(status, code)] * 9)
    fresh = service.provider()
    for one in (ref(request), ref(request, path)):
        for ask in (fresh.get, fresh.find, fresh.delete, lambda ref: fresh.cancel(ref, reason="because")):
            with pytest.raises(Forbidden):
                await ask(one)
        with pytest.raises(Forbidden):
            await fresh.observe([one])
    with pytest.raises(ConfigError):
        await at(service, request.destination, {})


async def test_what_answers_in_place_of_an_account_that_has_gone_is_no_place(
    service: Service, before: AzureProvider
) -> None:
    service.answer("list_jobs", answer(404, ""))
    with pytest.raises(ConfigError, match="cannot be read"):
        await at(service, before.site, {})


async def test_an_account_without_pools_is_a_place_all_the_same(service: Service, before: AzureProvider) -> None:
    async with Service(pools=()).serving() as other:
        place = msgspec.structs.replace(before.site, account=other.emulator.url)
        assert (await at(other, place, {})).site == place


async def test_a_job_of_another_account_is_not_asked_for_here(service: Service, before: AzureProvider) -> None:
    async with Service(pools=[PoolSpec(name="jennah")]).serving() as other:
        request = noted(other.provider(), wanted())
        service.counts.clear()
        with pytest.raises(Unreachable):
            await before.submit(request)
        with pytest.raises(Unreachable):
            await before.find(ref(request))
        assert not service.counts


def test_account_and_region_are_read_from_an_endpoint_that_has_them() -> None:
    known = variables(Destination(provider="azure", account="https://one.westeurope.batch.azure.com", instance="i"))
    assert (known["AZURE_BATCH_ACCOUNT"], known["BATCH_REGION"]) == ("one", "westeurope")
    private = variables(Destination(provider="azure", account="http://127.0.0.1:1", instance="i"))
    assert "AZURE_BATCH_ACCOUNT" not in private


def test_a_place_whose_variables_are_missing_is_a_fault_of_the_settings() -> None:
    place = Destination(provider="azure", account="https://one.westeurope.batch.azure.com")
    with pytest.raises(ConfigError, match="AZURE_SUBSCRIPTION_ID is not set"):
        clouds.provider_at(place, SystemClock(), {})
