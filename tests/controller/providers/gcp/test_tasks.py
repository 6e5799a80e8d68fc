"""When the tasks of jobs are read: how many a round, and where they cannot be read or come late."""

from typing import Any

import grpc
import pytest

from controller.domain import reasons
from controller.domain.phases import Phase
from controller.providers import limits
from controller.providers.gcp import details
from dev.emulators.gcp.jobs import (
    UNKNOWN_MACHINE,
)
from tests.controller.providers.gcp.harness import World


async def test_tasks_are_asked_for_once_a_failed_job(world: World) -> None:
    refs = [(await world.submitted("sh", "-c", "exit 3"))[0] for _ in range(5)]
    done, _ = await world.submitted("true")
    world.ahead(1)
    for _ in range(3):
        seen = await world.provider.observe([*refs, done])
    assert {one.exit_code for one in seen.values()} == {0, 3}
    assert world.server.calls["ListTasks"] == 5


async def test_the_tasks_of_a_large_job_are_read_page_by_page(world: World) -> None:
    ref, _ = await world.submitted("sh", "-c", "exit 3", completions=2500, backoff_limit=1)
    world.ahead(5)
    seen = await world.seen(ref)
    assert (seen.tasks.failed, seen.retries, seen.exit_code) == (2500, 2500, 3)
    assert world.server.calls["ListTasks"] == 3


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED]
)
async def test_a_job_whose_tasks_cannot_be_read_now_ends_in_a_later_round_and_hinders_no_other(
    monkeypatch: pytest.MonkeyPatch, world: World, code: grpc.StatusCode
) -> None:
    monkeypatch.setattr(limits, "BACKOFF_BASE_SECONDS", 0.001)
    failed, _ = await world.submitted("sh", "-c", "exit 9")
    done, _ = await world.submitted("true")
    world.ahead(60)
    world.aborting(("ListTasks", code, "no"))
    seen = await world.provider.observe([failed, done])
    held = seen[failed.external_name]
    assert (held.phase, held.completed_at, held.exit_code, held.reason) == (None, None, None, None)
    assert seen[done.external_name].phase is Phase.COMPLETED
    assert (await world.provider.get(failed)).phase is None
    world.server.hook = None
    assert (await world.seen(failed)).exit_code == 9


async def test_tasks_that_are_unreadable_for_long_do_not_keep_a_job_from_its_end(world: World) -> None:
    ref, _ = await world.submitted("sh", "-c", "exit 9")
    world.ahead(60)
    world.aborting(("ListTasks", grpc.StatusCode.INTERNAL, "no"))
    for _ in range(2):
        assert (await world.provider.observe([ref]))[ref.external_name].phase is None
        world.later(details.UNREADABLE_SECONDS / 2)
    assert (await world.seen(ref)).phase is Phase.FAILED


@pytest.mark.parametrize("code", [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT])
async def test_jobs_whose_tasks_may_not_be_read_end_with_what_their_events_tell(
    world: World, caplog: pytest.LogCaptureFixture, code: grpc.StatusCode
) -> None:
    refs = [(await world.submitted("sh", "-c", "exit 9"))[0] for _ in range(3)]
    world.ahead(60)
    world.aborting(("ListTasks", code, "no"))
    for _ in range(3):
        seen = await world.provider.observe(refs)
        assert {(one.phase, one.exit_code) for one in seen.values()} == {(Phase.FAILED, 9)}  # their events name it
    assert world.server.calls["ListTasks"] == 3
    assert len([record for record in caplog.records if "may not be read" in record.getMessage()]) == 1
    world.later(details.AGAIN_SECONDS)
    await world.provider.observe(refs)
    assert world.server.calls["ListTasks"] == 6


