"""How few requests many rows take, and what one transaction cannot hold."""

import msgspec

from controller.domain.phases import Phase
from controller.stores.dynamodb import DynamoStore
from tests.controller.stores.dynamodb.harness import failures, jobs, transition
from tests.controller.stores.dynamodb.proxy import FaultyProxy


async def test_200_rows_are_few_round_trips(store: DynamoStore, proxy: FaultyProxy) -> None:
    await store.record(jobs(200))
    proxy.requests.clear()
    assert failures(await store.record(jobs(200, 1, Phase.RUNNING))) == {}
    assert (proxy.count("BatchGetItem"), proxy.count("TransactWriteItems"), len(proxy.requests)) == (3, 4, 7)


async def test_the_first_jobs_of_a_tenant_do_not_collide_over_it(store: DynamoStore, proxy: FaultyProxy) -> None:
    await store.record(jobs(100))
    writes = [body["TransactItems"] for operation, body in proxy.requests if operation == "TransactWriteItems"]
    assert [sum("Update" in action for action in write) for write in writes] == [1, 0, 0, 0]


async def test_more_transitions_of_a_job_than_a_transaction_takes_are_all_written(store: DynamoStore) -> None:
    phases = (Phase.RUNNING, Phase.PENDING)
    steps = [transition(n, phases[n % 2], retry_count=(n + 1) // 2) for n in range(150)]
    results = await store.record(steps)
    assert [result.number for result in results] == list(range(150))
    assert len(await store.transitions("t", "j")) == 150
    assert (await store.get_job("t", "j")).retry_count == 75
    assert await store.delete_job("t", "j", uid="uid-j") is True
    assert await store.transitions("t", "j") == []


async def test_two_jobs_of_one_uid_do_not_block_each_other(store: DynamoStore) -> None:
    """Their notification is one item, which a transaction may write only once."""
    ends = [msgspec.structs.replace(transition(job_id=job, phase=Phase.FAILED), uid="u") for job in "ab"]
    assert failures(await store.record(ends)) == {}
    assert len((await store.list_jobs("t")).jobs) == 2
