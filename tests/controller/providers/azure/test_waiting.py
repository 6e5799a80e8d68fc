"""Why jobs wait on Azure Batch, and what becomes of those whose shared job or pool somebody takes away."""

from collections.abc import AsyncIterator

import pytest

from controller.domain import reasons
from controller.domain.errors import ConfigError, Permanent, Unavailable
from controller.domain.phases import Phase
from controller.ports import Observation, SubmitRequest
from controller.providers.azure import catalogue, listing
from controller.providers.azure.provider import AzureProvider
from dev.emulators.azure.pools import PoolSpec
from tests.controller.providers.azure.harness import Service, answer, many, observed, ref, wanted

EMPTY = PoolSpec(name="jennah", has_nodes=False)
ROUND_SECONDS = 30


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with Service(pools=[PoolSpec(name="jennah")]).serving() as running:
        yield running


@pytest.fixture
async def provider(service: Service) -> AzureProvider:
    return service.provider(pools={})


async def waiting(service: Service, provider: AzureProvider) -> tuple[SubmitRequest, str]:
    """A job that gets no node, seen once."""
    service.emulator.service.put_pool(EMPTY)
    request = wanted()
    path = (await provider.submit(request)).resource_path
    await observed(provider, request, path)
    return request, path


async def later(service: Service, provider: AzureProvider, request: SubmitRequest, path: str) -> Observation:
    service.clock.advance(ROUND_SECONDS)
    seen = await observed(provider, request, path)
    assert await provider.get(ref(request, path)) == seen
    return seen


# --- pools ----------------------------------------------------------------------------------------------


async def test_a_job_is_told_that_its_pool_was_removed_and_runs_once_there_is_one_again(
    service: Service, provider: AzureProvider
) -> None:
    request, path = await waiting(service, provider)
    service.emulator.service.delete_pool("jennah")
    seen = await later(service, provider, request, path)
    assert (seen.phase, seen.waits_reason) == (Phase.PENDING, reasons.POOL_MISSING)
    assert "'jennah' does not exist" in seen.waits_because
    service.emulator.service.put_pool(PoolSpec(name="jennah"))
    seen = await later(service, provider, request, path)
    assert (seen.phase, seen.waits_because) == (Phase.RUNNING, None)


async def test_a_running_job_whose_pool_is_being_deleted_goes_back_and_is_told(
    service: Service, provider: AzureProvider
) -> None:
    request = wanted(("sleep", "3000"))
    path = (await provider.submit(request)).resource_path
    service.clock.advance(ROUND_SECONDS)
    assert (await observed(provider, request, path)).phase is Phase.RUNNING
    service.emulator.service.put_pool(PoolSpec(name="jennah", has_nodes=False, state="deleting"))
    seen = await later(service, provider, request, path)
    assert (seen.phase, seen.waits_reason, seen.preemptions) == (Phase.PENDING, reasons.POOL_MISSING, 1)
    assert "being deleted" in seen.waits_because


async def test_a_job_that_waits_for_a_pool_that_has_gone_can_be_ended(
    service: Service, provider: AzureProvider
) -> None:
    request, path = await waiting(service, provider)
    service.emulator.service.delete_pool("jennah")
    assert await provider.cancel(ref(request, path), reason=reasons.PENDING_DEADLINE_EXCEEDED)
    assert (await later(service, provider, request, path)).phase is Phase.CANCELLED


async def test_why_a_pool_gets_no_nodes_is_why_its_jobs_wait(service: Service, provider: AzureProvider) -> None:
    request, path = await waiting(service, provider)
    assert "no nodes" in (await later(service, provider, request, path)).waits_because
    error = ("AccountCoreQuotaReached", "The specified account has reached core quota")
    service.emulator.service.put_pool(PoolSpec(name="jennah", has_nodes=False, resize_errors=(error,)))
    seen = await later(service, provider, request, path)
    assert seen.waits_reason == reasons.QUOTA_EXCEEDED and "AccountCoreQuotaReached" in seen.waits_because


async def test_pools_are_listed_now_and_then_while_tasks_wait_and_not_otherwise(
    service: Service, provider: AzureProvider
) -> None:
    service.emulator.service.put_pool(EMPTY)
    refs = await many(provider, 300)
    service.counts.clear()
    for _ in range(10):
        service.clock.advance(catalogue.LOOK_SECONDS / 5)
        assert len(await provider.observe(refs)) == 300
    assert (service.counts["list_pools"], service.counts["get_pool"]) == (2, 0)
    service.emulator.service.put_pool(PoolSpec(name="jennah"))
    service.clock.advance(1)
    await provider.observe(refs)
    service.counts.clear()
    service.clock.advance(catalogue.LOOK_SECONDS)
    await provider.observe(refs)
    assert service.counts["list_pools"] == 0


async def test_pools_that_cannot_be_read_fail_no_round_and_are_told_once(
    service: Service, provider: AzureProvider, caplog: pytest.LogCaptureFixture
) -> None:
    request, path = await waiting(service, provider)
    for _ in range(3):
        service.clock.advance(ROUND_SECONDS)
        service.answer("list_pools", answer(403, "AuthorizationFailed"))
        for _ in range(2):  # in the second it is too early to ask again
            assert (await observed(provider, request, path)).phase is Phase.PENDING
    assert caplog.text.count("why tasks wait cannot be read") == 1


