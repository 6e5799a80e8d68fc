"""Rounds of observation of the AWS adapter against the stand-in."""

import logging

import msgspec
import pytest

from controller.domain import reasons
from controller.domain.errors import Unavailable
from controller.domain.job import AwsOptions
from controller.domain.phases import Phase
from controller.providers.aws.provider import AwsProvider
from dev.emulators.aws.checks import ClientFault
from tests.controller.providers.aws.harness import Service, Wire, dropped, garbage, ref, refused, submit_many, wanted


async def test_quiet_rounds_only_list(service: Service, provider: AwsProvider) -> None:
    refs = await submit_many(provider, 150)
    service.advance(10)
    await provider.observe(refs)
    assert (service.counts["ListJobs"], service.counts["DescribeJobs"]) == (5, 2)
    service.counts.clear()
    assert {one.phase for one in (await provider.observe(refs)).values()} == {Phase.RUNNING}
    assert dict(service.counts) == {"ListJobs": 5}


async def test_only_what_left_the_lists_is_described_and_only_once(service: Service, provider: AwsProvider) -> None:
    lasting = await submit_many(provider, 5)
    ending = await submit_many(provider, 3, command=("sh", "-c", "sleep 20; exit 4"))
    service.advance(10)
    await provider.observe([*lasting, *ending])
    service.advance(20)
    service.counts.clear()
    seen = await provider.observe([*lasting, *ending])
    assert service.counts["DescribeJobs"] == 1
    assert {(seen[one.external_name].phase, seen[one.external_name].exit_code) for one in ending} == {(Phase.FAILED, 4)}
    service.counts.clear()
    assert await provider.observe([*lasting, *ending]) == seen
    assert service.counts["DescribeJobs"] == 0


async def test_lists_are_read_over_all_their_pages(service: Service, provider: AwsProvider) -> None:
    refs = await submit_many(provider, 3)
    request = wanted("other")
    await provider.prepare(request)
    mapped = provider._parameters(request, *msgspec.structs.astuple(provider._prepared[request.external_name]))
    for _ in range(1100):
        service.emulator.service.submit_job(mapped)
    service.advance(10)
    assert len(await provider.observe(refs)) == 3
    assert service.counts["ListJobs"] == 6


@pytest.mark.parametrize("spec", [{}, {"completions": 3}, {"command": ("sh", "-c", "sleep 3; exit 7")}])
async def test_at_every_moment_of_its_life_get_says_what_observe_says(
    service: Service, provider: AwsProvider, spec: dict
) -> None:
    [one] = await submit_many(provider, 1, **{"command": ("sleep", "3"), "backoff_limit": 1, **spec})
    phases = []
    for _ in range(30):
        seen = (await provider.observe([one]))[one.external_name]
        assert await provider.get(one) == seen
        phases.append(seen.phase)
        service.advance(0.5)
    assert phases[0] is Phase.PENDING
    assert Phase.SCHEDULED in phases
    assert Phase.RUNNING in phases
    assert phases[-1].is_terminal
    assert seen.retries == (1 if "exit" in str(spec) else 0)


async def test_a_failed_array_says_why_a_task_of_it_failed(service: Service, provider: AwsProvider) -> None:
    [one] = await submit_many(provider, 1, completions=3, command=("sh", "-c", "exit 9"))
    service.advance(10)
    seen = (await provider.observe([one]))[one.external_name]
    assert (seen.phase, seen.exit_code, seen.reason, seen.tasks.failed) == (Phase.FAILED, 9, reasons.NON_ZERO_EXIT, 3)


async def test_a_job_without_capacity_says_why_it_waits(service: Service, provider: AwsProvider) -> None:
    [one] = await submit_many(provider, 1, aws=AwsOptions(job_queue="jennah-full"))
    service.advance(10)
    seen = (await provider.observe([one]))[one.external_name]
    assert (seen.phase, seen.waits_because[:9]) == (Phase.PENDING, "CAPACITY:")


async def test_jobs_of_unknown_path_are_found_by_name_and_the_missing_left_out(
    service: Service, provider: AwsProvider
) -> None:
    requests = [wanted("a"), wanted("b", command=("true",))]
    for request in requests:
        await provider.submit(request)
    service.advance(10)
    later = service.provider()
    seen = await later.observe([ref(request) for request in (*requests, wanted("c"))])
    assert {name.partition("-")[0]: one.phase for name, one in seen.items()} == {
        "a": Phase.RUNNING,
        "b": Phase.COMPLETED,
    }
    await later.close()


async def test_a_hidden_job_is_left_out_and_comes_back(service: Service, provider: AwsProvider) -> None:
    service.emulator.dice.faults.hidden_seconds = 20
    [one] = await submit_many(provider, 1)
    assert await provider.observe([one]) == {}
    service.advance(20)
    assert list(await provider.observe([one])) == [one.external_name]


async def test_a_round_that_cannot_be_read_is_an_error_not_an_empty_answer(
    service: Service, provider: AwsProvider
) -> None:
    refs = await submit_many(provider, 2)
    service.answer("ListJobs", *[refused(500, "ServerException")] * 5)
    with pytest.raises(Unavailable):
        await provider.observe(refs)


async def test_a_list_that_cannot_be_read_is_no_answer(service: Service, provider: AwsProvider) -> None:
    refs = await submit_many(provider, 1)
    for answer in (garbage, dropped):
        service.answer("ListJobs", *[answer] * 2)
        with pytest.raises(Unavailable):
            await provider.observe(refs)
        service.emulator.instead.clear()


async def test_a_question_that_is_refused_says_nothing_against_the_job(service: Service, provider: AwsProvider) -> None:
    request = wanted()
    path = (await provider.submit(request)).resource_path
    for operation, ask in (
        ("ListJobs", lambda: provider.find(ref(request))),
        ("ListJobs", lambda: provider.observe([ref(request, path)])),
        ("DescribeJobs", lambda: provider.get(ref(request, path))),
    ):
        service.answer(operation, refused(400, "ClientException"))
        with pytest.raises(Unavailable):
            await ask()


async def test_a_job_found_by_name_is_not_looked_for_again(service: Service, provider: AwsProvider) -> None:
    request = wanted(command=("true",))
    await provider.submit(request)
    service.advance(10)
    later = service.provider()
    seen = await later.observe([ref(request)])
    service.counts.clear()
    assert await later.observe([ref(request)]) == seen
    assert service.counts == {"ListJobs": 5}
    await later.close()


@pytest.mark.parametrize("words", ["JobQueue x not found", "Job queue x does not exist", "Unable to find JobQueue"])
async def test_a_specs_queue_that_cannot_be_listed_does_not_stop_the_others(
    service: Service, provider: AwsProvider, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    [one] = await submit_many(provider, 1)
    [other] = await submit_many(provider, 1, aws=AwsOptions(job_queue="jennah-fair"))
    real = service.emulator.service.list_jobs

    def list_jobs(wanted: Wire) -> Wire:
        if wanted.get("jobQueue") == "jennah-fair":
            raise ClientFault(words)
        return real(wanted)

    service.emulator.service.list_jobs = list_jobs
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert (await provider.observe([one, other])).keys() == {one.external_name, other.external_name}
    assert sum("cannot be listed" in record.getMessage() for record in caplog.records) == 1
    # The queue is still there: that its jobs cannot be listed does not prove that there is none.
    with pytest.raises(Unavailable):
        await provider.find(msgspec.structs.replace(other, resource_path=None))
    del service.emulator.service.queues["jennah-fair"]
    assert len(await provider.find(other)) == 1
