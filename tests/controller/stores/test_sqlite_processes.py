"""Several processes at one SQLite file: what one has committed stays, whatever the others open, read and close."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.domain.phases import Phase
from controller.domain.records import JobRow, Transition
from controller.stores.sqlite import SqliteStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)

OTHER_READER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(*(row[0] for row in db.execute("select job_id from jobs order by job_id")))
db.close()
"""
OTHER_STORE = """
import asyncio, sys
from pathlib import Path
from controller.stores.sqlite import SqliteStore
async def main():
    store = SqliteStore(Path(sys.argv[1]))
    await store.open()
    print(*sorted(job.job_id for job in (await store.list_jobs("t")).jobs))
    await store.close()
asyncio.run(main())
"""


def transition(job_id: str) -> Transition:
    row = JobRow(tenant_id="t", job_id=job_id, status=Phase.PENDING, created_at=NOW, updated_at=NOW)
    return Transition(uid=f"uid-{job_id}", number=0, from_phase=None, row=row, at=NOW, reason="r")


def run(script: str, path: Path) -> list[str]:
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("script", [OTHER_READER, OTHER_STORE], ids=["sqlite3 by hand", "another store"])
async def test_a_process_that_comes_and_goes_takes_nothing_with_it(tmp_path: Path, script: str) -> None:
    path = tmp_path / "jennah.db"
    store = SqliteStore(path)
    await store.open()
    await store.record([transition("a")])
    assert run(script, path) == ["a"]
    assert Path(f"{path}-wal").exists(), "the file is still in use here"
    await store.record([transition("b")])
    assert run(script, path) == ["a", "b"], "what is written afterwards is seen by others"
    await store.close()
    again = SqliteStore(path)
    await again.open()
    assert [job.job_id for job in (await again.list_jobs("t")).jobs] == ["b", "a"]
    await again.close()
