"""Which writes go into one transaction: DynamoDB's limits of actions, bytes and items."""

import pytest

from controller.domain.phases import Phase
from controller.ports import RecordFailure
from controller.stores import dynamodb_plan as plans
from controller.stores.dynamodb_plan import Work
from tests.controller.stores.dynamodb.harness import jobs, transition

ACTIONS, BYTES = 100, 4 * 1024**2


def works(count: int, **facts: object) -> list[Work]:
    """As many jobs that end with their first transition: the most actions that one can have."""
    made = [
        Work(waiting=[(n, transition(phase=Phase.FAILED, job_id=f"job-{n}", tenant_id=f"tenant-{n}", **facts))])
        for n in range(count)
    ]
    for work in made:
        work.plan = plans.make(work, "write")
    return made


def actions(pack: list[Work]) -> list[dict[str, object]]:
    planned = [work.plan for work in pack if work.plan]
    own = [action for plan in planned for action in plan.actions]
    return own + list(plans.missing_tenants(planned, set()).values())


@pytest.mark.parametrize("facts", [{}, {"error_message": "x" * 390_000}], ids=["many", "large"])
def test_a_transaction_is_within_the_limits(facts: dict[str, object]) -> None:
    made = works(60, **facts)
    packs = plans.packs(made)
    assert [work for pack in packs for work in pack] == made
    for pack in packs:
        assert len(actions(pack)) <= ACTIONS
        assert sum(work.plan.size for work in pack if work.plan) < BYTES
    assert len(packs) == (15 if facts else 4)


def test_a_job_with_many_large_transitions_is_written_in_several_transactions() -> None:
    steps = [transition(n, (Phase.RUNNING, Phase.PENDING)[n % 2], error_message="x" * 390_000) for n in range(12)]
    work = Work(waiting=list(enumerate(steps)))
    counts = []
    while work.waiting:
        plan = plans.make(work, "write")
        assert plan.size < BYTES
        counts.append(plan.count)
        work.settle(plan)
    assert counts == [6, 6]


def test_a_tenant_is_created_by_one_transaction_of_a_round() -> None:
    made = [Work(waiting=[(0, step)]) for step in jobs(100)]
    for work in made:
        work.plan = plans.make(work, "write")
    packs = plans.packs(made)
    assert len(packs) > 1
    assert plans.without_shared_tenants(packs, set()) == packs[:1]
    assert plans.without_shared_tenants(packs, {"TENANT#t"}) == packs


def test_a_work_that_must_be_alone_is_and_takes_one_transition() -> None:
    first, second, third = works(3)
    second.is_alone = True
    second.waiting.append((1, transition(1, job_id="job-1", tenant_id="tenant-1")))
    second.plan = plans.make(second, "write")
    assert second.plan.count == 1
    assert plans.packs([first, second, third]) == [[first, third], [second]]


def test_a_transition_that_fails_leaves_the_others_of_its_job_as_they_are() -> None:
    steps = [transition(0), transition(1, Phase.RUNNING, memory_mib=2**70), transition(2, Phase.COMPLETED)]
    plan = plans.make(Work(waiting=list(enumerate(steps))), "write")
    assert [isinstance(plan.results[n], RecordFailure) for n in range(3)] == [False, True, False]
    assert plan.after is not None
    assert plan.after.stored.number == 2
    assert plan.after.stored.row.memory_mib is None
