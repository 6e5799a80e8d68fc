"""Cancelling, deleting and ending shared jobs: the Azure adapter against the stand-in."""

import contextlib
from datetime import timedelta

import msgspec
import pytest

from controller.clock import SystemClock
from controller.domain.errors import Retryable
from controller.domain.phases import Phase
from controller.ports import JobRef
from controller.providers.azure import calls, places, shared_jobs
from controller.providers.azure.provider import AzureProvider
from tests.controller.providers.azure.harness import Service, Watched, ref, wanted

# --- the end of shared jobs -----------------------------------------------------------------------------


async def rounds(service: Service, provider: AzureProvider, *refs: JobRef) -> None:
    """So many, and over so long a time, that each old shared job has its turn."""
    for _ in range(4):
        await provider.observe(refs)
        service.clock.advance(shared_jobs.LOOK_AGAIN_SECONDS)


async def test_old_shared_jobs_end_when_their_tasks_have_ended(service: Service) -> None:
    provider = service.provider()
    short, long = wanted(("sleep", "1")), wanted(("sleep", "200000"), spot=True)
    long = msgspec.structs.replace(
        long, resources=msgspec.structs.replace(long.resources, max_run_duration_seconds=10**6)
    )
    for request in (short, long):
        await provider.submit(request)
    states: list[list[str]] = []
    for _ in range(3):
        service.clock.advance(86400)
        late = wanted(("sleep", "3000"), created_at=service.clock.now())
        await rounds(service, provider, ref(late, (await provider.submit(late)).resource_path))
        states.append([job["state"] for job in service.emulator.service.list_jobs()])
    assert states[0][:2] == ["active", "active"]
    assert states[1][:2] == ["completed", "active"]
    assert states[2] == ["completed", "completed", "completed", "active", "active"]
    first = next(iter(service.emulator.service.jobs.values()))
    assert first.reason == shared_jobs.ENDED_REASON
    assert (await provider.get(ref(short))).phase is Phase.COMPLETED


async def test_an_old_shared_job_does_not_end_while_a_set_in_it_gets_more_tasks(
    service: Service, provider: AzureProvider
) -> None:
    job = Watched(provider, wanted(("sleep", "1"), completions=4, parallelism=2))
    await job.submit()
    service.clock.advance(3 * 86400)
    for _ in range(3):
        assert (await job.look()).is_at_rest
        service.clock.advance(shared_jobs.LOOK_AGAIN_SECONDS)
    await job.go_on()
    service.clock.advance(10)
    assert (await job.go_on()).phase is Phase.COMPLETED
    late = wanted(created_at=service.clock.now())
    await rounds(service, provider, ref(late, (await provider.submit(late)).resource_path))
    old, _ = service.emulator.service.jobs.values()
    assert old.state == "completed"


async def test_an_old_shared_job_does_not_end_under_a_submission_that_no_round_knows_yet(
    service: Service, provider: AzureProvider
) -> None:
    await provider.submit(wanted(("sleep", "1")))
    service.clock.advance(3 * 86400)
    other = wanted(created_at=service.clock.now())
    known = ref(other, (await provider.submit(other)).resource_path)
    await provider.observe([known])
    service.clock.advance(shared_jobs.LOOK_AGAIN_SECONDS)
    set_of_old = wanted(("true",), completions=4, parallelism=2)
    await provider.submit(set_of_old)
    service.clock.advance(1)
    await provider.observe([known])
    assert (await provider.get(ref(set_of_old))).is_at_rest


async def test_a_new_process_first_goes_on_with_what_the_one_before_it_began(service: Service) -> None:
    set_of_old = wanted(("true",), completions=4, parallelism=2)
    await service.provider().submit(set_of_old)
    service.clock.advance(3 * 86400)
    next_one = service.provider()
    other = wanted(created_at=service.clock.now())
    await next_one.observe([ref(other, (await next_one.submit(other)).resource_path)])
    assert (await next_one.submit(set_of_old)).is_at_rest


async def test_a_look_back_reads_no_shared_job_that_had_ended_before(service: Service) -> None:
    provider = service.provider()
    for _ in range(4):
        late = wanted(("sleep", "1"), created_at=service.clock.now())
        path = (await provider.submit(late)).resource_path
        service.clock.advance(2 * 86400)
        await rounds(service, provider, ref(late, path))
    last = wanted(("sleep", "1"), created_at=service.clock.now())
    await provider.submit(last)
    service.clock.advance(10)
    assert [job["state"] for job in service.emulator.service.list_jobs()].count("completed") >= 3
    service.counts.clear()
    found = await provider.unclaimed(set(), ended_since=service.clock.now() - timedelta(days=1))
    assert last.uid in {one.seen.uid for one in found}
    assert service.counts["list_tasks"] <= 4, dict(service.counts)


# --- the rest -------------------------------------------------------------------------------------------


async def test_deleting_removes_every_task_of_an_ended_set(service: Service, provider: AzureProvider) -> None:
    request = wanted(("true",), completions=3)
    await provider.submit(request)
    service.clock.advance(1)
    await provider.delete(ref(request))
    [job] = service.emulator.service.jobs.values()
    assert job.tasks == {}


async def test_deleting_a_large_set_goes_on_where_the_try_before_was_cut_off(
    service: Service, provider: AzureProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = wanted(("exit", "0"), completions=90)
    path = (await provider.submit(request)).resource_path
    service.clock.advance(100)
    [job] = service.emulator.service.jobs.values()
    monkeypatch.setattr(calls, "ACTION_SECONDS", 2.0)
    slow = service.provider(SystemClock(), mutations_per_second=20)
    service.counts.clear()
    left = [len(job.tasks)]
    while job.tasks and len(left) < 6:
        with contextlib.suppress(Retryable):
            await slow.delete(ref(request, path))
        left.append(len(job.tasks))
    assert left[-1] == 0 and len(left) > 2
    assert service.counts["delete_task"] < 90 + 16 * len(left)


async def test_cancelling_a_large_set_tells_an_unknown_one_from_one_that_has_ended(
    service: Service, provider: AzureProvider
) -> None:
    request = wanted(("exit", "0"), completions=60)
    known = ref(request, (await provider.submit(request)).resource_path)
    other = wanted(completions=60)
    stem = places.stem_of(request.external_name)
    unknown = ref(other, known.resource_path.replace(stem, places.stem_of(other.external_name)))
    service.clock.advance(100)
    assert await provider.cancel(known, reason="because")
    assert not await provider.cancel(unknown, reason="because")
    service.emulator.service.jobs.clear()
    assert not await provider.cancel(known, reason="because")


async def test_another_jobs_task_is_not_ended(service: Service, provider: AzureProvider) -> None:
    request = wanted()
    await provider.submit(request)
    service.clock.advance(1)
    stranger = msgspec.structs.replace(ref(request), uid="other")
    await provider.cancel(stranger, reason="because")
    await provider.delete(stranger)
    assert (await provider.get(ref(request))).phase is Phase.RUNNING
