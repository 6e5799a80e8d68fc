"""Rounds of observation of the Azure adapter against the stand-in."""

from datetime import timedelta

import msgspec
import pytest

from controller.domain import reasons
from controller.domain.errors import Retryable, Unavailable, Unreachable
from controller.domain.phases import Phase
from controller.providers.azure import listing
from controller.providers.azure.provider import AzureProvider
from dev.emulators.faults import Faults
from tests.controller.providers.azure.harness import (
    START,
    Service,
    Watched,
    answer,
    entries,
    many,
    observed,
    ref,
    wanted,
)


async def test_a_round_asks_for_what_changed_and_selects_what_is_read(
    service: Service, provider: AzureProvider
) -> None:
    refs = await many(provider, 5)
    await provider.observe(refs)
    await provider.observe(refs)
    first, second = service.emulator.queries
    assert "$filter" not in first and second["$filter"].startswith("stateTransitionTime ge datetime'")
    assert first["maxresults"] == "1000"
    assert "environmentSettings" not in first["$select"]


async def test_quiet_rounds_are_one_call_for_a_shared_job_and_one_for_all_of_them(
    service: Service, provider: AzureProvider
) -> None:
    refs = await many(provider, 1200)
    service.clock.advance(1)
    await provider.observe(refs)
    service.counts.clear()
    service.emulator.queries.clear()
    assert len(await provider.observe(refs)) == 1200
    assert set(service.counts) == {"list_tasks", "list_jobs"} and service.counts["list_jobs"] == 1


async def test_lists_are_read_over_all_their_pages(service: Service, provider: AzureProvider) -> None:
    refs = await many(provider, 2100)
    assert len(await provider.observe(refs)) == 2100
    assert service.counts["list_tasks"] == 3


async def test_now_and_then_everything_is_read_which_finds_what_was_removed(
    service: Service, provider: AzureProvider
) -> None:
    refs = await many(provider, 3)
    await provider.observe(refs)
    [job] = service.emulator.service.jobs.values()
    service.emulator.service.delete_task(job.id, refs[0].external_name)
    service.clock.advance(listing.FULL_SECONDS + 1)
    assert len(await provider.observe(refs)) == 2


async def test_after_an_error_everything_is_read(service: Service, provider: AzureProvider) -> None:
    refs = await many(provider, 3)
    await provider.observe(refs)
    service.answer("list_tasks", answer(500, "InternalError"))
    with pytest.raises(Unavailable):
        await provider.observe(refs)
    service.emulator.queries.clear()
    await provider.observe(refs)
    assert "$filter" not in service.emulator.queries[0]


@pytest.mark.parametrize(
    ("status", "code"), [(500, "InternalError"), (409, "JobBeingDeleted"), (403, "AuthorizationFailed")]
)
async def test_a_shared_job_that_cannot_be_read_leaves_the_others_and_what_was_seen(
    service: Service, provider: AzureProvider, status: int, code: str
) -> None:
    refs = []
    for day in range(2):
        request = wanted(created_at=START + timedelta(days=day))
        refs.append(ref(request, (await provider.submit(request)).resource_path))
    service.clock.advance(10)
    service.answer("list_tasks", answer(status, code))
    seen = await provider.observe(refs)
    assert {one.phase for one in seen.values()} == {None, Phase.RUNNING} and len(seen) == 2
    assert all(seen[one.external_name].resource_path == one.resource_path for one in refs)
    full = await provider.observe(refs)
    assert {one.phase for one in full.values()} == {Phase.RUNNING}
    service.answer("list_tasks", answer(status, code))
    assert await provider.observe(refs) == full
    service.answer("list_tasks", answer(status, code), answer(status, code))
    with pytest.raises(Retryable):
        await provider.observe(refs)


async def test_a_search_that_fails_leaves_the_others(service: Service, provider: AzureProvider) -> None:
    request = wanted()
    known = ref(request, (await provider.submit(request)).resource_path)
    service.answer("get_job", answer(500, "InternalError"))
    assert list(await provider.observe([ref(wanted()), ref(wanted()), known])) == [known.external_name]
    assert service.counts["get_job"] < 5


async def test_a_failure_to_end_old_jobs_is_told_once_and_fails_no_round(
    service: Service, provider: AzureProvider, caplog: pytest.LogCaptureFixture
) -> None:
    refs = await many(provider, 2)
    await provider.observe(refs)
    for days in (4, 5):
        service.clock.advance(days * 86400)
        service.answer("terminate_job", answer(403, "AuthorizationFailed"))
        assert len(await provider.observe(refs)) == 2
    assert service.counts["terminate_job"] == 2
    assert caplog.text.count("old Azure jobs cannot be ended") == 1


async def test_at_every_moment_of_its_life_get_says_what_observe_says(
    service: Service, provider: AzureProvider
) -> None:
    requests = [
        wanted(("sh", "-c", "sleep 3; exit 3"), backoff_limit=2),
        wanted(("sh", "-c", "sleep 2; exit 0"), completions=4, parallelism=2),
        wanted(("sleep", "4000")),
    ]
    jobs = [Watched(provider, one) for one in requests]
    for job in jobs:
        await job.submit()
    phases: dict[str, list[Phase | None]] = {one.external_name: [] for one in requests}
    for step in range(30):
        service.clock.advance(0.7 if step < 25 else 1000)
        seen = await provider.observe([job.ref for job in jobs])
        for job in jobs:
            name = job.request.external_name
            assert await provider.get(job.ref) == seen[name]
            phases[name].append(seen[name].phase)
            await job.go_on()
    assert [phase[-1] for phase in phases.values()] == [Phase.FAILED, Phase.COMPLETED, Phase.FAILED]