async def test_a_round_asks_for_so_many_tasks_only_and_the_next_for_the_others(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    monkeypatch.setattr(details, "CALLS_A_ROUND", 20)
    refs = [(await world.submitted("sh", "-c", "exit 9"))[0] for _ in range(50)]
    world.ahead(60)
    told = []
    for _ in range(4):
        seen = await world.provider.observe(refs)
        assert len(seen) == 50
        told.append(sum(one.exit_code == 9 for one in seen.values()))
    assert told == [20, 40, 50, 50]
    assert world.server.calls["ListTasks"] == 50


async def test_where_no_tasks_can_be_read_a_round_does_not_try_them_all(world: World) -> None:
    refs = [(await world.submitted("sh", "-c", "exit 9"))[0] for _ in range(50)]
    world.ahead(60)
    world.aborting(("ListTasks", grpc.StatusCode.INTERNAL, "no"))
    assert {one.phase for one in (await world.provider.observe(refs)).values()} == {None}
    assert world.server.calls["ListTasks"] < 2 * details.FAILURES_A_ROUND + 2
    refused = world.server.calls["ListTasks"]
    await world.provider.observe(refs)
    assert world.server.calls["ListTasks"] > refused


async def test_the_end_of_a_job_that_ran_waits_for_its_tasks(world: World) -> None:
    world.service.tasks_late_seconds = 1000
    world.service.omitted = {"events"}
    ref, _ = await world.submitted("sh", "-c", "sleep 1; exit 9")
    world.ahead(60)
    for _ in range(2):
        assert (await world.seen(ref)).phase is None
        world.later(details.LATE_SECONDS / 3)
    world.ahead(1000)
    seen = await world.seen(ref)
    assert (seen.phase, seen.exit_code) == (Phase.FAILED, 9)


@pytest.mark.parametrize(
    "omitted", [{"events"}, {"events", "counts"}, {"events", "run-duration"}, {"events", "run-duration", "counts"}]
)
async def test_and_it_waits_for_no_more_than_half_a_minute(world: World, omitted: Any) -> None:
    world.service.tasks_late_seconds = 1e6
    world.service.omitted = omitted
    ref, _ = await world.submitted("sh", "-c", "sleep 1; exit 9")
    world.ahead(60)
    assert (await world.provider.get(ref)).phase is None  # the time begins, whoever looked first
    world.later(details.LATE_SECONDS - 1)
    assert (await world.seen(ref)).phase is None
    world.later(1)
    seen = await world.seen(ref)
    assert (seen.phase, seen.exit_code, seen.reason) == (Phase.FAILED, None, reasons.FAILED)
    asked = world.server.calls["ListTasks"]
    await world.seen(ref)
    assert world.server.calls["ListTasks"] == asked
    world.ahead(1e6)
    world.later(details.AGAIN_SECONDS)
    assert (await world.seen(ref)).exit_code == 9, "what came late is no truth for ever"


async def test_an_end_whose_exit_code_the_jobs_own_events_tell_waits_for_no_tasks(world: World) -> None:
    world.service.tasks_late_seconds = 1e6
    ref, _ = await world.submitted("sh", "-c", "sleep 1; exit 9")
    world.ahead(60)
    seen = await world.seen(ref)
    assert (seen.phase, seen.exit_code, seen.reason) == (Phase.FAILED, 9, reasons.NON_ZERO_EXIT)


async def test_a_service_without_that_method_is_not_waited_for(world: World) -> None:
    world.service.omitted = {"events"}
    world.aborting(("ListTasks", grpc.StatusCode.UNIMPLEMENTED, "Method not found!"))
    ref, _ = await world.submitted("sh", "-c", "sleep 1; exit 9")
    world.ahead(60)
    seen = await world.seen(ref)
    assert (seen.phase, seen.exit_code, seen.reason) == (Phase.FAILED, None, reasons.FAILED)


async def test_a_job_that_failed_before_it_ran_waits_for_no_tasks(world: World) -> None:
    world.service.tasks_late_seconds = 1e6
    ref, _ = await world.submitted("true", machine_type=UNKNOWN_MACHINE)
    world.ahead(1)
    assert (await world.seen(ref)).phase is Phase.FAILED
