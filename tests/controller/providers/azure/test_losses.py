"""Nodes that are taken back: the service runs a task again each time, the adapter ends it at its job's limit."""

from controller.domain import reasons
from controller.domain.phases import Phase
from controller.ports import Observation
from controller.providers.azure import places
from controller.providers.azure.provider import AzureProvider
from tests.controller.providers.azure.harness import Service, answer, observed, wanted

ROUND_SECONDS = 5


async def lose(service: Service, provider: AzureProvider, path: str, task: int = 0) -> None:
    """The node of that task is taken back while it runs."""
    where = places.parse(path, provider._settings)
    service.clock.advance(ROUND_SECONDS)
    service.emulator.service.preempt(where.job_id, list(where.task_ids)[task])
    service.clock.advance(ROUND_SECONDS)


async def look(service: Service, provider: AzureProvider, request, path: str) -> Observation:
    seen = await observed(provider, request, path)
    service.clock.advance(ROUND_SECONDS)
    return seen


def began(service: Service, path: str, task: int = 0) -> int:
    """How often that task began."""
    [job] = service.emulator.service.jobs.values()
    return len(list(job.tasks.values())[task].runs)


async def test_a_task_runs_again_as_often_as_its_job_allows_and_then_has_failed(
    service: Service, provider: AzureProvider
) -> None:
    request = wanted(("sleep", "3000"), spot=True, preemption_limit=2)
    path = (await provider.submit(request)).resource_path
    for losses in (1, 2):
        await lose(service, provider, path)
        seen = await look(service, provider, request, path)
        assert (seen.phase, seen.preemptions, seen.retries) == (Phase.RUNNING, losses, 0)
    assert service.counts["terminate_task"] == 0
    await lose(service, provider, path)
    assert (await look(service, provider, request, path)).phase is Phase.RUNNING
    end = await look(service, provider, request, path)
    assert (end.phase, end.reason, end.preemptions, end.exit_code) == (Phase.FAILED, reasons.PREEMPTED, 3, None)
    assert "3 times" in end.message and end.failed_unless_asked is None
    runs = began(service, path)
    await lose_nothing(service, provider, request, path)
    assert began(service, path) == runs and service.counts["terminate_task"] == 1


async def lose_nothing(service: Service, provider: AzureProvider, request, path: str) -> None:
    for _ in range(3):
        assert (await look(service, provider, request, path)).reason == reasons.PREEMPTED


async def test_a_job_that_allows_no_loss_is_not_run_again(service: Service, provider: AzureProvider) -> None:
    request = wanted(("sleep", "3000"), preemption_limit=0)
    path = (await provider.submit(request)).resource_path
    await lose(service, provider, path)
    await look(service, provider, request, path)
    assert (await look(service, provider, request, path)).reason == reasons.PREEMPTED


async def test_the_end_of_a_lost_task_is_asked_for_until_it_is_there_and_by_the_next_leader_too(
    service: Service, provider: AzureProvider
) -> None:
    request = wanted(("sleep", "3000"), preemption_limit=0)
    path = (await provider.submit(request)).resource_path
    await lose(service, provider, path)
    service.answer("terminate_task", answer(500, "InternalError"))
    assert (await look(service, provider, request, path)).phase is Phase.RUNNING  # the round itself goes well
    heir = service.provider()
    await look(service, heir, request, path)
    assert service.counts["terminate_task"] == 2
    assert (await look(service, heir, request, path)).reason == reasons.PREEMPTED
    assert (await look(service, provider, request, path)).reason == reasons.PREEMPTED
    assert service.counts["terminate_task"] == 2


async def test_only_the_task_of_a_set_that_lost_its_node_too_often_is_ended(
    service: Service, provider: AzureProvider
) -> None:
    request = wanted(("sleep", "300"), completions=3, preemption_limit=1)
    path = (await provider.submit(request)).resource_path
    for _ in range(2):
        await lose(service, provider, path, task=1)
    await lose(service, provider, path, task=2)
    await look(service, provider, request, path)
    service.clock.advance(400)
    end = await look(service, provider, request, path)
    assert (end.phase, end.reason, end.preemptions) == (Phase.FAILED, reasons.PREEMPTED, 3)
    assert (end.tasks.succeeded, end.tasks.failed) == (2, 1) and end.message.startswith("task 1: ")


async def test_failures_of_the_program_are_no_losses(service: Service, provider: AzureProvider) -> None:
    request = wanted(("sh", "-c", "sleep 1; exit 3"), backoff_limit=2, preemption_limit=0)
    path = (await provider.submit(request)).resource_path
    service.clock.advance(100)
    end = await look(service, provider, request, path)
    assert (end.reason, end.retries, end.preemptions, end.exit_code) == (reasons.NON_ZERO_EXIT, 2, 0, 3)


async def test_a_task_that_ran_too_long_is_not_run_again(service: Service, provider: AzureProvider) -> None:
    request = wanted(("sleep", "99999"), backoff_limit=3)
    path = (await provider.submit(request)).resource_path
    service.clock.advance(3700)
    end = await look(service, provider, request, path)
    assert (end.reason, end.retries) == (reasons.DEADLINE_EXCEEDED, 0) and began(service, path) == 1
