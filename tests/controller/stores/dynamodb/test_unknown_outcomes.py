"""Replies and requests that are lost: each transition is written once."""

import pytest

from controller.domain.errors import Unavailable
from controller.domain.phases import Phase
from controller.domain.records import Recorded
from controller.stores.dynamodb import DynamoStore
from tests.controller.stores.dynamodb import proxy as faults
from tests.controller.stores.dynamodb.harness import LIFE, assert_written_once, jobs, transition
from tests.controller.stores.dynamodb.proxy import FaultyProxy


@pytest.mark.parametrize("fault", [faults.lose_the_reply, faults.lose_the_request], ids=["reply", "request"])
async def test_a_connection_lost_in_a_commit_leaves_one_row(
    store: DynamoStore, proxy: FaultyProxy, fault: faults.Fault
) -> None:
    for number, phase in enumerate(LIFE):
        proxy.fail("TransactWriteItems", fault)
        results = await store.record(jobs(30, number, phase))
        assert results == [Recorded(number=number, phase=phase)] * 30
    await assert_written_once(store, 30)


@pytest.mark.usefixtures("short_limits")
async def test_an_outcome_that_stays_unknown_is_unavailable_and_done_again_by_whoever_calls_next(
    store: DynamoStore, proxy: FaultyProxy, other: DynamoStore
) -> None:
    steps = [transition(number, phase) for number, phase in enumerate(LIFE)]
    proxy.fail_always("TransactWriteItems", faults.lose_the_reply)
    with pytest.raises(Unavailable):
        await store.record(steps)
    assert (await other.record(steps))[-1] == Recorded(number=2, phase=Phase.COMPLETED)
    proxy.fail_always("TransactWriteItems", None)
    assert (await store.record(steps))[-1] == Recorded(number=2, phase=Phase.COMPLETED)
    await assert_written_once(store)


async def test_a_repeated_success_is_told_from_a_conflict_by_the_write_id(
    store: DynamoStore, proxy: FaultyProxy
) -> None:
    """Taken for a conflict, all results would be what the row stands at."""
    steps = [transition(number, phase) for number, phase in enumerate(LIFE)]
    proxy.fail("TransactWriteItems", faults.lose_the_reply)
    assert await store.record(steps) == [Recorded(number=number, phase=phase) for number, phase in enumerate(LIFE)]
    await assert_written_once(store)


async def test_a_lost_reply_after_which_another_process_went_on_brings_the_truth(
    store: DynamoStore, proxy: FaultyProxy, other: DynamoStore
) -> None:
    steps = [transition(number, phase) for number, phase in enumerate(LIFE)]

    async def finish() -> None:
        await other.record(steps)

    proxy.fail("TransactWriteItems", faults.lose_the_reply, faults.first(finish))
    assert await store.record([*steps[:1], transition(job_id="k")]) == [
        Recorded(number=2, phase=Phase.COMPLETED),
        Recorded(number=0, phase=Phase.PENDING),
    ]
    await store.delete_job("t", "k", uid="uid-k")
    await assert_written_once(store)


async def test_a_delete_or_an_acknowledgement_whose_reply_is_lost_is_done(
    store: DynamoStore, proxy: FaultyProxy
) -> None:
    await store.record([transition(phase=Phase.COMPLETED)])
    [note] = await store.list_notifications("t", limit=5)
    proxy.fail("TransactWriteItems", faults.lose_the_reply)
    assert await store.ack_notification("t", note.notification_id) is True
    assert await store.count_unread("t") == 0
    proxy.fail("TransactWriteItems", faults.lose_the_reply)
    assert await store.delete_job("t", "j", uid="uid-j") is True
    assert await store.delete_job("t", "j", uid="uid-j") is False
    assert await store.list_notifications("t", limit=5) == []
