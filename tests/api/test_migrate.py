"""`jennah migrate`, as people run it: what it prints, what it changes, how it ends."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from api import cli
from controller.domain.errors import ConfigError
from controller.stores import sqlite_schema
from controller.stores.migration_files import Migration
from controller.stores.postgres import PostgresStore
from controller.stores.sqlite import SqliteStore
from tests.contract.databases import postgres

SECRET = "p4ssw0rd"


class Database:
    """A new, empty database, and the variables that name it."""

    def __init__(self, provider: str, endpoint: str) -> None:
        self.variables = {"DB_PROVIDER": provider, "DB_ENDPOINT": endpoint}
        self._endpoint = endpoint
        self._provider = provider

    def tables(self) -> set[str]:
        """Without looking, SQLite's file is not made."""
        if self._provider == "postgres":
            with psycopg.connect(self._endpoint) as connection:
                rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            return {name for (name,) in rows}
        if not Path(self._endpoint).exists():
            return set()
        db = sqlite3.connect(self._endpoint)
        rows = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        db.close()
        return {name for (name,) in rows}

    async def open_and_close(self) -> None:
        """As the operator and the API do."""
        store = PostgresStore(self._endpoint) if self._provider == "postgres" else SqliteStore(Path(self._endpoint))
        await store.open()
        await store.close()


@pytest.fixture(params=["postgres", "sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    if request.param == "sqlite":
        found = Database("sqlite", str(tmp_path / "new folder" / "jennah.db"))
        set_variables(monkeypatch, found.variables)
        yield found
        return
    with postgres.database() as url:
        found = Database("postgres", url)
        set_variables(monkeypatch, found.variables)
        yield found


def set_variables(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name in ("DB_PROVIDER", "DB_ENDPOINT", "DB_PROJECT_ID", "DB_INSTANCE", "DB_DATABASE", "DB_REGION", "DB_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


TABLES = {"tenants", "jobs", "job_state_transitions", "notifications"}


def test_a_dry_run_prints_the_statements_and_changes_nothing(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["migrate", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert all(f"CREATE TABLE {table} (" in printed for table in TABLES)
    assert "--" not in printed
    assert database.tables() == set()


def test_what_a_dry_run_prints_is_the_migration(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["migrate", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    endpoint = database.variables["DB_ENDPOINT"]
    if database.variables["DB_PROVIDER"] == "postgres":
        with psycopg.connect(endpoint, autocommit=True) as connection:
            connection.execute(printed)
    else:
        Path(endpoint).parent.mkdir()
        db = sqlite3.connect(endpoint)
        db.executescript(printed)
        db.close()
    assert cli.main(["migrate"]) == 0
    assert "the schema is current" in capsys.readouterr().out


def test_run_twice_it_says_that_the_schema_is_current(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["migrate"]) == 0
    assert "CREATE TABLE jobs (" in capsys.readouterr().out
    assert database.tables() >= TABLES
    for arguments in (["migrate"], ["migrate", "--dry-run"]):
        assert cli.main(arguments) == 0
        [line] = capsys.readouterr().out.splitlines()
        assert line.startswith("-- ")
        assert line.endswith(": the schema is current")
        assert postgres_password() not in line


def postgres_password() -> str:
    from dev.postgres import PASSWORD

    return PASSWORD


def test_afterwards_the_programs_start(database: Database) -> None:
    assert cli.main(["migrate"]) == 0
    asyncio.run(database.open_and_close())


def test_processes_that_migrate_at_the_same_time_all_succeed(database: Database) -> None:
    command = [sys.executable, "-m", "api.cli", "migrate"]
    root = Path(__file__).parents[2]
    processes = [
        subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    results = [(*process.communicate(timeout=60), process.returncode) for process in processes]
    assert [(errors, code) for _, errors, code in results] == [("", 0)] * 3
    assert sum("CREATE TABLE jobs (" in output for output, _, _ in results) == 1


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({}, "DB_PROVIDER is not set"),
        ({"DB_PROVIDER": "oracle"}, "DB_PROVIDER='oracle' is not one of"),
        ({"DB_PROVIDER": "postgres"}, "DB_ENDPOINT is not set"),
        ({"DB_PROVIDER": "postgres", "DB_ENDPOINT": f"mysql://u:{SECRET}@h/d"}, "DB_ENDPOINT is no PostgreSQL URL"),
        ({"DB_PROVIDER": "postgres", "DB_ENDPOINT": f"postgresql://u:{SECRET}/@h/d"}, "DB_ENDPOINT is no PostgreSQL"),
        ({"DB_PROVIDER": "postgres", "DB_ENDPOINT": f"postgresql://u:{SECRET}@h/d?x"}, "DB_ENDPOINT is no PostgreSQL"),
    ],
)
def test_wrong_settings_end_with_code_2_and_a_line_that_names_the_variable(
    variables: dict[str, str], line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_variables(monkeypatch, variables)
    assert cli.main(["migrate"]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith(line)
    assert SECRET not in errors


def test_a_server_that_is_away_ends_with_code_1_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint = f"postgresql://user:{SECRET}@127.0.0.1:1/jennah"
    set_variables(monkeypatch, {"DB_PROVIDER": "postgres", "DB_ENDPOINT": endpoint})
    for arguments in (["migrate"], ["migrate", "--dry-run"]):
        assert cli.main(arguments) == 1
        assert capsys.readouterr().err == "jennah migrate: PostgreSQL at 127.0.0.1:1/jennah: Connection refused\n"


@pytest.fixture
def next_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's schema gets one more version."""
    version = sqlite_schema.MIGRATIONS[-1].version + 1
    one_more = Migration(version=version, statements=("ALTER TABLE jobs ADD COLUMN colour TEXT",))
    monkeypatch.setattr(sqlite_schema, "MIGRATIONS", (*sqlite_schema.MIGRATIONS, one_more))


def old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, {"DB_PROVIDER": "sqlite", "DB_ENDPOINT": str(path)})
    db = sqlite3.connect(path)
    for migration in sqlite_schema.MIGRATIONS[:2]:
        for statement in migration.statements:
            db.execute(statement)
    db.execute("PRAGMA user_version = 2")
    db.close()


async def test_a_file_of_an_older_release_is_refused_with_the_command_that_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, next_release: None
) -> None:
    old_file(tmp_path / "jennah.db", monkeypatch)
    with pytest.raises(ConfigError, match=r"version 2; this release needs 3: run `jennah migrate`"):
        await SqliteStore(tmp_path / "jennah.db").open()


def test_an_upgrade_runs_only_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], next_release: None
) -> None:
    old_file(tmp_path / "jennah.db", monkeypatch)
    expected = "ALTER TABLE jobs ADD COLUMN colour TEXT;\nPRAGMA user_version = 3;\n"
    for arguments in (["migrate", "--dry-run"], ["migrate"]):
        assert cli.main(arguments) == 0
        assert capsys.readouterr().out == expected
    asyncio.run(Database("sqlite", str(tmp_path / "jennah.db")).open_and_close())


@pytest.mark.parametrize("arguments", [["migrate"], ["migrate", "--dry-run"]])
def test_a_file_that_is_newer_or_not_ours_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    path = tmp_path / "jennah.db"
    old_file(path, monkeypatch)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    assert cli.main(arguments) == 2
    assert "version 99" in capsys.readouterr().err
    path.write_text("this is no database, and longer than a header" * 10)
    assert cli.main(arguments) == 2
    assert "not a database of ours" in capsys.readouterr().err
