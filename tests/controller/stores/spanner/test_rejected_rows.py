"""Values that Spanner does not take fail alone."""

from controller.domain import reasons
from controller.domain.errors import Permanent
from controller.domain.phases import Phase
from controller.domain.records import Recorded
from controller.ports import RecordFailure
from controller.stores.spanner import SpannerStore
from tests.controller.stores.spanner.harness import transition
from tests.controller.stores.spanner.proxy import Proxy


async def test_a_value_too_long_for_its_column_fails_alone_and_the_column_is_named(store: SpannerStore) -> None:
    rows = [transition(job=f"j{n}", name="secret" * 99 if n == 17 else "n") for n in range(40)]
    results = await store.record(rows)
    [failure] = [result for result in results if isinstance(result, RecordFailure)]
    assert results.index(failure) == 17
    assert isinstance(failure.error, Permanent)
    assert failure.error.reason == reasons.RECORD_REJECTED
    assert str(failure.error) == "the database refused the row: FAILED_PRECONDITION (Jobs.Name)"
    assert failure.error.__suppress_context__, "Spanner's text may quote the value"
    assert len((await store.list_jobs("t")).jobs) == 39
    assert await store.get_job("t", "j17") is None


async def test_a_value_that_no_column_takes_fails_alone_without_a_further_commit(
    proxied: SpannerStore, proxy: Proxy
) -> None:
    rows = [transition(job="a"), transition(job="b", error_message="broken \udc80 text"), transition(job="c")]
    results = await proxied.record(rows)
    assert [type(result) for result in results] == [Recorded, RecordFailure, Recorded]
    assert isinstance(results[1], RecordFailure)
    assert "broken" not in str(results[1].error)
    assert proxy.calls.count("Commit") == 1


async def test_a_job_id_that_cannot_be_sent_fails_alone(store: SpannerStore) -> None:
    results = await store.record([transition(job="a"), transition(job="\udc80"), transition(job="c")])
    assert [type(result) for result in results] == [Recorded, RecordFailure, Recorded]


async def test_a_refused_transition_leaves_the_jobs_earlier_one(store: SpannerStore) -> None:
    results = await store.record(
        [transition(0), transition(1, Phase.RUNNING, name="x" * 300), transition(2, Phase.FAILED)]
    )
    assert [type(result) for result in results] == [Recorded, RecordFailure, Recorded]
    assert [row.to_status for row in await store.transitions("t", "j")] == ["PENDING", "FAILED"]
