"""The throw-away PostgreSQL: as root it runs as another user, who need not be able to read the .venv."""

import os
import shutil
from pathlib import Path

import psycopg
import pytest

from dev import postgres
from dev.processes import ProcessFailed


def test_what_initdb_says_stands_in_the_failure(tmp_path: Path) -> None:
    binaries = tmp_path / "install" / "bin"
    binaries.mkdir(parents=True)
    for name in ("initdb", "postgres"):
        (binaries / name).write_text("#!/bin/sh\necho 'libpq.so.5: cannot open shared object file' >&2\nexit 127\n")
        (binaries / name).chmod(0o755)
    server = postgres.Server(binaries)
    with pytest.raises(ProcessFailed, match=r"initdb ended with 127: libpq\.so\.5: cannot open shared object file"):
        server.start()
    server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another user")
def test_root_can_have_it_from_a_folder_that_is_closed_to_others(tmp_path: Path) -> None:
    binaries = postgres.find_binaries()
    if binaries is None:
        pytest.skip(postgres.HOW_TO_GET)
    before = os.umask(0o077)
    try:
        package = binaries.parents[1]
        closed = tmp_path / "closed" / package.name
        shutil.copytree(binaries.parent, closed / binaries.parent.name, symlinks=True)
        if (libraries := package.with_name(f"{package.name}.libs")).is_dir():
            shutil.copytree(libraries, closed.with_name(libraries.name), symlinks=True)
        tmp_path.chmod(0o700)
        server = postgres.Server(closed / binaries.parent.name / "bin")
        try:
            server.start()
            psycopg.connect(server.url()).close()
        finally:
            server.stop()
    finally:
        os.umask(before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another user")
def test_a_folder_for_temporary_files_that_is_closed_to_others_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(ProcessFailed, match="set TMPDIR to a folder that all may enter"):
        postgres.Server(Path("/usr/lib/postgresql/99/bin"))
    assert list(tmp_path.iterdir()) == []
