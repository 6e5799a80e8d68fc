"""What is left in a session, and times whatever the zone of the server."""

from datetime import timedelta
from urllib.parse import urlsplit

from controller.stores import postgres_connection
from controller.stores.postgres import PostgresStore
from tests.controller.stores.postgres.harness import NOON, query, transition


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
