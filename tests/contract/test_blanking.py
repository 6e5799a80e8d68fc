"""The laws of `ports.Migrations.redact`, for every database of `test_stores`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest

from controller.domain.errors import Unavailable
from controller.domain.phases import Phase
from controller.domain.records import JobRow, Recorded
from controller.ports import JobStore
from controller.stores import blanking, sqlite_connection
from tests.contract.databases import Fresh
from tests.contract.test_stores import DATABASES, FULL, JOB, OTHER_UID, TENANT, life, row, transition

SECRET = "s3cr3t-value"
VALUES = f'{{"A":"{SECRET}","B":"1"}}'
BLANK = '{"A":"","B":""}'


@pytest.fixture(params=sorted(DATABASES))
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Fresh]:
    async with DATABASES[request.param](tmp_path) as fresh:
        yield fresh


@pytest.fixture
async def open_store(database: Fresh) -> AsyncIterator[Callable[[], Awaitable[JobStore]]]:
    opened: list[JobStore] = []

    async def open_one() -> JobStore:
        opened.append(database.store())
        await opened[-1].open()
        return opened[-1]

    yield open_one
    for store in opened:
        await store.close()


@pytest.fixture
async def store(open_store: Callable[[], Awaitable[JobStore]]) -> JobStore:
    return await open_store()


async def redact(database: Fresh, *, dry_run: bool = False) -> int:
    """As one run of the command does."""
    migrations = database.migrations()
    try:
        return sum([count async for count in migrations.redact(dry_run=dry_run)])
    finally:
        await migrations.close()


async def everything(store: JobStore, tenant_id: str, job_id: str) -> tuple[object, ...]:
    return (
        await store.get_job(tenant_id, job_id),
        await store.transitions(tenant_id, job_id),
        await store.owner(tenant_id, job_id),
        await store.list_notifications(tenant_id, limit=10),
        await store.get_tenant(tenant_id),
    )


def jobs(count: int) -> list[str]:
    return [f"job-{n:03}" for n in range(count)]


async def record_jobs(store: JobStore, job_ids: list[str], env_vars_json: str | None = VALUES) -> None:
    first = [transition(0, row(job_id=job_id, env_vars_json=env_vars_json), uid=f"uid-{job_id}") for job_id in job_ids]
    assert all(isinstance(result, Recorded) for result in await store.record(first))


async def variables(store: JobStore) -> list[str | None]:
    return [job.env_vars_json for job in (await store.list_jobs(TENANT)).jobs]


async def test_the_values_go_and_all_else_of_the_record_stays(database: Fresh, store: JobStore) -> None:
    full = msgspec.structs.replace(FULL, env_vars_json=VALUES)
    await store.record([transition(0, full, destination="here")])
    ended = life(Phase.PENDING, Phase.COMPLETED, uid=OTHER_UID, job_id="job-2", env_vars_json=VALUES)
    await store.record(ended)
    of_another = row(tenant_id="tenant-2", env_vars_json=VALUES)
    await store.record([transition(0, of_another, uid="third")])
    keys = [(TENANT, JOB), (TENANT, "job-2"), ("tenant-2", JOB)]
    before = [await everything(store, *key) for key in keys]
    assert await redact(database, dry_run=True) == 3
    assert [await everything(store, *key) for key in keys] == before
    assert await redact(database) == 3
    for key, (job, *others) in zip(keys, before, strict=True):
        assert isinstance(job, JobRow)
        assert await everything(store, *key) == (msgspec.structs.replace(job, env_vars_json=BLANK), *others)
    assert await redact(database) == await redact(database, dry_run=True) == 0
    done = [transition(1, row(Phase.COMPLETED)), transition(1, row(Phase.COMPLETED, tenant_id="tenant-2"), uid="third")]
    assert await store.record(done) == [
        Recorded(number=1, phase=Phase.COMPLETED, resource_path=full.resource_path, destination="here"),
        Recorded(number=1, phase=Phase.COMPLETED),
    ]
    assert (await store.get_job(TENANT, JOB)).env_vars_json == BLANK


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        (None, None, 0),
        ("{}", "{}", 0),
        (BLANK, BLANK, 0),
        ('{"A": ""}', '{"A":""}', 1),
        ('{"A":"x","A":""}', '{"A":""}', 1),
        ('{"A":{"B":"x"},"C":[1],"D":null}', '{"A":"","C":"","D":""}', 1),
        ('{"\\u00fc":"x"}', '{"\\u00fc":""}', 1),
        ("A=x", None, 1),
        ('["x"]', None, 1),
        ("[" * 100_000, None, 1),
    ],
    ids=["none", "empty", "blank", "spaces", "twice", "nested", "not ASCII", "no JSON", "no object", "deep"],
)
async def test_whatever_the_column_says_no_value_is_left(
    database: Fresh, store: JobStore, before: str | None, after: str | None, changed: int
) -> None:
    await record_jobs(store, ["job-1"], before)
    assert await redact(database) == changed
    assert await variables(store) == [after]
    assert await redact(database) == 0


async def test_a_run_that_was_cut_short_goes_on_with_the_next(
    database: Fresh, store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blanking, "BATCH_ROWS", 3)
    await record_jobs(store, jobs(4), None)
    await record_jobs(store, [f"with-{n}" for n in range(10)])
    migrations = database.migrations()
    async with aclosing(migrations.redact(dry_run=False)) as batches:
        async for first in batches:
            if first:
                break
    await migrations.close()
    assert 0 < first < 10
    assert (await variables(store)).count(BLANK) == first
    assert await redact(database) == 10 - first
    assert sorted(map(str, await variables(store))) == ["None"] * 4 + [BLANK] * 10


async def test_a_row_that_changes_after_it_was_read_is_not_overwritten_with_what_it_was(
    database: Fresh, store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a lock keeps others from changing it in between (SQLite), it cannot."""
    monkeypatch.setattr(sqlite_connection, "BUSY_SECONDS", 0.0)
    await record_jobs(store, [JOB], '{"OLD":"x"}')
    refused: list[Unavailable] = []

    async def replace() -> None:
        other = database.store()
        await other.open()
        try:
            assert await other.delete_job(TENANT, JOB, uid=f"uid-{JOB}")
            await other.record([transition(0, row(env_vars_json='{"NEW":"x"}'), uid=OTHER_UID)])
        except Unavailable as error:
            refused.append(error)
        finally:
            await other.close()

    has_values, looks = blanking.has_values, 0

    def look(env_vars_json: str | None) -> bool:
        nonlocal looks
        looks += 1
        if looks == 1:
            with ThreadPoolExecutor() as elsewhere:
                elsewhere.submit(asyncio.run, replace()).result()
        return has_values(env_vars_json)

    monkeypatch.setattr(blanking, "has_values", look)
    assert await redact(database) == 1
    assert await variables(store) == (['{"OLD":""}'] if refused else ['{"NEW":""}'])


