"""Values that PostgreSQL does not take fail alone."""

import time

import pytest

from controller.domain import reasons
from controller.domain.errors import Permanent
from controller.domain.phases import Phase
from controller.domain.records import Recorded
from controller.ports import RecordFailure
from controller.stores import postgres_connection
from controller.stores.postgres import PostgresStore
from tests.controller.stores.postgres.harness import SECRET, counts, transition


@pytest.mark.parametrize(
    "facts",
    [
        {"image_uri": "x" * 1025},
        {"resource_profile": "x" * 51},
        {"memory_mib": 2**63},
        {"error_message": "before\0after"},
        {"error_message": "broken \udc80 text"},
        {"name": "x" * 256},
    ],
    ids=str,
)
async def test_a_value_that_does_not_fit_fails_alone_and_is_not_quoted(
    store: PostgresStore, facts: dict[str, object]
) -> None:
    group = [transition(job_id=f"job-{n}") for n in range(20)]
    group[7] = transition(job_id="job-7", env_vars_json=SECRET, **facts)
    results = list(await store.record(group))
    failure = results.pop(7)
    assert results == [Recorded(number=0, phase=Phase.PENDING)] * 19
    assert isinstance(failure, RecordFailure)
    assert isinstance(failure.error, Permanent)
    assert failure.error.reason == reasons.RECORD_REJECTED
    assert SECRET not in str(failure.error)
    assert "x" * 10 not in str(failure.error)
    assert await store.get_job("t", "job-7") is None


async def test_of_one_job_the_transitions_around_a_refused_one_are_written(url: str, store: PostgresStore) -> None:
    steps = [transition(), transition(1, Phase.RUNNING, image_uri="x" * 2000), transition(2, Phase.FAILED)]
    results = await store.record(steps)
    assert [type(result) for result in results] == [Recorded, RecordFailure, Recorded]
    assert counts(url) == [(1, 2, 1)]


async def test_a_group_in_which_every_row_is_refused_ends_in_time(store: PostgresStore) -> None:
    start = time.monotonic()
    results = await store.record([transition(job_id=f"job-{n}", name="x" * 256) for n in range(200)])
    assert {type(result) for result in results} == {RecordFailure}
    assert time.monotonic() - start < postgres_connection.CALL_SECONDS


async def test_an_id_that_no_row_can_have_is_not_found(store: PostgresStore) -> None:
    assert await store.get_job("t", "a\0b") is None
    assert (await store.list_jobs("a\udc80b")).jobs == ()