async def test_a_retry_goes_back_and_counts(service: Service, provider: AzureProvider) -> None:
    request = wanted(("sh", "-c", "sleep 10; exit 3"), backoff_limit=1)
    path = (await provider.submit(request)).resource_path
    seen = []
    for at in (1, 9.06, 0.02, 1, 20):
        service.clock.advance(at)
        seen.append(await provider.get(ref(request, path)))
    assert [one.phase for one in seen][::4] == [Phase.RUNNING, Phase.FAILED]
    assert Phase.PENDING in [one.phase for one in seen[1:4]]
    assert [one.retries for one in seen][::4] == [0, 1]


async def test_a_task_that_ran_too_long_is_not_taken_for_a_cancelled_one(
    service: Service, provider: AzureProvider
) -> None:
    request = wanted(("sleep", "9999"))
    await provider.submit(request)
    service.clock.advance(4000)
    seen = await observed(provider, request)
    assert (seen.phase, seen.reason) == (Phase.FAILED, reasons.DEADLINE_EXCEEDED)


async def test_jobs_of_unknown_path_are_found_by_a_fresh_controller(service: Service) -> None:
    requests = [wanted(), wanted(completions=3), wanted(spot=True)]
    paths = {one.external_name: (await service.provider().submit(one)).resource_path for one in requests}
    for hints in ({}, {"spec": None, "created_at": None}):
        fresh = service.provider()
        refs = [msgspec.structs.replace(ref(one), **hints) for one in requests]
        seen = await fresh.observe(refs)
        assert {name: one.resource_path for name, one in seen.items()} == paths


async def test_hidden_tasks_are_left_out_and_come_back() -> None:
    async with Service(faults=Faults(hidden_seconds=5), seed=7).serving() as service:
        provider, request = service.provider(), wanted()
        path = (await provider.submit(request)).resource_path
        assert await observed(provider, request, path) is None
        with pytest.raises(Unavailable):
            await provider.submit(request)
        service.clock.advance(6)
        assert (await observed(provider, request, path)).phase is Phase.RUNNING
        assert len(entries(service, request)) == 1


async def test_a_shared_job_that_was_removed_leaves_its_jobs_out(service: Service, provider: AzureProvider) -> None:
    refs = await many(provider, 3)
    await provider.observe(refs)
    [job] = list(service.emulator.service.jobs.values())
    service.emulator.service.delete_job(job.id)
    assert await provider.observe(refs) == {}
    assert await provider.get(refs[0]) is None


async def test_of_a_path_of_another_account_nothing_is_said(service: Service, provider: AzureProvider) -> None:
    elsewhere = ref(wanted(), "https://other.westeurope.batch.azure.com/jobs/j/tasks/t")
    assert await provider.observe([elsewhere]) == {}
    for ask in (provider.get, provider.find, provider.delete, lambda one: provider.cancel(one, reason="because")):
        with pytest.raises(Unreachable, match="is not in the account"):
            await ask(elsewhere)
    assert not service.counts


async def test_many_tasks_that_somebody_removed_cost_no_full_list_each_round(
    service: Service, provider: AzureProvider
) -> None:
    refs = await many(provider, 60)
    await provider.observe(refs)
    [job] = service.emulator.service.jobs.values()
    for one in refs[:30]:
        service.emulator.service.delete_task(job.id, one.external_name)
    service.clock.advance(listing.FULL_SECONDS + 1)
    assert len(await provider.observe(refs)) == 30
    service.emulator.queries.clear()
    service.counts.clear()
    for _ in range(6):
        service.clock.advance(30)
        assert len(await provider.observe(refs)) == 30
    assert all("$filter" in query for query in service.emulator.queries)
    assert service.counts["get_task"] == 6 * listing.FEW


async def test_tasks_that_no_list_shows_are_got_in_turn_until_they_show() -> None:
    async with Service(faults=Faults(hidden_seconds=300), seed=7).serving() as service:
        provider = service.provider()
        refs = await many(provider, 25)
        await provider.observe(refs)
        service.clock.advance(300)
        for _ in range(3):
            await provider.observe(refs)
        assert len(await provider.observe(refs)) == 25


async def test_a_set_is_looked_for_by_what_its_ids_begin_with(service: Service, provider: AzureProvider) -> None:
    await many(provider, 1100)
    request = wanted(completions=50)
    known = ref(request, (await provider.submit(request)).resource_path)
    service.emulator.queries.clear()
    service.counts.clear()
    assert (await provider.get(known)).tasks.total == 50
    assert service.counts["list_tasks"] == 1
    await provider.cancel(known, reason="because")
    assert service.counts["list_tasks"] == 2
    assert all(query["$filter"].startswith("startswith(id,'") for query in service.emulator.queries)


async def test_a_job_of_unknown_path_is_looked_for_among_the_shared_jobs_of_its_day_only(service: Service) -> None:
    provider = service.provider()
    for day in range(5):
        for spot in (False, True):
            await provider.submit(wanted(created_at=START + timedelta(days=day), spot=spot))
    service.counts.clear()
    assert await service.provider().get(ref(wanted())) is None
    assert service.counts == {"get_job": 2, "get_task": 2, "list_jobs": 1}
