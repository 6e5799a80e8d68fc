"""`jennah migrate --redact`, as people run it: what it prints, what it changes, how it ends."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api import cli
from controller import databases
from controller.domain.errors import Unavailable
from controller.domain.phases import Phase
from controller.domain.records import JobRow, Recorded, Transition
from controller.ports import JobStore
from controller.stores.postgres import PostgresStore
from controller.stores.sqlite import SqliteStore
from tests.api.test_migrate import postgres_password, set_variables
from tests.contract.databases import postgres

SECRET = "s3cr3t-value"
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Database:
    """An empty database, and the variables that name it."""

    def __init__(self, provider: str, endpoint: str) -> None:
        self.variables = {"DB_PROVIDER": provider, "DB_ENDPOINT": endpoint}

    def store(self) -> JobStore:
        endpoint = self.variables["DB_ENDPOINT"]
        return PostgresStore(endpoint) if self.variables["DB_PROVIDER"] == "postgres" else SqliteStore(Path(endpoint))

    async def record(self, count: int) -> None:
        store = self.store()
        await store.open()
        for n in range(count):
            fields = {"created_at": NOON, "updated_at": NOON, "env_vars_json": f'{{"PASSWORD":"{SECRET}"}}'}
            row = JobRow(tenant_id="t", job_id=f"job-{n}", status=Phase.PENDING, **fields)
            first = Transition(uid=f"u-{n}", number=0, from_phase=None, row=row, at=NOON, reason="r")
            assert await store.record([first]) == [Recorded(number=0, phase=Phase.PENDING)]
        await store.close()

    async def read(self) -> set[str | None]:
        store = self.store()
        await store.open()
        found = {job.env_vars_json for job in (await store.list_jobs("t")).jobs}
        await store.close()
        return found


@pytest.fixture(params=["postgres", "sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    with postgres.database() as url:
        endpoint = url if request.param == "postgres" else str(tmp_path / "new folder" / "jennah.db")
        found = Database(request.param, endpoint)
        set_variables(monkeypatch, found.variables)
        yield found


def run(capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str, str]:
    """The exit code, the output and the errors of the command; no run of it may print a value or a password."""
    code = cli.main(["migrate", "--redact", *more])
    output, errors = capsys.readouterr()
    assert SECRET not in output + errors
    assert postgres_password() not in output + errors
    return code, output, errors


def test_it_counts_then_blanks_then_finds_nothing(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["migrate"]) == 0
    asyncio.run(database.record(3))
    capsys.readouterr()
    before = asyncio.run(database.read())
    code, output, errors = run(capsys, "--dry-run")
    assert (code, errors) == (0, "")
    assert output.startswith("-- ")
    assert output.endswith(": rows whose values would be blanked: 3\n")
    assert asyncio.run(database.read()) == before
    for count in (3, 0):
        code, output, errors = run(capsys)
        assert (code, errors) == (0, "")
        assert output.endswith(f": rows whose values were blanked: {count}\n")
        assert asyncio.run(database.read()) == {'{"PASSWORD":""}'}


def test_it_changes_no_schema(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    is_file = database.variables["DB_PROVIDER"] == "sqlite"
    for more in ([], ["--dry-run"]):
        code, output, errors = run(capsys, *more)
        assert (code, output) == (2, "")
        assert ("there is no database at" if is_file else "run `jennah migrate`") in errors
    assert not is_file or not Path(database.variables["DB_ENDPOINT"]).parent.exists()


def test_where_values_are_recorded_it_refuses(
    database: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would be back with the next transition of each job."""
    assert cli.main(["migrate"]) == 0
    asyncio.run(database.record(1))
    capsys.readouterr()
    before = asyncio.run(database.read())
    monkeypatch.setenv("DB_REDACT_ENV", "false")
    for more in ([], ["--dry-run"]):
        code, output, errors = run(capsys, *more)
        assert (code, output) == (2, "")
        assert errors.startswith("DB_REDACT_ENV=false ")
    assert asyncio.run(database.read()) == before


class _Failing:
    """`ports.Migrations` of a database that goes away after two batches."""

    async def redact(self, *, dry_run: bool) -> AsyncIterator[int]:
        yield 100
        yield 7
        raise Unavailable("the database is away")

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    ("more", "line"),
    [([], "rows that were blanked before the failure: 107; run it again for the others\n"), (["--dry-run"], "")],
)
def test_a_failure_tells_what_was_done_before(
    more: list[str],
    line: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_variables(monkeypatch, {"DB_PROVIDER": "sqlite", "DB_ENDPOINT": str(tmp_path / "jennah.db")})
    monkeypatch.setattr(databases, "make_migrations", lambda _: _Failing())
    code, output, errors = run(capsys, *more)
    assert (code, errors) == (1, "jennah migrate: the database is away\n")
    assert output.endswith(line)
    assert bool(output) == bool(line)
