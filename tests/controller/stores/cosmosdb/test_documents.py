"""What is Cosmos DB's own: the documents, partitions, large documents, many jobs, a restart; on the emulator.

The laws are in tests/contract/test_stores.py, the service's failures in the files beside this one.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from controller.domain import names, reasons
from controller.domain.errors import ConfigError, Permanent, Unavailable
from controller.domain.phases import Phase
from controller.domain.records import JobRow, Recorded, Transition
from controller.ports import RecordFailure
from controller.stores import tombstones
from controller.stores.cosmosdb import CosmosStore
from controller.stores.cosmosdb_schema import CosmosMigrations
from tests.contract.databases import cosmosdb

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
RUNNING = Phase.RUNNING


def transition(
    number: int = 0, phase: Phase = Phase.PENDING, *, job: str = "j", tenant: str = "t", **facts: Any
) -> Transition:
    fields = {"created_at": NOON, "updated_at": NOON, **facts}
    row = JobRow(tenant_id=tenant, job_id=job, status=phase, **fields)
    return Transition(uid=f"u-{job}", number=number, from_phase=None, row=row, at=NOON, reason="r")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[CosmosStore]:
    async with cosmosdb.fresh(tmp_path) as database:
        store = database.store()
        assert isinstance(store, CosmosStore)
        await store.open()
        yield store
        await store.close()


async def documents(store: CosmosStore, tenant: str = "t") -> dict[str, dict[str, Any]]:
    """All of a tenant, by id, without what the service adds."""
    found = await store._query(tenant, "SELECT * FROM c WHERE c.tenantId = @tenant", {})
    return {one["id"]: {name: one[name] for name in one if not name.startswith("_")} for one in found}


async def test_documents_have_camel_case_properties_and_ids_with_their_type(store: CosmosStore) -> None:
    await store.record([transition(0, Phase.COMPLETED, commands=("a", "b"), resource_path="p", use_spot_vms=False)])
    transition_id, notification_id = names.transition_id("u-j", 0), names.notification_id("u-j")
    noon = "2026-05-01T12:00:00.000000Z"
    found = await documents(store)
    assert found == {
        "tenant": {
            "id": "tenant",
            "type": "tenant",
            "tenantId": "t",
            "userEmail": "",
            "oauthProvider": "",
            "oauthUserId": "",
            "createdAt": noon,
            "updatedAt": noon,
        },
        "job:j": {
            "id": "job:j",
            "type": "job",
            "uid": "u-j",
            "transition": 0,
            "tenantId": "t",
            "jobId": "j",
            "status": "COMPLETED",
            "createdAt": noon,
            "updatedAt": noon,
            "commands": ["a", "b"],
            "retryCount": 0,
            "maxRetries": 3,
            "gcpBatchJobPath": "p",
            "useSpotVms": False,
        },
        f"transition:{transition_id}": {
            "id": f"transition:{transition_id}",
            "type": "transition",
            "number": 0,
            "tenantId": "t",
            "jobId": "j",
            "transitionId": transition_id,
            "toStatus": "COMPLETED",
            "transitionedAt": noon,
            "reason": "r",
        },
        f"notification:{notification_id}": {
            "id": f"notification:{notification_id}",
            "type": "notification",
            "createdAt": noon,
            "notificationId": notification_id,
            "tenantId": "t",
            "jobId": "j",
            "finalStatus": "COMPLETED",
            "occurredAt": noon,
            "isRead": False,
        },
    }


@pytest.mark.parametrize("field", ["error_message", "env_vars_json"])
async def test_a_document_that_is_too_large_fails_alone_and_its_job_goes_on_without_it(
    store: CosmosStore, field: str
) -> None:
    large = transition(1, Phase.RUNNING, **{field: "secret" * 400_000})
    steps = [transition(0), large, transition(2, Phase.COMPLETED), transition(0, job="k")]
    first, second, third, other = await store.record(steps)
    assert (first, third) == (Recorded(number=0, phase=Phase.PENDING), Recorded(number=2, phase=Phase.COMPLETED))
    assert other == Recorded(number=0, phase=Phase.PENDING)
    assert isinstance(second, RecordFailure)
    assert isinstance(second.error, Permanent)
    assert second.error.reason == reasons.RECORD_REJECTED
    assert "secret" not in str(second.error)


async def test_large_documents_of_one_group_go_in_batches_of_their_own(store: CosmosStore) -> None:
    large = {"env_vars_json": "x" * 900_000}
    steps = [transition(0, job=f"j{n}", **large) for n in range(5)]
    assert await store.record(steps) == [Recorded(number=0, phase=Phase.PENDING)] * 5
    assert len((await store.list_jobs("t")).jobs) == 5


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_two_large_transitions_of_one_job_are_written_after_each_other(store: CosmosStore) -> None:
    steps = [
        transition(0, env_vars_json="x" * 1_000_000),
        transition(1, Phase.RUNNING, error_message="y" * 500_000),
        transition(2, Phase.FAILED, error_message="z" * 500_000),
    ]
    results = await store.record(steps)
    # The last one's error stands in the row and in the notification: together with the environment, too much.
    assert results[:2] == [Recorded(number=0, phase=Phase.PENDING), Recorded(number=1, phase=Phase.RUNNING)]
    assert isinstance(results[2], RecordFailure)
    assert [audit.to_status for audit in await store.transitions("t", "j")] == ["PENDING", "RUNNING"]


@pytest.mark.parametrize(
    "facts", [{"memory_mib": 2**53 + 1}, {"error_message": "broken \udc80 text"}, {"commands": ("\ud800",)}]
)
async def test_what_json_cannot_carry_fails_alone(store: CosmosStore, facts: dict[str, object]) -> None:
    bad, good = await store.record([transition(**facts), transition(job="k", memory_mib=2**53, name="\U0001f600")])
    assert isinstance(bad, RecordFailure)
    assert isinstance(bad.error, Permanent)
    assert bad.error.reason == reasons.RECORD_REJECTED
    assert good == Recorded(number=0, phase=Phase.PENDING)
    assert (await store.get_job("t", "k")).name == "\U0001f600"


async def test_more_transitions_of_one_job_than_a_batch_holds_are_written_and_deleted(store: CosmosStore) -> None:
    phases = [Phase.RUNNING, Phase.PENDING]
    steps = [transition(number, phases[number % 2], retry_count=(number + 1) // 2) for number in range(250)]
    results = await store.record(steps)
    assert [result.number for result in results if isinstance(result, Recorded)] == list(range(250))
    assert len(await store.transitions("t", "j")) == 250
    assert (await store.get_job("t", "j")).retry_count == 125
    assert await store.delete_job("t", "j", uid="u-j") is True
    assert set(await documents(store)) == {"tenant", "job:j"}


async def test_a_deletion_leaves_a_document_that_expires_by_itself(store: CosmosStore) -> None:
    await store.record([transition(0, Phase.COMPLETED)])
    await store.delete_job("t", "j", uid="u-j")
    left = (await documents(store))["job:j"]
    ttl, deleted = left.pop("ttl"), left.pop("deleted")
    assert tombstones.TTL_SECONDS - 60 < ttl <= tombstones.TTL_SECONDS
    assert deleted.keys() == {"u-j"}
    assert left == {"id": "job:j", "type": "tombstones", "tenantId": "t", "jobId": "j"}
    assert (await store._db.container.read())["defaultTtl"] == -1, "else the service ignores it"
    successor = msgspec.structs.replace(transition(), uid="its successor", destination="here")
    await store.record([successor])
    row = (await documents(store))["job:j"]
    assert "ttl" not in row, "a row does not expire"
    assert (row["deleted"], row["destination"]) == (deleted, "here")


async def test_a_transition_during_a_deletion_leaves_no_audit_row_without_its_row(store: CosmosStore) -> None:
    for n in range(10):
        first, second = (msgspec.structs.replace(step, uid=f"u{n}") for step in (transition(), transition(1, RUNNING)))
        await store.record([first])
        await asyncio.gather(store.delete_job("t", "j", uid=f"u{n}"), store.record([second]))
        assert {one["type"] for one in (await documents(store)).values()} == {"tenant", "tombstones"}


async def test_many_jobs_are_listed_in_pages_without_a_gap_or_a_repeat_while_jobs_are_added(
    store: CosmosStore,
) -> None:
    def job(n: int) -> Transition:
        return transition(job=f"j{n:05}", created_at=NOON + timedelta(seconds=n // 3))

    await store.record([job(n) for n in range(1000)])
    seen: list[str] = []
    token, added = "", 1000
    while True:
        page = await store.list_jobs("t", page_size=150, page_token=token)
        seen += [row.job_id for row in page.jobs]
        token = page.next_token
        if not token:
            break
        await store.record([job(n) for n in range(added, added + 20)])
        added += 20
    assert seen == [f"j{n:05}" for n in reversed(range(1000))]


async def test_a_service_that_was_restarted_is_used_again_without_a_new_process() -> None:
    cosmosdb.emulator()  # installed, or skipped
    first = cosmosdb.Emulator()
    await migrate(first.endpoint)
    store = CosmosStore(first.endpoint, "jennah", key=cosmosdb.KEY)
    await store.open()
    await store.record([transition()])
    first.stop()
    with pytest.raises(Unavailable):
        await store.record([transition(1, Phase.RUNNING)])
    again = cosmosdb.Emulator(first.port)
    with pytest.raises(Unavailable, match="jennah migrate"):  # it keeps nothing
        await store.record([transition(1, Phase.RUNNING)])
    await migrate(again.endpoint)
    assert await store.record([transition(1, Phase.RUNNING)]) == [Recorded(number=1, phase=Phase.RUNNING)]
    await store.close()
    again.stop()


async def migrate(endpoint: str) -> None:
    migrations = CosmosMigrations(endpoint, "jennah", key=cosmosdb.KEY)
    await migrations.apply()
    await migrations.close()


async def test_a_call_during_a_short_restart_is_answered_after_it() -> None:
    cosmosdb.emulator()
    first = cosmosdb.Emulator()
    await migrate(first.endpoint)
    store = CosmosStore(first.endpoint, "jennah", key=cosmosdb.KEY)
    with pytest.raises(ConfigError):
        await CosmosStore(first.endpoint, "other", key=cosmosdb.KEY).open()
    await store.open()
    first.stop()
    reading = asyncio.create_task(store.get_tenant("t"))
    again = cosmosdb.Emulator(first.port)
    assert await reading is None
    await store.close()
    again.stop()