async def test_submissions_to_a_pool_that_was_removed_are_refused_as_soon_as_its_jobs_are_told(
    service: Service, provider: AzureProvider
) -> None:
    request, path = await waiting(service, provider)
    service.clock.advance(catalogue.KEPT_SECONDS / 2)
    await provider.submit(wanted())  # the pool is known from just now
    service.emulator.service.delete_pool("jennah")
    await later(service, provider, request, path)
    with pytest.raises(Permanent, match="no pool 'jennah' any more"):
        await provider.submit(wanted())


async def test_a_pool_that_is_being_deleted_is_refused_at_the_start_and_at_submit(
    service: Service, provider: AzureProvider
) -> None:
    service.emulator.service.put_pool(PoolSpec(name="jennah", state="deleting"))
    with pytest.raises(ConfigError, match="AZURE_BATCH_POOL: the pool 'jennah' is being deleted"):
        await provider.open()
    with pytest.raises(Permanent, match="is being deleted"):
        await provider.submit(wanted())
    assert service.emulator.service.jobs == {}


# --- shared jobs ----------------------------------------------------------------------------------------


async def test_a_disabled_shared_job_is_told_in_the_next_round_and_so_is_its_enabling(
    service: Service, provider: AzureProvider
) -> None:
    request, path = await waiting(service, provider)
    [job] = service.emulator.service.jobs.values()
    service.clock.advance(ROUND_SECONDS)
    service.emulator.service.set_state(job.id, "disabled")
    seen = await later(service, provider, request, path)
    assert (seen.phase, seen.waits_reason) == (Phase.PENDING, reasons.HELD_EXTERNALLY)
    assert job.id in seen.waits_because
    service.clock.advance(1)
    service.emulator.service.set_state(job.id, "active")
    assert (await later(service, provider, request, path)).waits_reason != reasons.HELD_EXTERNALLY


async def test_a_job_that_waits_in_a_shared_job_that_was_ended_fails_within_minutes(
    service: Service, provider: AzureProvider
) -> None:
    request, path = await waiting(service, provider)
    [job] = service.emulator.service.jobs.values()
    service.clock.advance(ROUND_SECONDS)
    service.emulator.service.terminate_job(job.id, "by hand")
    service.counts.clear()
    service.emulator.queries.clear()
    for _ in range(3):
        service.clock.advance(5)
        assert (await observed(provider, request, path)).phase is Phase.PENDING, "the list may be behind what it did"
    assert ["$filter" in query for query in service.emulator.queries] == [False, True, True]
    service.clock.advance(listing.OVERLAP.total_seconds())
    seen = await observed(provider, request, path)
    assert (seen.phase, seen.reason) == (Phase.FAILED, reasons.DELETED_EXTERNALLY)
    assert await provider.get(ref(request, path)) == seen
    assert service.counts["list_jobs"] == 4


async def test_a_task_that_ended_just_before_its_shared_job_did_is_not_taken_for_one_that_waits(
    service: Service, provider: AzureProvider
) -> None:
    request = wanted(("sleep", "20"))
    path = (await provider.submit(request)).resource_path
    assert (await observed(provider, request, path)).phase is Phase.PENDING
    shown = service.emulator.service.get_task

    def late(job_id: str, task_id: str):
        [job] = service.emulator.service.jobs.values()
        found = shown(job_id, task_id)
        service.clock.advance(21)
        service.emulator.service.terminate_job(job.id, "by hand")
        service.emulator.service.get_task = shown
        return found

    service.emulator.service.get_task = late
    assert (await provider.get(ref(request, path))).phase is Phase.COMPLETED


async def test_what_is_in_a_shared_job_that_somebody_deletes_is_told_before_it_is_gone(
    service: Service, provider: AzureProvider
) -> None:
    request, path = await waiting(service, provider)
    [job] = service.emulator.service.jobs.values()
    service.clock.advance(ROUND_SECONDS)
    service.emulator.service.set_state(job.id, "deleting")
    assert (await later(service, provider, request, path)).is_being_deleted
    service.emulator.service.delete_job(job.id)
    service.clock.advance(ROUND_SECONDS)
    assert await observed(provider, request, path) is None


async def test_the_states_of_many_shared_jobs_are_one_call_that_fails_no_round(
    service: Service, provider: AzureProvider
) -> None:
    service.emulator.service.put_pool(EMPTY)
    requests = [wanted(priority=20 * n) for n in range(5)]
    refs = [ref(one, (await provider.submit(one)).resource_path) for one in requests]
    await provider.observe(refs)
    jobs = list(service.emulator.service.jobs.values())
    assert len(jobs) == 5
    service.clock.advance(ROUND_SECONDS)
    service.emulator.service.set_state(jobs[3].id, "disabled")
    service.answer("list_jobs", answer(500, "InternalError"))
    assert len(await provider.observe(refs)) == 5
    service.clock.advance(1)
    service.counts.clear()
    held = [one for one in (await provider.observe(refs)).values() if one.waits_reason == reasons.HELD_EXTERNALLY]
    assert len(held) == 1 and service.counts == {"list_jobs": 1, "list_tasks": 5}


async def test_a_shared_job_that_takes_no_tasks_while_it_is_disabled_is_waited_for(
    service: Service, provider: AzureProvider
) -> None:
    await provider.submit(wanted())
    [job] = service.emulator.service.jobs.values()
    service.emulator.service.set_state(job.id, "disabled")
    request = wanted()
    service.answer("create_task", answer(409, "JobNotActive"), answer(409, "JobDisabled"))
    for code in ("JobNotActive", "JobDisabled"):
        with pytest.raises(Unavailable, match=code):
            await provider.submit(request)
    assert job.id in (await provider.submit(request)).resource_path
    assert len(service.emulator.service.jobs) == 1
