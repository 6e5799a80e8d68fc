"""What is Spanner's own: faults, times, round trips, the schema, the Gateway beside us. The laws are in
tests/contract/test_stores.py; both run on the emulator (tests/contract/databases/spanner.py)."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import grpc
import pytest
from google.api_core import exceptions as google
from google.cloud import spanner_v1 as api
from google.cloud.spanner_v1.services.spanner.transports import SpannerGrpcTransport
from google.cloud.spanner_v1.streamed import StreamedResultSet
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo

from controller.domain import names, reasons
from controller.domain.errors import ConfigError, Permanent, Throttled, Unavailable
from controller.domain.phases import Phase
from controller.domain.records import JobRow, Recorded, Transition
from controller.ports import RecordFailure
from controller.stores import spanner_errors, spanner_rows, spanner_schema, spanner_transaction
from controller.stores import spanner_values as values
from controller.stores.spanner import SpannerStore
from controller.stores.spanner_record import COMMIT_TRANSITIONS
from controller.stores.spanner_schema import SpannerMigrations
from tests.contract.databases import spanner as emulators
from tests.contract.databases.spanner import INSTANCE, PROJECT
from tests.controller.stores import spanner_proxy
from tests.controller.stores.spanner_proxy import Fault, Proxy

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
LISTED_ROWS = int(os.environ.get("DB_TEST_LISTED_ROWS", "2000"))
"""100,000 take the emulator a minute: its queries read whole tables."""


def transition(
    number: int = 0, phase: Phase = Phase.PENDING, *, job: str = "j", at: datetime = NOON, **facts: object
) -> Transition:
    row = JobRow(tenant_id="t", job_id=job, status=phase, created_at=at, updated_at=at, **facts)
    return Transition(uid=f"uid-{job}", number=number, from_phase=None, row=row, at=at, reason="r")


@pytest.fixture
def database() -> Iterator[str]:
    """The name of a database that does not exist yet."""
    with emulators.database() as name:
        yield name


@pytest.fixture
async def schema(database: str) -> str:
    """The name of a database with our schema."""
    await migrate(database)
    return database


@pytest.fixture
async def store(schema: str) -> AsyncIterator[SpannerStore]:
    store = SpannerStore(PROJECT, INSTANCE, schema)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def proxy(schema: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with spanner_proxy.running(os.environ["SPANNER_EMULATOR_HOST"]) as proxy:
        monkeypatch.setenv("SPANNER_EMULATOR_HOST", proxy.host)
        yield proxy


@pytest.fixture
async def proxied(proxy: Proxy, schema: str) -> AsyncIterator[SpannerStore]:
    """A store that speaks through the proxy, whose calls are counted from here on."""
    store = SpannerStore(PROJECT, INSTANCE, schema, call_seconds=2)
    await store.open()
    await store.record([transition(job="first")])
    proxy.calls.clear()
    yield store
    proxy.faults.clear()
    await store.close()


async def migrate(database: str) -> Sequence[str]:
    migrations = SpannerMigrations(PROJECT, INSTANCE, database)
    try:
        return await migrations.apply()
    finally:
        await migrations.close()


class Gateway:
    """Another client, as the Gateway is one: plain statements by contract §2, nothing of ours."""

    def __init__(self, database: str) -> None:
        self._channel = grpc.insecure_channel(os.environ["SPANNER_EMULATOR_HOST"])
        self._client = api.SpannerClient(transport=SpannerGrpcTransport(channel=self._channel))
        path = f"projects/{PROJECT}/instances/{INSTANCE}/databases/{database}"
        self._session = self._client.create_session(database=path).name

    def select(self, sql: str) -> list[list[object]]:
        parts = self._client.execute_streaming_sql(request=api.ExecuteSqlRequest(session=self._session, sql=sql))
        return list(StreamedResultSet(parts))

    def write(self, sql: str) -> None:
        read_write = api.TransactionOptions(read_write=api.TransactionOptions.ReadWrite())
        begin = self._client.begin_transaction(session=self._session, options=read_write).id
        selector = api.TransactionSelector(id=begin)
        request = api.ExecuteSqlRequest(session=self._session, sql=sql, transaction=selector, seqno=1)
        self._client.execute_sql(request=request)
        self._client.commit(request=api.CommitRequest(session=self._session, transaction_id=begin))

    def close(self) -> None:
        self._channel.close()


@pytest.fixture
def gateway(schema: str) -> Iterator[Gateway]:
    gateway = Gateway(schema)
    yield gateway
    gateway.close()


# --- The Gateway on the same tables -----------------------------------------------------------------------------------

GATEWAY_JOBS = (
    "SELECT TenantId, JobId, Status, ImageUri, Commands, CreatedAt, UpdatedAt, ScheduledAt, StartedAt, CompletedAt, "
    "RetryCount, MaxRetries, ErrorMessage, GcpBatchJobPath, GcpBatchTaskGroup, EnvVarsJson, OwnerWorkerId, "
    "PreferredWorkerId, LeaseExpiresAt, LastHeartbeatAt, Name, ResourceProfile, MachineType, BootDiskSizeGb, "
    "UseSpotVms, ServiceAccount, ServiceTier, AssignedService, MemoryMib, CpuMillis, MaxRunDurationSeconds "
    "FROM Jobs WHERE TenantId = 't' ORDER BY CreatedAt DESC"
)


async def test_the_gateway_reads_every_column_and_the_lease_columns_are_null(
    store: SpannerStore, gateway: Gateway
) -> None:
    await store.record([transition(2, Phase.RUNNING, image_uri="busybox", commands=("a",), name="n", retry_count=1)])
    [row] = gateway.select(GATEWAY_JOBS)
    assert row[:7] == ["t", "j", "RUNNING", "busybox", ["a"], NOON, NOON]
    assert row[7:16] == [None, None, None, 1, 3, None, None, None, None]
    assert row[16:20] == [None] * 4
    assert row[20:] == ["n", *[None] * 10]


async def test_a_tenant_that_the_gateway_made_is_left_alone(store: SpannerStore, gateway: Gateway) -> None:
    gateway.write(
        "INSERT INTO Tenants (TenantId, UserEmail, OAuthProvider, OAuthUserId, CreatedAt, UpdatedAt) "
        "VALUES ('t', 'a@b', 'google', '7', PENDING_COMMIT_TIMESTAMP(), PENDING_COMMIT_TIMESTAMP())"
    )
    await store.record([transition()])
    tenant = await store.get_tenant("t")
    assert tenant is not None
    assert (tenant.user_email, tenant.oauth_provider, tenant.oauth_user_id) == ("a@b", "google", "7")
    assert len(gateway.select(GATEWAY_JOBS)) == 1


async def test_what_the_gateway_deletes_is_gone_with_all_that_hangs_on_it(
    store: SpannerStore, gateway: Gateway
) -> None:
    await store.record([transition(0), transition(1, Phase.COMPLETED), transition(0, job="k")])
    gateway.write("DELETE FROM Jobs WHERE TenantId = 't' AND JobId = 'j'")
    assert await store.get_job("t", "j") is None
    assert await store.transitions("t", "j") == []
    gateway.write("DELETE FROM Tenants WHERE TenantId = 't'")
    assert await store.list_notifications("t", limit=10) == []
    assert await store.record([transition(0, job="k")]) == [Recorded(number=0, phase=Phase.PENDING)]


async def test_a_notification_that_the_gateway_acknowledged_stays_read_when_the_job_ends_again(
    store: SpannerStore, gateway: Gateway
) -> None:
    await store.record([transition(0), transition(1, Phase.COMPLETED)])
    gateway.write("UPDATE Notifications SET IsRead = TRUE WHERE TenantId = 't'")
    gateway.write("DELETE FROM Jobs WHERE TenantId = 't' AND JobId = 'j'")
    await store.record([transition(2, Phase.FAILED)])
    [note] = await store.list_notifications("t", limit=10)
    assert (note.final_status, note.is_read) == ("FAILED", True)


async def test_a_row_of_the_original_worker_is_never_overwritten(store: SpannerStore, gateway: Gateway) -> None:
    await store.record([transition(job="other")])  # the tenant
    gateway.write(
        "INSERT INTO Jobs (TenantId, JobId, Status, CreatedAt, UpdatedAt) "
        "VALUES ('t', 'j', 'RUNNING', PENDING_COMMIT_TIMESTAMP(), PENDING_COMMIT_TIMESTAMP())"
    )
    [failure] = await store.record([transition(1, Phase.COMPLETED)])
    assert isinstance(failure, RecordFailure)
    assert isinstance(failure.error, Permanent)
    job = await store.get_job("t", "j")
    assert job is not None
    assert (job.status, job.commands, job.max_retries) == (Phase.RUNNING, (), 3)


# --- Times ------------------------------------------------------------------------------------------------------------


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


# --- Whose row it is --------------------------------------------------------------------------------------------------


def test_the_newest_number_is_found_from_the_ids_whatever_the_caller_believes() -> None:
    ids = [names.transition_id("u", number) for number in (3, 4, 5, 9)]
    assert [spanner_rows.number_of("u", ids, hint) for hint in (0, 4, 9, 50)] == [9] * 4
    assert spanner_rows.number_of("u", [*ids, "of somebody else"], 0) == 9
    assert spanner_rows.number_of("v", ids, 4) is None
    assert spanner_rows.number_of("u", [], 0) is None


# --- Round trips ------------------------------------------------------------------------------------------------------


async def test_a_group_of_200_takes_three_round_trips_whether_its_jobs_are_new_or_not(
    proxied: SpannerStore, proxy: Proxy
) -> None:
    new = [transition(job=f"j{n}") for n in range(200)]
    assert await proxied.record(new) == [Recorded(number=0, phase=Phase.PENDING)] * 200
    assert proxy.calls == ["StreamingRead", "StreamingRead", "Commit"]
    proxy.calls.clear()
    ended = [transition(1, Phase.COMPLETED, job=f"j{n}") for n in range(200)]
    assert await proxied.record(ended) == [Recorded(number=1, phase=Phase.COMPLETED)] * 200
    assert proxy.calls == ["StreamingRead", "StreamingRead", "Commit"]
    assert len(await proxied.list_notifications("t", limit=1000)) == 200


async def test_more_than_one_commit_takes_is_written_in_several(store: SpannerStore) -> None:
    many = [transition(job=f"j{n}") for n in range(COMMIT_TRANSITIONS + 1)]
    assert await store.record(many) == [Recorded(number=0, phase=Phase.PENDING)] * len(many)
    assert len((await store.list_jobs("t")).jobs) == len(many)


async def test_a_row_that_comes_in_pieces_is_put_together(store: SpannerStore) -> None:
    large, commands = "\u00fc" * 1_500_000, tuple(str(n) * 1000 for n in range(1500))
    await store.record([transition(env_vars_json=large, commands=commands, name="n")])
    job = await store.get_job("t", "j")
    assert job is not None
    assert (job.env_vars_json == large, job.commands == commands, job.name) == (True, True, "n")


def parts(*pieces: tuple[list[object], bool]) -> Iterator[api.PartialResultSet]:
    """A stream of rows with three columns, in those pieces; the flag is `chunked_value`."""
    for number, (plain, is_chunked) in enumerate(pieces):
        part = api.PartialResultSet(chunked_value=is_chunked)
        api.PartialResultSet.pb(part).values.extend(values.value(one) for one in plain)  # type: ignore[arg-type]
        if number == 0:
            part.metadata = api.ResultSetMetadata(row_type=api.StructType(fields=[api.StructType.Field()] * 3))
        yield part


def test_values_are_put_together_wherever_the_stream_cuts_them() -> None:
    stream = parts(
        (["a"], True),
        (["b"], True),
        (["c", 7, ["x", "y"]], True),
        ([["z"], None], False),
        ([], False),
        ([True, None, "d", False, []], True),
        ([[]], False),
    )
    assert values.rows(stream) == [["abc", "7", ["x", "yz"]], [None, True, None], ["d", False, []]]
    assert values.rows(parts(([], False))) == []
    assert values.rows(parts((["a", None, [None]], True), ([["b"]], False))) == [["a", None, [None, "b"]]]


# --- Faults -----------------------------------------------------------------------------------------------------------


async def test_a_connection_that_is_refused_is_unavailable_and_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPANNER_EMULATOR_HOST", "127.0.0.1:1")
    started = time.monotonic()
    with pytest.raises(Unavailable) as raised:
        await SpannerStore(PROJECT, INSTANCE, "d", call_seconds=0.5).open()
    assert time.monotonic() - started < 4
    path = f"projects/{PROJECT}/instances/{INSTANCE}/databases/d"
    assert str(raised.value) == f"Spanner cannot be reached or failed: UNAVAILABLE ({path})"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method="Commit", is_reply_lost=True),
        Fault(method="Commit"),
        Fault(method="Commit", code=grpc.StatusCode.INTERNAL, is_reply_lost=True),
        Fault(method="Commit", code=grpc.StatusCode.DEADLINE_EXCEEDED, is_reply_lost=True),
        Fault(method="StreamingRead"),
    ],
)
async def test_a_transaction_of_unknown_outcome_is_done_again_and_there_is_one_row(
    proxied: SpannerStore, proxy: Proxy, fault: Fault
) -> None:
    proxy.faults.append(fault)
    assert await proxied.record([transition(1, Phase.FAILED)]) == [Recorded(number=1, phase=Phase.FAILED)]
    assert proxy.faults == []
    assert proxy.calls.count(fault.method) > 1
    assert len(await proxied.transitions("t", "j")) == 1
    assert len(await proxied.list_notifications("t", limit=10)) == 1


async def test_a_reply_that_never_comes_leaves_time_to_do_it_again(
    proxied: SpannerStore, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spanner_transaction, "ATTEMPT_SECONDS", 0.3)
    proxy.faults.append(Fault(method="Commit", hangs=True))
    assert await proxied.record([transition()]) == [Recorded(number=0, phase=Phase.PENDING)]
    assert len(await proxied.transitions("t", "j")) == 1


async def test_a_server_that_does_not_answer_is_unavailable_in_time(proxied: SpannerStore, proxy: Proxy) -> None:
    proxy.faults += [Fault(method=method, hangs=True) for method in ("StreamingRead", "ExecuteStreamingSql") * 3]
    started = time.monotonic()
    results = await asyncio.gather(
        proxied.record([transition()]), proxied.get_job("t", "first"), return_exceptions=True
    )
    assert [type(result) for result in results] == [Unavailable, Unavailable]
    assert time.monotonic() - started < 3
    proxy.stopped.set()


async def test_an_aborted_transaction_is_tried_again(proxied: SpannerStore, proxy: Proxy) -> None:
    proxy.faults += [Fault(method="Commit", code=grpc.StatusCode.ABORTED)] * 3
    proxy.faults += [Fault(method="StreamingRead", code=grpc.StatusCode.ABORTED)]
    assert await proxied.record([transition()]) == [Recorded(number=0, phase=Phase.PENDING)]
    assert proxy.calls.count("Commit") == 4
    assert len(await proxied.transitions("t", "j")) == 1


async def test_many_transactions_on_the_same_rows_all_end(store: SpannerStore, schema: str) -> None:
    other = SpannerStore(PROJECT, INSTANCE, schema)
    await other.open()
    results = await asyncio.gather(
        *(one.record([transition(n), transition(n, job="k")]) for n in range(8) for one in (store, other))
    )
    await other.close()
    assert all(isinstance(result, Recorded) for both in results for result in both)
    job = await store.get_job("t", "j")
    assert job is not None
    assert len({row.transition_id for row in await store.transitions("t", "j")}) <= 8


async def test_a_throttled_call_is_tried_again_and_at_last_says_so(proxied: SpannerStore, proxy: Proxy) -> None:
    throttled = Fault(method="Commit", code=grpc.StatusCode.RESOURCE_EXHAUSTED)
    proxy.faults += [throttled] * 2
    assert await proxied.record([transition()]) == [Recorded(number=0, phase=Phase.PENDING)]
    proxy.faults += [throttled] * 1000
    with pytest.raises(Throttled, match="RESOURCE_EXHAUSTED"):
        await proxied.record([transition(1)])


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


async def test_a_session_that_the_server_forgot_is_replaced(store: SpannerStore, gateway: Gateway) -> None:
    await store.record([transition()])
    parent = gateway._session.rpartition("/sessions/")[0]
    for session in gateway._client.list_sessions(database=parent):
        gateway._client.delete_session(name=session.name)
    assert await store.record([transition(1, Phase.RUNNING)]) == [Recorded(number=1, phase=Phase.RUNNING)]
    assert await store.get_job("t", "j") is not None


async def test_a_server_that_was_restarted_is_used_again_by_the_same_store() -> None:
    if os.environ.get("SPANNER_EMULATOR_HOST"):
        pytest.skip("the emulator at SPANNER_EMULATOR_HOST is not ours to restart")
    emulator = emulators.Emulator()
    try:
        emulator.start()
        with emulators.database(emulator.host) as name:
            await migrate(name)
            store = SpannerStore(PROJECT, INSTANCE, name, call_seconds=1)
            await store.open()
            await store.record([transition()])
            emulator.stop()
            with pytest.raises(Unavailable):
                await store.record([transition(1, Phase.RUNNING)])
            emulator.start()
            with pytest.raises(Unavailable, match="does not exist"):
                await store.get_job("t", "j")  # the emulator keeps nothing
            await migrate(name)
            assert await store.record([transition(1, Phase.RUNNING)]) == [Recorded(number=1, phase=Phase.RUNNING)]
            await store.close()
    finally:
        emulator.stop()


async def test_a_store_that_is_not_open_is_unavailable_and_closing_leaves_no_thread(schema: str) -> None:
    store = SpannerStore(PROJECT, INSTANCE, schema)
    with pytest.raises(Unavailable, match="not open"):
        await store.get_job("t", "j")
    before = set(threading.enumerate())
    await store.open()
    await store.record([transition()])
    await store.close()
    await store.close()
    new = {thread for thread in threading.enumerate() if thread.name.startswith(("spanner", "maintenance"))} - before
    assert new == set()
    with pytest.raises(Unavailable, match="not open"):
        await store.record([transition()])


async def test_missing_credentials_are_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPANNER_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    with pytest.raises(ConfigError, match="Google credentials") as raised:
        await SpannerStore(PROJECT, INSTANCE, "d").open()
    assert "nowhere" not in str(raised.value)


def test_a_missing_database_is_told_from_a_missing_table() -> None:
    assert isinstance(spanner_errors.translate(google.NotFound("Database not found: p")), spanner_errors.Missing)
    assert "schema" in str(spanner_errors.translate(google.NotFound("Table not found: Jobs")))


def test_the_pause_is_the_servers_where_it_says_one_and_grows_to_half_a_second_otherwise() -> None:
    info = RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000)).SerializeToString()
    hinted = google.Aborted(
        "", errors=[SimpleNamespace(trailing_metadata=lambda: (("google.rpc.retryinfo-bin", info),))]
    )
    assert spanner_errors.pause(hinted, 3, 0.5) == 1.5
    plain = google.Aborted("", errors=[SimpleNamespace(trailing_metadata=lambda: None)])
    assert [spanner_errors.pause(plain, tries, 1.0) for tries in (0, 1, 50)] == [0.01, 0.02, 0.5]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (google.ServiceUnavailable, Unavailable),
        (google.DeadlineExceeded, Unavailable),
        (google.Aborted, Unavailable),
        (google.Unknown, Unavailable),
        (google.PermissionDenied, Unavailable),
        (google.Unauthenticated, Unavailable),
        (google.NotFound, Unavailable),
        (google.ResourceExhausted, Throttled),
        (google.InvalidArgument, Unavailable),
    ],
)
def test_an_error_carries_the_name_of_its_status_and_no_text_of_the_server(
    error: type[google.GoogleAPICallError], expected: type[Exception]
) -> None:
    translated = spanner_errors.translate(error("secret"))
    assert isinstance(translated, expected)
    assert "secret" not in str(translated)


# --- Lists ------------------------------------------------------------------------------------------------------------


def fill(schema: str, count: int) -> None:
    """Jobs as another client writes them, two of each creation time."""
    channel = grpc.insecure_channel(os.environ["SPANNER_EMULATOR_HOST"])
    client = api.SpannerClient(transport=SpannerGrpcTransport(channel=channel))
    path = f"projects/{PROJECT}/instances/{INSTANCE}/databases/{schema}"
    session = client.create_session(database=path).name
    read_write = api.TransactionOptions(read_write=api.TransactionOptions.ReadWrite())
    jobs = [transition(job=f"job-{n:06}", at=NOON - timedelta(seconds=n // 2)).row for n in range(count)]
    for start in range(0, count, 2000):
        rows = [spanner_rows.job_values(job, NOON) for job in jobs[start : start + 2000]]
        write = api.Mutation.Write(table="Jobs", columns=spanner_rows.JOB_COLUMNS, values=rows)
        begin = client.begin_transaction(session=session, options=read_write).id
        mutations = [api.Mutation(insert=write)]
        client.commit(request=api.CommitRequest(session=session, transaction_id=begin, mutations=mutations))
    channel.close()


async def test_many_jobs_are_listed_in_pages_without_a_gap_or_a_repeat_while_jobs_are_added(schema: str) -> None:
    store = SpannerStore(PROJECT, INSTANCE, schema, call_seconds=60)  # the emulator is slow with many rows
    await store.open()
    await store.record([transition(job="oldest", at=NOON - timedelta(days=365))])
    fill(schema, LISTED_ROWS)
    seen: list[str] = []
    token, pages = "", 0
    while True:
        page = await store.list_jobs("t", page_size=LISTED_ROWS // 10, page_token=token)
        seen += [job.job_id for job in page.jobs]
        await store.record([transition(job=f"new-{pages}", at=NOON + timedelta(seconds=pages))])
        token, pages = page.next_token, pages + 1
        if not token:
            break
    expected = sorted(((NOON - timedelta(seconds=n // 2), f"job-{n:06}") for n in range(LISTED_ROWS)), reverse=True)
    await store.close()
    assert seen == [*(job for _, job in expected), "oldest"]
    assert pages == 11


# --- The schema -------------------------------------------------------------------------------------------------------

TIMES = {"CreatedAt", "UpdatedAt", "TransitionedAt"}
CONTRACT = {
    "Tenants": (
        "TenantId STRING(36)!, UserEmail STRING(255)!, OAuthProvider STRING(50)!, OAuthUserId STRING(255)!, "
        "CreatedAt TIMESTAMP!, UpdatedAt TIMESTAMP!"
    ),
    "Jobs": (
        "TenantId STRING(36)!, JobId STRING(36)!, Status STRING(50)!, ImageUri STRING(1024), "
        "Commands ARRAY<STRING(MAX)>, CreatedAt TIMESTAMP!, UpdatedAt TIMESTAMP!, ScheduledAt TIMESTAMP, "
        "StartedAt TIMESTAMP, CompletedAt TIMESTAMP, RetryCount INT64!=0, MaxRetries INT64!=3, "
        "ErrorMessage STRING(MAX), GcpBatchJobPath STRING(1024), GcpBatchTaskGroup STRING(1024), "
        "EnvVarsJson STRING(MAX), OwnerWorkerId STRING(128), PreferredWorkerId STRING(128), LeaseExpiresAt TIMESTAMP, "
        "LastHeartbeatAt TIMESTAMP, Name STRING(255), ResourceProfile STRING(50), MachineType STRING(255), "
        "BootDiskSizeGb INT64, UseSpotVms BOOL, ServiceAccount STRING(1024), ServiceTier STRING(20), "
        "AssignedService STRING(50), MemoryMib INT64, CpuMillis INT64, MaxRunDurationSeconds INT64"
    ),
    "JobStateTransitions": (
        "TenantId STRING(36)!, JobId STRING(36)!, TransitionId STRING(36)!, FromStatus STRING(50), "
        "ToStatus STRING(50)!, TransitionedAt TIMESTAMP!, Reason STRING(MAX)"
    ),
    "Notifications": (
        "TenantId STRING(36)!, NotificationId STRING(36)!, JobId STRING(36)!, JobName STRING(255), "
        "FinalStatus STRING(50)!, ServiceTier STRING(50), AssignedService STRING(50), OccurredAt TIMESTAMP!, "
        "ErrorMessage STRING(MAX), IsRead BOOL!=FALSE, CreatedAt TIMESTAMP!"
    ),
}
INDEXES = [
    ["IdxJobsByName", "Jobs", "TenantId ASC, Name ASC"],
    ["JobsByStatus", "Jobs", "TenantId ASC, Status ASC, CreatedAt DESC"],
    ["NotificationsByTenant", "Notifications", "TenantId ASC, IsRead ASC, OccurredAt DESC"],
    ["PRIMARY_KEY", "JobStateTransitions", "TenantId ASC, JobId ASC, TransitionId ASC"],
    ["PRIMARY_KEY", "Jobs", "TenantId ASC, JobId ASC"],
    ["PRIMARY_KEY", "Notifications", "TenantId ASC, NotificationId ASC"],
    ["PRIMARY_KEY", "Tenants", "TenantId ASC"],
    ["TenantsByOAuth", "Tenants", "OAuthProvider ASC, OAuthUserId ASC"],
    ["TransitionsByJob", "JobStateTransitions", "TenantId ASC, JobId ASC, TransitionedAt DESC"],
]


def test_the_tables_are_those_of_the_contract_to_the_last_column(gateway: Gateway) -> None:
    columns = gateway.select(
        "SELECT TABLE_NAME, COLUMN_NAME, SPANNER_TYPE, IS_NULLABLE, COLUMN_DEFAULT FROM INFORMATION_SCHEMA.COLUMNS "
        "WHERE TABLE_SCHEMA = '' AND TABLE_NAME != 'JennahSchema' ORDER BY TABLE_NAME, ORDINAL_POSITION"
    )
    found: dict[object, list[str]] = {}
    for table, column, kind, is_nullable, default in columns:
        text = f"{column} {kind}" + ("!" if is_nullable == "NO" else "") + (f"={default}" if default else "")
        found.setdefault(table, []).append(text)
    assert {table: ", ".join(texts) for table, texts in found.items()} == CONTRACT


def test_commit_timestamps_interleaving_and_indexes_are_those_of_the_contract(gateway: Gateway) -> None:
    options = gateway.select(
        "SELECT TABLE_NAME, COLUMN_NAME FROM INFORMATION_SCHEMA.COLUMN_OPTIONS "
        "WHERE OPTION_NAME = 'allow_commit_timestamp' AND OPTION_VALUE = 'TRUE' AND TABLE_NAME != 'JennahSchema'"
    )
    wanted = {(table, name) for table, text in CONTRACT.items() for name in TIMES if f"{name} TIMESTAMP!" in text}
    assert {(table, column) for table, column in options} == wanted
    parents = gateway.select(
        "SELECT TABLE_NAME, PARENT_TABLE_NAME, ON_DELETE_ACTION FROM INFORMATION_SCHEMA.TABLES "
        "WHERE PARENT_TABLE_NAME != '' ORDER BY TABLE_NAME"
    )
    assert parents == [
        ["JobStateTransitions", "Jobs", "CASCADE"],
        ["Jobs", "Tenants", "CASCADE"],
        ["Notifications", "Tenants", "CASCADE"],
    ]
    found: dict[tuple[object, object], list[str]] = {}
    for index, table, column, ordering in gateway.select(
        "SELECT INDEX_NAME, TABLE_NAME, COLUMN_NAME, COLUMN_ORDERING FROM INFORMATION_SCHEMA.INDEX_COLUMNS "
        "WHERE TABLE_SCHEMA = '' AND ORDINAL_POSITION IS NOT NULL AND TABLE_NAME != 'JennahSchema' "
        "ORDER BY INDEX_NAME, TABLE_NAME, ORDINAL_POSITION"
    ):
        found.setdefault((index, table), []).append(f"{column} {ordering}")
    indexes = [[index, table, ", ".join(columns)] for (index, table), columns in found.items()]
    assert indexes == INDEXES


async def test_migrating_prints_what_it_does_and_the_second_time_does_nothing(database: str) -> None:
    migrations = SpannerMigrations(PROJECT, INSTANCE, database)
    pending = await migrations.pending()
    assert pending[0] == f"CREATE DATABASE `{database}`"
    assert pending[-1].startswith("INSERT OR UPDATE INTO JennahSchema")
    assert await migrations.pending() == pending, "a dry run changes nothing"
    assert await migrations.apply() == pending
    assert list(await migrations.pending()) == []
    assert list(await migrations.apply()) == []
    await migrations.close()


async def test_replicas_that_migrate_at_once_all_end_with_the_schema(database: str) -> None:
    await asyncio.gather(*(migrate(database) for _ in range(4)))
    assert list(await migrate(database)) == []
    store = SpannerStore(PROJECT, INSTANCE, database)
    await store.open()
    await store.close()


async def test_the_originals_tables_are_taken_over_with_their_rows(schema: str, gateway: Gateway) -> None:
    gateway.write(
        "INSERT INTO Tenants (TenantId, UserEmail, OAuthProvider, OAuthUserId, CreatedAt, UpdatedAt) "
        "VALUES ('old', 'a@b', 'google', '7', PENDING_COMMIT_TIMESTAMP(), PENDING_COMMIT_TIMESTAMP())"
    )
    gateway.write("DELETE FROM JennahSchema WHERE TRUE")  # as if nothing of ours had been there
    store = SpannerStore(PROJECT, INSTANCE, schema)
    with pytest.raises(ConfigError, match="jennah migrate"):
        await store.open()
    assert (await migrate(schema))[0].startswith("CREATE TABLE IF NOT EXISTS")
    await store.open()
    assert await store.get_tenant("old") is not None
    await store.close()


async def test_a_database_that_does_not_exist_is_a_config_error_that_names_the_command(database: str) -> None:
    with pytest.raises(ConfigError, match="run `jennah migrate`"):
        await SpannerStore(PROJECT, INSTANCE, database).open()
    migrations = SpannerMigrations(PROJECT, "no-instance", database)
    with pytest.raises(ConfigError, match="instance does not exist"):
        await migrations.apply()
    await migrations.close()


async def test_a_newer_schema_is_a_config_error_for_both(schema: str, gateway: Gateway) -> None:
    newer = spanner_schema.SCHEMA_VERSION + 1
    gateway.write(f"INSERT INTO JennahSchema (Version, AppliedAt) VALUES ({newer}, PENDING_COMMIT_TIMESTAMP())")
    with pytest.raises(ConfigError, match="this release needs"):
        await SpannerStore(PROJECT, INSTANCE, schema).open()
    migrations = SpannerMigrations(PROJECT, INSTANCE, schema)
    with pytest.raises(ConfigError, match="this release needs"):
        await migrations.pending()
    await migrations.close()
