"""Times, and the order of transitions."""

from datetime import UTC, datetime, timedelta

from controller.domain import names
from controller.domain.phases import Phase
from controller.domain.records import Recorded
from controller.stores import spanner_rows
from controller.stores.spanner import SpannerStore
from tests.controller.stores.spanner.harness import NOON, Gateway, transition


async def test_a_time_that_is_yet_to_come_is_written_as_spanners_now(store: SpannerStore) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    steps = [transition(0, at=tomorrow), transition(1, Phase.RUNNING, at=tomorrow)]
    steps.append(transition(2, Phase.COMPLETED, at=tomorrow, completed_at=tomorrow))
    assert [type(result) for result in await store.record(steps)] == [Recorded] * 3
    job, tenant = await store.get_job("t", "j"), await store.get_tenant("t")
    assert job is not None
    assert tenant is not None
    for moment in (job.created_at, job.updated_at, tenant.created_at):
        assert abs(moment - datetime.now(UTC)) < timedelta(minutes=1)
    assert job.completed_at == tomorrow, "a column without commit timestamps takes what the provider says"


async def test_transitions_of_one_moment_or_of_a_clock_that_is_behind_keep_the_order_of_writing(
    store: SpannerStore,
) -> None:
    await store.record([transition(0), transition(1, Phase.SCHEDULED), transition(2, Phase.RUNNING)])
    await store.record([transition(3, Phase.COMPLETED, at=NOON - timedelta(hours=1))])
    audit = await store.transitions("t", "j")
    assert [row.to_status for row in audit] == ["PENDING", "SCHEDULED", "RUNNING", "COMPLETED"]
    assert audit[-1].transitioned_at - NOON == timedelta(microseconds=3)


async def test_notifications_carry_the_time_of_their_commit(store: SpannerStore, gateway: Gateway) -> None:
    await store.record([transition(0, Phase.FAILED)])
    [[created_at]] = gateway.select("SELECT CreatedAt FROM Notifications")
    assert abs(created_at - datetime.now(UTC)) < timedelta(minutes=1)  # type: ignore[operator]


def test_the_newest_number_is_found_from_the_ids_whatever_the_caller_believes() -> None:
    ids = [names.transition_id("u", number) for number in (3, 4, 5, 9)]
    assert [spanner_rows.number_of("u", ids, hint) for hint in (0, 4, 9, 50)] == [9] * 4
    assert spanner_rows.number_of("u", [*ids, "of somebody else"], 0) == 9
    assert spanner_rows.number_of("v", ids, 4) is None
    assert spanner_rows.number_of("u", [], 0) is None
