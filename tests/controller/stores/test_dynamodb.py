"""What is DynamoDB's own: its limits, its index, its faults. The laws are in tests/contract/test_stores.py."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import msgspec
import pytest

from controller import migrate
from controller.domain import reasons
from controller.domain.errors import ConfigError, Permanent, Throttled, Unavailable
from controller.domain.phases import Phase
from controller.domain.records import JobRow, Recorded, Transition
from controller.ports import RecordFailure
from controller.settings import DatabaseSettings
from controller.stores import dynamodb_calls, dynamodb_connection, dynamodb_keys, dynamodb_rows, dynamodb_schema
from controller.stores.dynamodb import DynamoStore
from controller.stores.dynamodb_schema import DynamoMigrations
from tests.contract.databases import dynamodb as stand_in
from tests.controller.stores import dynamodb_proxy as faults
from tests.controller.stores.dynamodb_proxy import FaultyProxy

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
LIFE = (Phase.PENDING, Phase.RUNNING, Phase.COMPLETED)


def transition(number: int = 0, phase: Phase = Phase.PENDING, *, job_id: str = "j", **facts: Any) -> Transition:
    row = JobRow(**{"tenant_id": "t", "created_at": NOON, "updated_at": NOON, **facts}, job_id=job_id, status=phase)
    return Transition(uid=f"uid-{job_id}", number=number, from_phase=None, row=row, at=NOON, reason="r")


def jobs(count: int, number: int = 0, phase: Phase = Phase.PENDING) -> list[Transition]:
    """One transition of each of these jobs, a second between their creation."""
    return [
        transition(number, phase, job_id=f"job-{n:04}", created_at=NOON + timedelta(seconds=n)) for n in range(count)
    ]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with stand_in.credentials():
        yield stand_in.server()


@pytest.fixture
async def table(server: str) -> str:
    name = stand_in.new_table_name()
    await stand_in.migrate(name, server)
    return name


@pytest.fixture
async def proxy(server: str) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy(server) as proxy:
        yield proxy


@pytest.fixture
async def store(proxy: FaultyProxy, table: str) -> AsyncIterator[DynamoStore]:
    """The one under test: through the proxy."""
    store = DynamoStore(stand_in.REGION, table, endpoint=proxy.url)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def other(server: str, table: str) -> AsyncIterator[DynamoStore]:
    """Another process on the same table, without faults."""
    store = DynamoStore(stand_in.REGION, table, endpoint=server)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store call ends within a second."""
    monkeypatch.setattr(dynamodb_calls, "CALL_SECONDS", 0.8)
    monkeypatch.setattr(dynamodb_connection, "CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(dynamodb_connection, "READ_SECONDS", 0.2)
    monkeypatch.setattr(dynamodb_calls, "BACKOFF_SECONDS", 0.01)


@pytest.fixture
def client(server: str) -> Iterator[Any]:
    client = boto3.client("dynamodb", region_name=stand_in.REGION, endpoint_url=server)
    yield client
    client.close()


async def assert_written_once(store: DynamoStore, count: int = 1) -> None:
    """All transitions of `LIFE`, of that many jobs: one row, one audit row each, one notification, one entry."""
    listed = (await store.list_jobs("t")).jobs
    assert [job.status for job in listed] == [Phase.COMPLETED] * count
    for job in listed:
        audit = await store.transitions("t", job.job_id)
        assert [step.to_status for step in audit] == [phase.wire for phase in LIFE]
    assert await store.count_unread("t") == len(await store.list_notifications("t", limit=1000)) == count


def failures(results: Sequence[Recorded | RecordFailure]) -> dict[int, Exception]:
    return {n: result.error for n, result in enumerate(results) if isinstance(result, RecordFailure)}


# -- the start


async def test_a_refused_connection_is_unavailable_at_once_and_says_nothing_secret(proxy: FaultyProxy) -> None:
    await proxy.stop()
    store = DynamoStore(stand_in.REGION, "jennah", endpoint=proxy.url.replace("//", "//user:hunter2@"))
    began = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        await store.open()
    assert time.monotonic() - began < 2
    assert str(caught.value) == "DynamoDB in eu-west-1 cannot be reached: EndpointConnectionError"
    assert caught.value.__cause__ is None, "the SDK's own text has the endpoint"
    await proxy.start()


async def test_no_credentials_are_unavailable_with_a_line_that_says_so(
    server: str, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(Unavailable, match="no AWS credentials were found"):
        await DynamoStore(stand_in.REGION, table, endpoint=server).open()


async def test_credentials_without_the_right_are_unavailable_and_never_the_jobs_fault(
    store: DynamoStore, proxy: FaultyProxy
) -> None:
    proxy.fail_always("TransactWriteItems", faults.refuse("AccessDeniedException"))
    with pytest.raises(Unavailable, match="AccessDeniedException") as caught:
        await store.record([transition()])
    assert "secret detail" not in str(caught.value)


async def test_a_missing_table_is_a_config_error_that_names_the_command(server: str) -> None:
    with pytest.raises(ConfigError, match="nowhere in eu-west-1 does not exist: run `jennah migrate`"):
        await DynamoStore(stand_in.REGION, "nowhere", endpoint=server).open()


@pytest.mark.parametrize(
    ("version", "says"),
    [
        (None, "schema version 0; this release needs 1: run `jennah migrate`"),
        (99, "schema version 99; this release knows 1: use a newer release"),
    ],
)
async def test_another_schema_version_is_a_config_error(
    server: str, table: str, client: Any, version: int | None, says: str
) -> None:
    key = {"pk": {"S": "SCHEMA"}, "sk": {"S": "VERSION"}}
    if version is None:
        client.delete_item(TableName=table, Key=key)
    else:
        client.put_item(TableName=table, Item={**key, "version": {"N": str(version)}})
    with pytest.raises(ConfigError, match=says):
        await DynamoStore(stand_in.REGION, table, endpoint=server).open()


async def test_a_table_that_is_not_ours_is_a_config_error_and_left_alone(server: str, client: Any) -> None:
    name = stand_in.new_table_name()
    request = dynamodb_schema.table_request(name)
    del request["GlobalSecondaryIndexes"]
    request["AttributeDefinitions"] = [{"AttributeName": "id", "AttributeType": "S"}]
    request["KeySchema"] = [{"AttributeName": "id", "KeyType": "HASH"}]
    client.create_table(**request)
    for attempt in (DynamoStore(stand_in.REGION, name, endpoint=server).open(), stand_in.migrate(name, server)):
        with pytest.raises(ConfigError, match="not a table of ours"):
            await attempt


async def test_a_store_that_is_not_open_is_unavailable() -> None:
    store = DynamoStore(stand_in.REGION, "jennah")
    with pytest.raises(Unavailable, match="not open"):
        await store.get_job("t", "j")
    await store.close()


# -- jennah migrate


async def test_migrating_twice_changes_nothing_the_second_time(server: str) -> None:
    name = stand_in.new_table_name()
    assert len(await stand_in.migrate(name, server)) == 2
    assert await stand_in.migrate(name, server) == []


async def test_replicas_that_migrate_at_the_same_time_do_each_step_once(server: str) -> None:
    name = stand_in.new_table_name()
    ran = await asyncio.gather(*(stand_in.migrate(name, server) for _ in range(4)))
    assert sorted(statement.split()[2] for statements in ran for statement in statements) == [
        "create-table",
        "put-item",
    ]
    store = DynamoStore(stand_in.REGION, name, endpoint=server)
    await store.open()
    await store.close()


async def test_a_migration_that_died_between_its_steps_is_finished(server: str, client: Any) -> None:
    name = stand_in.new_table_name()
    client.create_table(**dynamodb_schema.table_request(name))
    [statement] = await stand_in.migrate(name, server)
    assert "put-item" in statement


async def test_a_new_table_is_waited_for(proxy: FaultyProxy, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamodb_schema, "POLL_SECONDS", 0.01)
    name = stand_in.new_table_name()
    request = dynamodb_schema.table_request(name)
    index = {"IndexName": "active", "KeySchema": request["GlobalSecondaryIndexes"][0]["KeySchema"]}
    creating = {
        "TableStatus": "CREATING",
        "KeySchema": request["KeySchema"],
        "GlobalSecondaryIndexes": [{**index, "IndexStatus": "CREATING"}],
    }
    proxy.fail("DescribeTable", faults.refuse("ResourceNotFoundException"), faults.answer({"Table": creating}))
    assert len(await stand_in.migrate(name, proxy.url)) == 2
    assert proxy.count("DescribeTable") == 3


async def test_a_dry_run_prints_the_requests_as_json_and_does_nothing(
    server: str, client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    name = stand_in.new_table_name()
    settings = DatabaseSettings(kind="dynamodb", region=stand_in.REGION, database=name, endpoint=server)
    assert await migrate.run(settings, dry_run=True) == 0
    create, put = capsys.readouterr().out.splitlines()
    assert create.startswith("aws dynamodb create-table --region eu-west-1 --cli-input-json '")
    assert json.loads(create.split("'")[1]) == dynamodb_schema.table_request(name)
    assert json.loads(put.split("'")[1])["Item"]["version"] == {"N": "1"}
    assert name not in client.list_tables()["TableNames"]
    await migrate.run(settings, dry_run=False)
    capsys.readouterr()
    await migrate.run(settings, dry_run=True)
    assert capsys.readouterr().out == f"-- DynamoDB: table {name} in eu-west-1: the schema is current\n"


async def test_migrations_of_a_newer_schema_are_a_config_error(server: str, table: str, client: Any) -> None:
    item = {"pk": {"S": "SCHEMA"}, "sk": {"S": "VERSION"}, "version": {"N": "2"}}
    client.put_item(TableName=table, Item=item)
    migrations = DynamoMigrations(stand_in.REGION, table, endpoint=server)
    with pytest.raises(ConfigError, match="newer release"):
        await migrations.pending()
    await migrations.close()


# -- unknown outcomes


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
    await store.delete_job("t", "k")
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
    assert await store.delete_job("t", "j") is True
    assert await store.delete_job("t", "j") is False
    assert await store.list_notifications("t", limit=5) == []


# -- load, conflicts, and a service that is away


@pytest.mark.usefixtures("short_limits")
async def test_the_store_works_again_after_the_service_was_away(store: DynamoStore, proxy: FaultyProxy) -> None:
    await store.record([transition()])
    await proxy.stop()
    with pytest.raises(Unavailable, match="cannot be reached"):
        await store.record([transition(1, Phase.RUNNING)])
    with pytest.raises(Unavailable, match="cannot be reached"):
        await store.get_job("t", "j")
    await proxy.start()
    await store.record([transition(1, Phase.RUNNING)])
    assert (await store.get_job("t", "j")).status is Phase.RUNNING


@pytest.mark.usefixtures("short_limits")
async def test_a_service_that_hangs_is_unavailable_within_the_time_limit(
    store: DynamoStore, proxy: FaultyProxy
) -> None:
    async def hang(_: faults.Body, __: faults.Forward) -> None:
        await asyncio.sleep(3)

    proxy.fail_always("BatchGetItem", hang)
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await store.record(jobs(300))
    assert time.monotonic() - began < dynamodb_calls.CALL_SECONDS + 0.7


def test_the_time_limit_of_a_call_is_below_8_seconds() -> None:
    assert dynamodb_calls.CALL_SECONDS + dynamodb_calls.OUTER_SECONDS < 8


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ProvisionedThroughputExceededException", 400),
        ("ThrottlingException", 400),
        ("RequestLimitExceeded", 400),
        ("TransactionInProgressException", 400),
        ("InternalServerError", 500),
        ("ServiceUnavailable", 503),
    ],
)
async def test_a_throttled_or_failed_request_is_tried_again(
    store: DynamoStore, proxy: FaultyProxy, code: str, status: int
) -> None:
    for operation in ("BatchGetItem", "TransactWriteItems", "GetItem"):
        proxy.fail(operation, *[faults.refuse(code, status)] * 2)
    for number, phase in enumerate(LIFE):
        await store.record([transition(number, phase)])
    assert (await store.get_job("t", "j")).status is Phase.COMPLETED
    await assert_written_once(store)


@pytest.mark.usefixtures("short_limits")
async def test_a_table_that_stays_throttled_is_throttled(store: DynamoStore, proxy: FaultyProxy) -> None:
    proxy.fail_always("TransactWriteItems", faults.refuse("ProvisionedThroughputExceededException"))
    with pytest.raises(Throttled, match="ProvisionedThroughputExceededException") as caught:
        await store.record([transition(env_vars_json="hidden value")])
    assert "hidden" not in str(caught.value)
    assert "secret detail" not in str(caught.value)
    assert proxy.count("TransactWriteItems") > 2


@pytest.mark.usefixtures("short_limits")
async def test_a_transaction_that_stays_throttled_fails_alone(
    store: DynamoStore, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.stores.dynamodb_plan.PACK_ACTIONS", 4)
    await store.record([transition(job_id="first")])
    proxy.fail_always("TransactWriteItems", faults.refuse_with("JOB#t#job-0001", "ThrottlingException"))
    results = await store.record(jobs(3))
    assert [type(error) for error in failures(results).values()] == [Throttled]
    assert [job.job_id for job in (await store.list_jobs("t")).jobs] == ["job-0002", "job-0000", "first"]


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
async def test_a_cancelled_transaction_is_tried_again(store: DynamoStore, proxy: FaultyProxy, code: str) -> None:
    for number, phase in enumerate(LIFE):
        proxy.fail("TransactWriteItems", faults.cancel(code, at=(3,)), faults.cancel(code))
        assert await store.record(jobs(5, number, phase)) == [Recorded(number=number, phase=phase)] * 5
    await assert_written_once(store, 5)


async def test_a_transaction_that_is_cancelled_for_no_given_reason_is_tried_again_after_a_pause(
    store: DynamoStore, proxy: FaultyProxy
) -> None:
    proxy.fail("TransactWriteItems", *[faults.cancel("None")] * 2)
    began = time.monotonic()
    assert failures(await store.record(jobs(3))) == {}
    assert time.monotonic() - began > dynamodb_calls.BACKOFF_SECONDS


async def test_a_job_is_not_failed_for_what_it_shared_a_transaction_with(
    store: DynamoStore, proxy: FaultyProxy
) -> None:
    the_tenant, the_second_job = 9, 2
    proxy.fail("TransactWriteItems", faults.cancel("ValidationError", at=(the_tenant,)))
    assert failures(await store.record(jobs(3))) == {}
    proxy.fail("TransactWriteItems", faults.cancel("ValidationError", at=(the_second_job,)))
    assert failures(await store.record(jobs(3, 1, Phase.RUNNING))) == {}


async def test_a_conflict_over_the_tenant_alone_is_tried_again(store: DynamoStore, proxy: FaultyProxy) -> None:
    proxy.fail("TransactWriteItems", faults.cancel("TransactionConflict", at=(9,)))
    assert failures(await store.record(jobs(3))) == {}
    assert len(proxy.requests[-1][1]["TransactItems"]) == 10


async def test_unprocessed_keys_are_asked_for_again(store: DynamoStore, proxy: FaultyProxy, table: str) -> None:
    async def unprocessed(body: faults.Body, _: faults.Forward) -> Any:
        return await faults.answer({"Responses": {}, "UnprocessedKeys": body["RequestItems"]})({}, _)

    await store.record(jobs(5))
    proxy.fail("BatchGetItem", unprocessed, unprocessed)
    assert len((await store.list_jobs("t")).jobs) == 5


async def test_half_an_answer_is_asked_for_again(store: DynamoStore, proxy: FaultyProxy) -> None:
    async def cut(_: faults.Body, forward: faults.Forward) -> Any:
        answer = await forward()
        answer.body = answer.body[:-20]
        return answer

    await store.record([transition()])
    proxy.fail("GetItem", cut)
    assert await store.get_job("t", "j") is not None


async def test_a_row_that_changes_between_reading_and_writing_is_merged_again_and_the_others_not_held_up(
    store: DynamoStore, proxy: FaultyProxy, other: DynamoStore
) -> None:
    await store.record(jobs(10))

    async def cancel_one() -> None:
        await other.record([transition(5, Phase.CANCELLED, job_id="job-0003")])

    proxy.requests.clear()
    proxy.fail("TransactWriteItems", faults.first(cancel_one))
    results = await store.record(jobs(10, 1, Phase.RUNNING))
    truth = Recorded(number=5, phase=Phase.CANCELLED)
    assert results == [truth if n == 3 else Recorded(number=1, phase=Phase.RUNNING) for n in range(10)]
    assert proxy.count("TransactWriteItems") == 2, "the other nine went together"
    assert len(await store.transitions("t", "job-0003")) == 2


async def test_a_row_that_is_deleted_between_reading_and_writing_comes_back(
    store: DynamoStore, proxy: FaultyProxy, other: DynamoStore
) -> None:
    await store.record([transition()])
    proxy.fail("TransactWriteItems", faults.first(lambda: other.delete_job("t", "j")))
    assert await store.record([transition(1, Phase.RUNNING)]) == [Recorded(number=1, phase=Phase.RUNNING)]
    assert [job.job_id for job in (await store.list_jobs("t")).jobs] == ["j"]


async def test_many_processes_that_write_the_same_rows_write_them_once(store: DynamoStore, other: DynamoStore) -> None:
    steps = [step for number, phase in enumerate(LIFE) for step in jobs(8, number, phase)]
    await asyncio.gather(*(each.record(steps) for each in (store, other) for _ in range(3)))
    await assert_written_once(store, 8)


# -- values that DynamoDB does not take


async def test_a_row_over_400_kb_is_rejected_alone(store: DynamoStore) -> None:
    rows = jobs(5)
    rows[2] = transition(job_id="job-0002", env_vars_json="hidden" * 70_000)
    [(index, error)] = failures(await store.record(rows)).items()
    assert index == 2
    assert isinstance(error, Permanent)
    assert error.reason == reasons.RECORD_REJECTED
    assert str(error) == "the database refused the row: the row is larger than DynamoDB's 400 KB"
    assert len((await store.list_jobs("t")).jobs) == 4


async def test_a_row_that_only_dynamodb_finds_too_large_is_rejected_alone(store: DynamoStore) -> None:
    """The stand-in's limit is 405,000 bytes, for the real 409,600."""
    rows = jobs(3)
    rows[1] = transition(job_id="job-0001", env_vars_json="x" * 407_000)
    [(index, error)] = failures(await store.record(rows)).items()
    assert (index, error.reason) == (1, reasons.RECORD_REJECTED)


async def test_a_row_of_almost_400_kb_is_taken(store: DynamoStore) -> None:
    big = transition(phase=Phase.FAILED, error_message="\u00fc" * 200_000)
    assert failures(await store.record([big])) == {}
    assert (await store.get_job("t", "j")).error_message == "\u00fc" * 200_000
    assert len(await store.list_notifications("t", limit=1)) == 1


@pytest.mark.parametrize(
    "facts",
    [
        {"env_vars_json": "hidden \udc80"},
        {"commands": ("hidden", "\udc80")},
        {"tenant_id": "hidden\udc80"},
        {"tenant_id": "hidden" * 500},
        {"memory_mib": 2**63},
        {
            "created_at": datetime.min.replace(
                tzinfo=msgspec.json.decode('"2026-01-01T00:00:00+14:00"', type=datetime).tzinfo
            )
        },
    ],
    ids=["text", "command", "id", "long id", "number", "time"],
)
async def test_values_that_no_item_can_have_are_rejected_alone(store: DynamoStore, facts: dict[str, Any]) -> None:
    results = await store.record([transition(job_id="bad", **facts), transition()])
    [(index, error)] = failures(results).items()
    assert (index, error.reason) == (0, reasons.RECORD_REJECTED)
    assert "hidden" not in str(error)
    assert [job.job_id for job in (await store.list_jobs("t")).jobs] == ["j"]


async def test_a_negative_number_is_rejected(store: DynamoStore) -> None:
    [error] = failures(await store.record([transition(-1)])).values()
    assert error.reason == reasons.RECORD_REJECTED


@pytest.mark.parametrize("code", ["ValidationException", "TransactionCanceledException"])
async def test_of_a_transaction_that_dynamodb_refuses_only_the_row_to_blame_fails(
    store: DynamoStore, proxy: FaultyProxy, code: str
) -> None:
    """It may say which one it was, or not."""

    async def refuse(body: faults.Body, forward: faults.Forward) -> Any:
        guilty = [n for n, action in enumerate(body["TransactItems"]) if "poison" in json.dumps(action)]
        if not guilty:
            return await forward()
        if code == "ValidationException":
            return await faults.refuse(code)(body, forward)
        return await faults.cancel("ValidationError", at=guilty)(body, forward)

    proxy.fail_always("TransactWriteItems", refuse)
    rows = jobs(20)
    rows[7] = transition(job_id="job-0007", image_uri="poison")
    rows.insert(15, transition(1, Phase.RUNNING, job_id="job-0007"))
    [(index, error)] = failures(await store.record(rows)).items()
    assert index == 7
    assert error.reason == reasons.RECORD_REJECTED
    assert "poison" not in str(error)
    assert len((await store.list_jobs("t")).jobs) == 20
    assert (await store.get_job("t", "job-0007")).status is Phase.RUNNING


async def test_ids_cannot_be_mistaken_for_other_keys(store: DynamoStore) -> None:
    await store.record([transition(tenant_id="a#b", job_id="c")])
    assert await store.get_job("a#b", "c") is not None
    assert await store.get_job("a", "b#c") is None
    assert [job.job_id for job in (await store.list_jobs("a#b")).jobs] == ["c"]
    assert await store.get_job("\udc80", "") is None


# -- round trips, lists, the index


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
    steps = [transition(n, (Phase.RUNNING, Phase.PENDING)[n % 2]) for n in range(150)]
    results = await store.record(steps)
    assert [result.number for result in results] == list(range(150))
    assert len(await store.transitions("t", "j")) == 150
    assert (await store.get_job("t", "j")).retry_count == 75
    assert await store.delete_job("t", "j") is True
    assert await store.transitions("t", "j") == []


async def test_two_jobs_of_one_uid_do_not_block_each_other(store: DynamoStore) -> None:
    """Their notification is one item, which a transaction may write only once."""
    ends = [msgspec.structs.replace(transition(job_id=job, phase=Phase.FAILED), uid="u") for job in "ab"]
    assert failures(await store.record(ends)) == {}
    assert len((await store.list_jobs("t")).jobs) == 2


async def test_many_jobs_are_listed_in_pages_without_a_gap_or_a_repeat_while_rows_are_added(
    store: DynamoStore, client: Any, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The stand-in takes a millisecond for each item, of one request at a time: it would exceed a request's time limit.
    monkeypatch.setattr(dynamodb_calls, "GETS_AT_ONCE", 2)
    expected = fill(client, table, 1000)
    seen: list[str] = []
    token, pages = "", 0
    while True:
        page = await store.list_jobs("t", page_size=150, page_token=token)
        seen += [job.job_id for job in page.jobs]
        token, pages = page.next_token, pages + 1
        if not token:
            break
        await store.record([transition(job_id=f"new-{pages}", created_at=NOON + timedelta(days=pages))])
    assert seen == expected
    assert pages == 7
    everything = [job.job_id for job in (await store.list_jobs("t")).jobs]
    assert everything[-1000:] == expected


async def test_a_list_of_more_than_a_megabyte_of_entries_is_whole(
    store: DynamoStore, proxy: FaultyProxy, client: Any, table: str
) -> None:
    """DynamoDB ends a page of a query at 1 MB; here the stand-in's pages are made short."""
    expected = fill(client, table, 30)

    async def short_page(body: faults.Body, _: faults.Forward) -> Any:
        more = {"Limit": 7} if body.get("Limit", 99) > 7 else {}
        return await faults.answer(client.query(**{**body, **more}))({}, _)

    proxy.fail_always("Query", short_page)
    assert [job.job_id for job in (await store.list_jobs("t")).jobs] == expected
    page = await store.list_jobs("t", page_size=20)
    assert [job.job_id for job in page.jobs] == expected[:20]


async def test_the_index_of_active_jobs_holds_them_and_nothing_else(
    store: DynamoStore, client: Any, table: str
) -> None:
    await store.record(jobs(40))
    await store.record([step for step in jobs(40, 1, Phase.RUNNING) if step.row.job_id > "job-0009"])
    await store.record([step for step in jobs(40, 2, Phase.FAILED) if step.row.job_id > "job-0019"])
    shards = [active(client, table, f"ACTIVE#{shard:02}") for shard in range(dynamodb_keys.ACTIVE_SHARDS)]
    assert sorted(job for shard in shards for job in shard) == [f"JOB#t#job-{n:04}" for n in range(20)]
    assert sum(bool(shard) for shard in shards) > 5, "spread over the shards"
    assert client.scan(TableName=table, IndexName="active")["Count"] == 20
    key = dynamodb_keys.row("t", "job-0030").attributes
    assert "active_shard" not in client.get_item(TableName=table, Key=key)["Item"]


async def test_attributes_have_the_names_of_the_other_databases_and_null_is_absent(
    store: DynamoStore, client: Any, table: str
) -> None:
    await store.record([transition(phase=Phase.COMPLETED, resource_path="p", use_spot_vms=False, commands=("a", "b"))])
    item = client.get_item(TableName=table, Key=dynamodb_keys.row("t", "j").attributes)["Item"]
    assert len(item.pop("write_id")["S"]) == 32
    assert item == {
        "pk": {"S": "JOB#t#j"},
        "sk": {"S": "ROW"},
        "tenant_id": {"S": "t"},
        "job_id": {"S": "j"},
        "status": {"S": "COMPLETED"},
        "created_at": {"S": "2026-05-01T12:00:00.000000Z"},
        "updated_at": {"S": "2026-05-01T12:00:00.000000Z"},
        "commands": {"L": [{"S": "a"}, {"S": "b"}]},
        "retry_count": {"N": "0"},
        "max_retries": {"N": "3"},
        "gcp_batch_job_path": {"S": "p"},
        "use_spot_vms": {"BOOL": False},
        "uid": {"S": "uid-j"},
        "transition": {"N": "0"},
    }


async def test_a_notification_that_is_deleted_while_it_is_acknowledged_leaves_nothing_behind(
    store: DynamoStore, proxy: FaultyProxy, other: DynamoStore, client: Any, table: str
) -> None:
    await store.record([transition(phase=Phase.COMPLETED)])
    [note] = await store.list_notifications("t", limit=5)
    proxy.fail("TransactWriteItems", faults.first(lambda: other.delete_job("t", "j")))
    assert await store.ack_notification("t", note.notification_id) is False
    left = {item["pk"]["S"] for item in client.scan(TableName=table)["Items"]}
    assert left == {"SCHEMA", "TENANT#t"}


async def test_an_answer_taken_as_json_is_what_the_sdk_would_make_of_it(
    store: DynamoStore, client: Any, table: str
) -> None:
    await store.record(
        [transition(use_spot_vms=True, commands=("a", "\u00fc"), memory_mib=7, env_vars_json='{"A":""}')]
    )
    ours = store._connection._client
    key = dynamodb_keys.row("t", "j").attributes
    span = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": key["pk"]}}
    for operation, parameters in (
        ("get_item", {"TableName": table, "Key": key}),
        ("query", {"TableName": table, **span}),
        ("batch_get_item", {"RequestItems": {table: {"Keys": [key]}}}),
    ):
        answers = [await asyncio.to_thread(getattr(each, operation), **parameters) for each in (ours, client)]
        assert all(answer.pop("ResponseMetadata") for answer in answers)
        assert answers[0] == answers[1]


async def test_the_sdk_logs_no_values(store: DynamoStore, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        await store.record([transition(env_vars_json="hidden value")])
        await store.get_job("t", "j")
    assert "hidden" not in caplog.text


def fill(client: Any, table: str, count: int) -> list[str]:
    """So many jobs, two at each moment, written past the store; their ids, newest first."""
    requests = []
    for n in range(count):
        row = transition(job_id=f"job-{n:05}", created_at=NOON + timedelta(seconds=n // 2)).row
        stored = dynamodb_rows.Stored(uid=f"uid-{n}", number=0, row=row)
        for item in (dynamodb_rows.row_item(stored, "w"), dynamodb_rows.entry_item(row)):
            requests.append({"PutRequest": {"Item": item}})
    for start in range(0, len(requests), 25):
        client.batch_write_item(RequestItems={table: requests[start : start + 25]})
    return [f"job-{n:05}" for n in reversed(range(count))]


def active(client: Any, table: str, shard: str) -> list[str]:
    answer = client.query(
        TableName=table,
        IndexName="active",
        KeyConditionExpression="active_shard = :shard",
        ExpressionAttributeValues={":shard": {"S": shard}},
    )
    return [item["pk"]["S"] for item in answer["Items"]]
