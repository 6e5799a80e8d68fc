"""Commits whose answer is lost, deadlocks and conflicts: done again, and written once."""

import asyncio
from urllib.parse import urlsplit

import psycopg

from controller.domain.phases import Phase
from controller.domain.records import Recorded
from controller.stores.postgres import PostgresStore
from controller.stores.writer import GroupWriter
from tests.controller.stores.postgres.harness import counts, query, transition
from tests.controller.stores.postgres.relay import Relay, once

COMMITTED = b"COMMIT\0"  # as the server says it


async def test_a_commit_whose_answer_is_lost_is_done_again_and_leaves_one_row(
    url: str, relay: Relay, distant: PostgresStore
) -> None:
    relay.loses_answer = once(COMMITTED)
    steps = [transition(), transition(1, Phase.FAILED)]
    assert list(await distant.record(steps))[-1] == Recorded(number=1, phase=Phase.FAILED)
    assert relay.lost == 1
    assert counts(url) == [(1, 2, 1)]


async def test_a_commit_that_never_arrived_is_done_again(url: str, relay: Relay, distant: PostgresStore) -> None:
    relay.loses_question = once(b"COMMIT")
    assert list(await distant.record([transition(0, Phase.COMPLETED)])) == [Recorded(number=0, phase=Phase.COMPLETED)]
    assert relay.lost == 1
    assert counts(url) == [(1, 1, 1)]


async def test_the_callers_of_a_group_hear_nothing_of_a_lost_connection(
    url: str, relay: Relay, distant: PostgresStore
) -> None:
    writer = GroupWriter(distant)
    relay.loses_answer = once(COMMITTED)
    results = await asyncio.gather(*(writer.write([transition(job_id=f"job-{n}")]) for n in range(50)))
    assert results == [Recorded(number=0, phase=Phase.PENDING)] * 50
    assert relay.lost == 1
    assert counts(url) == [(50, 50, 0)]
    await writer.close()


async def test_a_deletion_whose_answer_is_lost_was_one(relay: Relay, distant: PostgresStore) -> None:
    await distant.record([transition(0, Phase.COMPLETED)])
    relay.loses_answer = once(COMMITTED)
    assert await distant.delete_job("t", "j", uid="uid of j") is True
    assert relay.lost == 1
    assert await distant.delete_job("t", "j", uid="uid of j") is False


async def test_a_deadlock_is_resolved_by_doing_the_transaction_again(url: str, store: PostgresStore) -> None:
    both = [transition(job_id="a"), transition(job_id="b")]
    await store.record(both)
    async with await psycopg.AsyncConnection.connect(url) as other:
        await other.execute("SET deadlock_timeout = '60s'")  # so that the store is the one that is chosen
        await other.execute("SELECT * FROM jobs WHERE job_id = 'b' FOR UPDATE")
        recording = asyncio.create_task(
            store.record([transition(1, Phase.RUNNING, job_id="a"), transition(1, Phase.RUNNING, job_id="b")])
        )
        await asyncio.sleep(0.2)  # it has a, and waits for b
        await other.execute("SELECT * FROM jobs WHERE job_id = 'a' FOR UPDATE")
    assert list(await recording) == [Recorded(number=1, phase=Phase.RUNNING)] * 2
    assert query(url, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") != [(0,)]


async def test_a_database_that_serializes_transactions_aborts_some_which_are_done_again(url: str) -> None:
    name = urlsplit(url).path[1:]
    query(url, f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = 'serializable'")
    stores = [PostgresStore(url) for _ in range(3)]
    for store in stores:
        await store.open()
    for number, phase in enumerate((Phase.PENDING, Phase.SCHEDULED, Phase.RUNNING, Phase.PENDING)):
        both = [transition(number, phase), transition(number, phase, job_id="k")]
        await asyncio.gather(*(store.record(both) for store in stores))
    assert counts(url) == [(2, 8, 0)]
    for store in stores:
        await store.close()
