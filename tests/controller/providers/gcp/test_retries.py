"""What is run again: by the policy under both readings of codes that it does not list, and on the stand-in."""

import pytest
from google.cloud import batch_v1

from controller.domain import conditions, reasons
from controller.domain.phases import Phase
from controller.providers.gcp import request
from tests.controller.providers.gcp.harness import World
from tests.controller.providers.gcp.samples import PLACE, submission

LOST = (50001, 50002, 50003, 50006)
CODES = (1, 3, 126, 137, 255, 50000, *LOST, 50004, 50005)


def policy_of(**spec: object) -> tuple[int, list[int]]:
    """The service's count of retries, and the codes of the FAIL_TASK."""
    task = request.create_request(submission(**spec), PLACE).job.task_groups[0].task_spec
    if not task.lifecycle_policies:
        return task.max_retry_count, []
    (policy,) = task.lifecycle_policies
    assert policy.action == batch_v1.LifecyclePolicy.Action.FAIL_TASK, "the one that both readings take alike"
    return task.max_retry_count, list(policy.action_condition.exit_codes)


@pytest.mark.parametrize("spot", [True, False])
@pytest.mark.parametrize(
    ("backoff", "preemption", "count", "repeated"),
    [
        (0, 0, 0, ()),
        (0, 3, 3, LOST),
        (0, 10, 10, LOST),
        (2, 0, 2, tuple(code for code in CODES if code not in (*LOST, 50005))),
        (2, 3, 2, tuple(code for code in CODES if code != 50005)),
        (10, 1, 10, tuple(code for code in CODES if code != 50005)),
    ],
)
def test_what_may_be_run_again(
    spot: bool, backoff: int, preemption: int, count: int, repeated: tuple[int, ...]
) -> None:
    allowed, final = policy_of(spot=spot, backoff_limit=backoff, preemption_limit=preemption)
    assert allowed == count
    assert [code for code in CODES if count and code not in final] == list(repeated)


@pytest.mark.parametrize("spot", [True, False])
@pytest.mark.parametrize("backoff", [0, 2])
async def test_a_program_that_ran_too_long_is_not_run_again(world: World, spot: bool, backoff: int) -> None:
    ref, _ = await world.submitted("sleep", "9999", spot=spot, backoff_limit=backoff, active_deadline_seconds=3)
    world.ahead(9000)
    seen = await world.seen(ref)
    assert (seen.phase, seen.reason, seen.exit_code) == (Phase.FAILED, reasons.DEADLINE_EXCEEDED, None)
    assert (seen.retries, seen.preemptions) == (0, 0)
    assert "50005" in seen.message
    assert "activeDeadlineSeconds" in seen.message


@pytest.mark.parametrize("spot", [True, False])
@pytest.mark.parametrize("code", LOST)
async def test_a_lost_machine_is_no_failure_of_the_program(world: World, spot: bool, code: int) -> None:
    ref, _ = await world.submitted("sleep", "30", spot=spot, backoff_limit=0, preemption_limit=1)
    world.ahead(10)
    world.service.preempt(ref.external_name, code)
    world.ahead(10)
    world.service.preempt(ref.external_name, code)
    world.ahead(100)
    seen = await world.seen(ref)
    assert (seen.phase, seen.exit_code, seen.retries, seen.preemptions) == (Phase.FAILED, None, 0, 2)
    assert seen.reason == (reasons.PREEMPTED if code == 50001 else reasons.MACHINE_FAILED)
    assert str(code) in seen.message


@pytest.mark.parametrize(("code", "reason"), [(50004, reasons.RESULT_LOST), (50000, reasons.FAILED)])
async def test_what_may_have_run_to_its_end_is_not_run_again(world: World, code: int, reason: str) -> None:
    ref, _ = await world.submitted("sleep", "30", spot=True, backoff_limit=0, preemption_limit=3)
    world.ahead(10)
    world.service.preempt(ref.external_name, code)
    world.ahead(100)
    seen = await world.seen(ref)
    assert (seen.phase, seen.reason, seen.retries, seen.preemptions) == (Phase.FAILED, reason, 0, 0)


async def test_failures_and_lost_machines_are_counted_apart(world: World) -> None:
    ref, _ = await world.submitted("sh", "-c", "sleep 30; exit 3", spot=True, backoff_limit=2)
    world.ahead(10)
    world.service.preempt(ref.external_name)
    world.ahead(1000)
    seen = await world.seen(ref)
    assert (seen.exit_code, seen.retries, seen.preemptions) == (3, 1, 1)


@pytest.mark.parametrize(
    ("spec", "is_told"),
    [
        ({"spot": True}, True),
        ({"spot": True, "backoff_limit": 0}, False),
        ({"spot": True, "preemption_limit": 0}, False),
        ({}, False),
    ],
)
async def test_one_counter_for_both_is_told_of_spot_jobs(world: World, spec: dict[str, object], is_told: bool) -> None:
    _, seen = await world.submitted("true", **{"backoff_limit": 3, **spec})
    assert [remark.condition for remark in seen.remarks] == [conditions.RETRIES_EXACT] * is_told
