"""How many transitions a second PostgreSQL takes: group commit against one transaction a call, in the same run.

``python -m dev.bench.record``: the server of DB_TEST_POSTGRES_URL, else a throw-away one of dev.postgres whose commits
wait for the disk. The two ways take turns, each on a database of its own (with a history of some thousand jobs) and
with the same callers. A caller leads one job after another from its creation to its end (four transitions and a
notification) and waits for each answer. The result is the median of the rounds.
"""

import argparse
import asyncio
import contextlib
import functools
import itertools
import os
import statistics
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit, urlunsplit

import psycopg

from controller.domain.phases import Phase
from controller.domain.records import JobRow, Recorded, Transition
from controller.ports import RecordFailure
from controller.stores.postgres import PostgresStore
from controller.stores.postgres_schema import PostgresMigrations
from controller.stores.writer import GROUP_ROWS, GroupWriter
from dev.bench import results
from dev.postgres import HOW_TO_GET, Server, find_binaries

LIFE = (Phase.PENDING, Phase.SCHEDULED, Phase.RUNNING, Phase.COMPLETED)
TENANTS = 20
HISTORY_JOBS = 5000
AIM_PER_SECOND, AIM_RATIO = 3000, 8

Write = Callable[[Transition], Awaitable[None]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.bench.record", description="group commit on PostgreSQL")
    parser.add_argument("--callers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=4.0, help="of one round, after the warm-up")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with server_url() as url:
        result = asyncio.run(measure(url, options.callers, options.seconds, options.rounds))
    print(table(result))
    results.write("record", result, libraries=("psycopg",))
    return 0


@contextlib.contextmanager
def server_url() -> Iterator[str]:
    """The URL of a role that may create databases."""
    given = os.environ.get("DB_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    binaries = find_binaries()
    if binaries is None:
        sys.exit(HOW_TO_GET)
    server = Server(binaries, is_durable=True)
    try:
        server.start()
        yield server.url()
    finally:
        server.stop()


async def measure(url: str, callers: int, seconds: float, rounds: int) -> dict[str, object]:
    """The rates of both ways, and what they were measured on."""
    single: list[float] = []
    grouped: list[float] = []
    for _ in range(rounds):
        async with fresh_store(url) as store:
            single.append(await rate(functools.partial(record_singly, store), callers, seconds))
        async with fresh_store(url) as store:
            writer = GroupWriter(store)
            grouped.append(await rate(functools.partial(record_in_groups, writer), callers, seconds))
            await writer.close()
    a, b = statistics.median(single), statistics.median(grouped)
    return {
        "callers": callers,
        "group_rows": GROUP_ROWS,
        "seconds": seconds,
        "one_transaction_a_call_per_second": {"median": round(a), "rounds": [round(r) for r in single]},
        "group_commit_per_second": {"median": round(b), "rounds": [round(r) for r in grouped]},
        "ratio": round(b / a, 1),
        "aims": {"per_second": AIM_PER_SECOND, "ratio": AIM_RATIO},
        "postgresql": server_version(url),
    }


@contextlib.asynccontextmanager
async def fresh_store(url: str) -> AsyncIterator[PostgresStore]:
    """A store on a database of its own, removed afterwards."""
    name = f"jennah_bench_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            ours = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
            await PostgresMigrations(ours).apply()
            store = PostgresStore(ours)
            await store.open()
            await fill(store)
            with psycopg.connect(ours, autocommit=True) as filled:
                filled.execute("ANALYZE")
            yield store
            await store.close()
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def fill(store: PostgresStore) -> None:
    """A history: without one the planner knows nothing yet, as it does in the first minute of an installation only."""
    ends = [list(life(number))[-1] for number in range(HISTORY_JOBS)]
    for start in range(0, HISTORY_JOBS, GROUP_ROWS):
        await store.record(ends[start : start + GROUP_ROWS])


async def rate(write: Write, callers: int, seconds: float) -> float:
    """Transitions a second, answered within the time after a warm-up of a quarter of it."""
    numbers = itertools.count()
    count = 0
    is_over = False

    async def call() -> None:
        nonlocal count
        while not is_over:
            for transition in life(next(numbers)):
                await write(transition)
                count += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(call())
        await asyncio.sleep(seconds / 4)
        before, start = count, time.perf_counter()
        await asyncio.sleep(seconds)
        measured = (count - before) / (time.perf_counter() - start)
        is_over = True
    return measured


def life(number: int) -> Iterator[Transition]:
    """The transitions of a job, with the facts that a real one has."""
    uid = str(uuid.uuid4())
    created = datetime.now(UTC)
    before: Phase | None = None
    for at, phase in enumerate(LIFE):
        now = datetime.now(UTC)
        row = JobRow(
            tenant_id=f"tenant-{number % TENANTS}",
            job_id=uid,
            status=phase,
            created_at=created,
            updated_at=now,
            image_uri="europe-docker.pkg.dev/project/repository/image:1.2.3",
            commands=("python", "-m", "work", "--part", str(number)),
            scheduled_at=now if at else None,
            started_at=now if at > 1 else None,
            completed_at=now if phase.is_terminal else None,
            resource_path=f"projects/p/locations/europe-west1/jobs/job-{number}" if at else None,
            env_vars_json='{"INPUT":"gs://bucket/in","LEVEL":"info","OUTPUT":"gs://bucket/out"}',
            name=f"job-{number}",
            resource_profile="small",
            boot_disk_size_gb=50,
            use_spot_vms=False,
            service_tier="SIMPLE",
            assigned_service="CLOUD_RUN_JOB",
            memory_mib=2048,
            cpu_millis=1000,
            max_run_duration_seconds=1800,
        )
        yield Transition(uid=uid, number=at, from_phase=before, row=row, at=now, reason="Observed")
        before = phase


async def record_singly(store: PostgresStore, transition: Transition) -> None:
    [result] = await store.record([transition])
    _check(result, transition)


async def record_in_groups(writer: GroupWriter, transition: Transition) -> None:
    _check(await writer.write([transition]), transition)


def _check(result: Recorded | RecordFailure, transition: Transition) -> None:
    assert isinstance(result, Recorded), result
    assert (result.number, result.phase) == (transition.number, transition.row.status), result


def server_version(url: str) -> str:
    with psycopg.connect(url) as connection:
        number = connection.info.server_version
    return f"{number // 10000}.{number % 10000}"


def table(result: dict[str, object]) -> str:
    single, grouped = result["one_transaction_a_call_per_second"], result["group_commit_per_second"]
    assert isinstance(single, dict)
    assert isinstance(grouped, dict)
    return "\n".join(
        [
            f"{'':24}{'transitions/s':>14}  rounds",
            f"{'one transaction a call':24}{single['median']:>14}  {single['rounds']}",
            f"{'group commit':24}{grouped['median']:>14}  {grouped['rounds']}",
            f"{'ratio':24}{result['ratio']:>14}  (aims: {AIM_PER_SECOND}/s, {AIM_RATIO}x)",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
