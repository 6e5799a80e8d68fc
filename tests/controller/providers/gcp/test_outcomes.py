"""What happened to a job: preempted, out of time, failed, or waiting; and why."""

import logging

import msgspec
import pytest

from controller.domain import conditions, reasons
from controller.domain.phases import Phase
from dev.emulators.gcp.jobs import (
    NO_CAPACITY_MACHINE,
    NO_CAPACITY_SCHEDULED_MACHINE,
    NO_QUOTA_MACHINE,
    NO_QUOTA_SCHEDULED_MACHINE,
    UNKNOWN_MACHINE,
)
from tests.controller.providers.gcp.harness import World, ref_of, request_for


async def test_a_state_that_is_not_known_leaves_the_phase_as_it_was_and_is_logged_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    ref, _ = await world.submitted("sleep", "60")
    world.ahead(1)
    await world.provider.observe([ref])
    world.service._ever[0]._message.status.state = 99
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert (await world.seen(ref)).phase is None
    assert len([record for record in caplog.records if "99" in record.getMessage()]) == 1


async def test_a_preempted_attempt_is_a_retry_and_its_code_is_not_that_of_the_success(world: World) -> None:
    ref, _ = await world.submitted("sleep", "30", spot=True, backoff_limit=2)
    world.ahead(10)
    world.service.preempt(ref.external_name)
    world.ahead(60)
    seen = await world.seen(ref)
    assert (seen.phase, seen.exit_code, seen.reason) == (Phase.COMPLETED, 0, None)
    assert (seen.retries, seen.preemptions) == (0, 1)


async def test_retries_of_a_spot_job_are_counted_where_the_service_names_no_vms(world: World) -> None:
    world.service.omitted = {"instances", "events"}
    request = request_for(("sleep", "30"), spot=True, backoff_limit=2)
    await world.provider.submit(request)
    world.ahead(10)
    world.service.preempt(request.external_name)
    world.ahead(60)
    ref = msgspec.structs.replace(ref_of(request), spec=request.spec)
    assert (await world.seen(ref)).preemptions == 1


async def test_a_spot_job_without_retries_is_retried_when_preempted_and_only_then(world: World) -> None:
    failing, _ = await world.submitted("sh", "-c", "sleep 5; exit 3", spot=True)
    taken, _ = await world.submitted("sleep", "30", spot=True)
    world.ahead(10)
    world.service.preempt(taken.external_name)
    assert (await world.seen(failing)).retries == 0
    world.ahead(60)
    seen = await world.seen(taken)
    assert (seen.phase, seen.retries, seen.preemptions) == (Phase.COMPLETED, 0, 1)


async def test_a_job_preempted_to_the_last_retry_says_so() -> None:
    async with World(preempted=1.0).running() as world:
        ref, _ = await world.submitted("sleep", "30", spot=True, backoff_limit=1)
        world.ahead(100)
        seen = await world.seen(ref)
        assert (seen.phase, seen.reason, seen.exit_code) == (Phase.FAILED, reasons.PREEMPTED, None)
        assert (seen.retries, seen.preemptions) == (0, 2)
        assert "50001" in seen.message


async def test_a_job_that_runs_for_14_days_is_ended_by_the_service_and_the_condition_has_said_so(world: World) -> None:
    request = request_for(("sleep", "9999999"), active_deadline_seconds=20 * 86400)
    request = msgspec.structs.replace(
        request, resources=msgspec.structs.replace(request.resources, max_run_duration_seconds=20 * 86400)
    )
    (remark,) = (await world.provider.submit(request)).remarks
    assert (remark.condition, remark.reason, remark.status) == (conditions.DEADLINE_EXACT, reasons.LIMITED, False)
    world.ahead(14 * 86400 + 1)
    seen = await world.seen(ref_of(request))
    assert (seen.phase, seen.reason, seen.exit_code) == (Phase.FAILED, reasons.DEADLINE_EXCEEDED, None)
    assert "split its work" in seen.message


async def test_a_job_that_is_queued_for_2_days_fails_for_what_it_waited_for(world: World) -> None:
    ref, _ = await world.submitted("true", machine_type=NO_QUOTA_MACHINE)
    world.ahead(2 * 86400 + 1)
    seen = await world.seen(ref)
    assert (seen.phase, seen.reason) == (Phase.FAILED, reasons.QUOTA_EXCEEDED)
    assert "Quota 'CPUS' exceeded" in seen.message


async def test_a_job_that_failed_before_it_had_tasks_has_its_reason_from_its_events(world: World) -> None:
    ref, _ = await world.submitted("true", machine_type=UNKNOWN_MACHINE)
    world.ahead(1)
    seen = await world.seen(ref)
    assert (seen.phase, seen.exit_code, seen.reason) == (Phase.FAILED, None, reasons.SUBMISSION_REFUSED)
    assert "machine type" in seen.message


@pytest.mark.parametrize(
    ("machine", "phase", "reason", "words"),
    [
        (NO_QUOTA_MACHINE, Phase.PENDING, reasons.QUOTA_EXCEEDED, "Quota 'CPUS' exceeded"),
        (NO_CAPACITY_MACHINE, Phase.PENDING, reasons.WAITING_FOR_CAPACITY, "ZONE_RESOURCE_POOL_EXHAUSTED"),
        (NO_QUOTA_SCHEDULED_MACHINE, Phase.SCHEDULED, reasons.QUOTA_EXCEEDED, "Quota 'CPUS' exceeded"),
        (
            NO_CAPACITY_SCHEDULED_MACHINE,
            Phase.SCHEDULED,
            reasons.WAITING_FOR_CAPACITY,
            "ZONE_RESOURCE_POOL_EXHAUSTED",
        ),
    ],
)
async def test_a_job_that_waits_says_why_in_the_services_words(
    world: World, machine: str, phase: Phase, reason: str, words: str
) -> None:
    ref, _ = await world.submitted("true", machine_type=machine)
    world.ahead(600)
    seen = await world.seen(ref)
    assert (seen.phase, seen.waits_reason) == (phase, reason)
    assert words in seen.waits_because
