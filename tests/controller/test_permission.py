"""What waits asks again before it goes on: between two tries of a database, on threads, in tasks of a call."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import psycopg
import pytest

from controller import permission
from controller.domain.errors import NotLeading, Unavailable
from controller.stores.cosmosdb_errors import Patience
from controller.stores.dynamodb_calls import Calls
from controller.stores.postgres_connection import PostgresConnections
from controller.stores.spanner_transaction import Deadline


def refuse() -> None:
    raise NotLeading("no longer")


async def spanner() -> None:
    await asyncio.to_thread(Deadline(60).sleep, 0.001)


async def cosmos() -> None:
    await Patience(60).wait(Unavailable("lost"))


async def dynamo() -> None:
    await Calls(None, time.monotonic() + 60).back_off(0)  # type: ignore[arg-type]


async def postgres() -> None:
    class LosesARace(PostgresConnections):
        races = 1

        async def _once(self, *_: object) -> None:  # type: ignore[override]
            self.races -= 1
            if self.races >= 0:
                raise psycopg.errors.SerializationFailure("a race")

    connections = LosesARace("postgresql://db.invalid/x")
    connections._pool = object()  # type: ignore[assignment]
    await connections.run(None)  # type: ignore[arg-type]


WAITS: dict[str, Callable[[], Awaitable[object]]] = {
    "spanner": spanner,
    "cosmosdb": cosmos,
    "dynamodb": dynamo,
    "postgres": postgres,
}


@pytest.mark.parametrize("name", WAITS)
async def test_the_next_try_of_a_database_needs_permission(name: str) -> None:
    await WAITS[name]()  # who was asked for nothing needs none
    with permission.asked_of(refuse), pytest.raises(NotLeading):
        await WAITS[name]()
    await WAITS[name]()


async def test_a_thread_asks_before_it_begins_and_knows_whom() -> None:
    begun = []

    def work() -> None:
        begun.append(1)
        permission.check()

    with permission.asked_of(refuse):
        refused = permission.on_thread(work)
    permitted = permission.on_thread(work)
    with pytest.raises(NotLeading):
        await asyncio.get_running_loop().run_in_executor(None, refused)
    await asyncio.get_running_loop().run_in_executor(None, permitted)
    assert begun == [1]


async def test_two_calls_at_once_ask_each_its_own() -> None:
    async def call(question: Callable[[], None], wait: float) -> str:
        with permission.asked_of(question):
            await asyncio.sleep(wait)
            try:
                await asyncio.gather(asyncio.create_task(ask()))
            except NotLeading:
                return "no"
        return "yes"

    async def ask() -> None:
        permission.check()

    answers = await asyncio.gather(call(refuse, 0.01), call(lambda: None, 0), call(refuse, 0))
    assert answers == ["no", "yes", "no"]