async def test_operators_write_meanwhile_and_nothing_of_either_is_lost(
    database: Fresh, open_store: Callable[[], Awaitable[JobStore]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their transitions carry no variables: the merged row has those that its writer read."""
    monkeypatch.setattr(blanking, "BATCH_ROWS", 4)
    writers = [await open_store() for _ in range(3)]
    job_ids = jobs(24)
    await record_jobs(writers[0], job_ids)
    phases = (Phase.SCHEDULED, Phase.RUNNING, Phase.COMPLETED)

    async def write(store: JobStore, job_ids: list[str]) -> None:
        for number, phase in enumerate(phases, start=1):
            for job_id in job_ids:
                one = transition(number, row(phase, job_id=job_id), uid=f"uid-{job_id}")
                assert await store.record([one]) == [Recorded(number=number, phase=phase)]

    writing = [write(store, job_ids[n::3]) for n, store in enumerate(writers)]
    count, *_ = await asyncio.gather(redact(database), *writing)
    assert count == len(job_ids)
    found = (await writers[0].list_jobs(TENANT)).jobs
    assert {(job.status, job.env_vars_json) for job in found} == {(Phase.COMPLETED, BLANK)}
    for job_id in job_ids:
        assert [one.to_status for one in await writers[0].transitions(TENANT, job_id)] == [
            phase.wire for phase in (Phase.PENDING, *phases)
        ]


async def test_a_row_that_is_deleted_meanwhile_stays_deleted(
    database: Fresh, store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blanking, "BATCH_ROWS", 4)
    job_ids = jobs(24)
    await record_jobs(store, job_ids)

    async def delete() -> None:
        for job_id in reversed(job_ids):
            assert await store.delete_job(TENANT, job_id, uid=f"uid-{job_id}")

    await asyncio.gather(redact(database), delete())
    assert [await store.owner(TENANT, job_id) for job_id in job_ids] == [None] * 24
    assert await redact(database) == 0
