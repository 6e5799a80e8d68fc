"""One job's folder: ``<data_dir>/local/<external-name>/``. Blocking; called by `provider`, in a thread.

job.json    what was submitted; there as soon as the folder is (0600: it holds the environment)
state.json  how it stands; there as soon as a runner began, and then no runner ever begins again
lock        held (flock) by whoever decides about the runner, then by the runner as long as it lives
cancel      the reason, once somebody asked for the end
task-N.log, work/, runner.log
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from controller.providers.local import mapping, processes, runner, tasks

T = TypeVar("T", mapping.JobFile, mapping.StateFile)

Stamp = tuple[int, int, int]
"""Time, size and inode of a file: another one is another content."""

_JOBS = msgspec.json.Decoder(mapping.JobFile)
_STATES = msgspec.json.Decoder(mapping.StateFile)  # both made here, not on the threads that read: see `domain.job`

START_SECONDS = 30.0
"""How long a runner may take to detach itself."""


class Unreadable(Exception):
    """A file is there, but is not what it should be."""


class JobFolder:
    """The folder at that path, whether it exists or not."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, job: mapping.JobFile) -> bool:
        """Make the folder with its job.json, in one step for everybody else. False where there is one already."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=self.path.parent))
        try:
            _write(new / "job.json", msgspec.json.encode(job))
            new.rename(self.path)  # fails where there is a folder with anything in it
        except OSError:
            shutil.rmtree(new, ignore_errors=True)
            if self.path.is_dir():
                return False
            raise
        return True

    def job(self) -> mapping.JobFile | None:
        """What was submitted; None where the folder does not exist. Raises Unreadable."""
        return _read(self.path / "job.json", _JOBS)

    def state(self) -> mapping.StateFile | None:
        """How the job stands; None before its runner wrote anything. Raises Unreadable."""
        return _read(self.path / "state.json", _STATES)

    def state_stamp(self) -> Stamp | None:
        """Which state.json there is, for the price of a stat."""
        try:
            stat = (self.path / "state.json").stat()
        except FileNotFoundError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def request_cancel(self, reason: str) -> None:
        """Leave word for the runner. Asked for already is no error."""
        if not (self.path / "cancel").exists():
            _write(self.path / "cancel", reason.encode())

    def has_runner(self) -> bool:
        """Whether a runner lives, or is being started."""
        lock = processes.take_lock(str(self.path))
        if lock is None:
            return True
        os.close(lock)
        return False

    def tend(self, now: datetime) -> None:
        """See to it that the job has a runner, or an end: start one, or record that it was lost.

        Everything is decided under the lock, which a started runner inherits: there is no moment in which a
        live runner could be missed. Raises Unreadable where there is neither a runner nor a job.json.
        """
        try:
            lock = processes.take_lock(str(self.path))
        except FileNotFoundError:
            return
        if lock is None:
            return
        try:
            self._tend(lock, now)
        finally:
            os.close(lock)

    def _tend(self, lock: int, now: datetime) -> None:
        job = self.job()
        if job is None:
            return
        try:
            state = self.state()
        except Unreadable:
            state = None  # nobody is there to complete it
        else:
            if state is None:
                self._start_runner(lock)
                return
            if state.phase.is_terminal:
                return
            _kill(state.groups, job.job_id)
        _write(self.path / "state.json", msgspec.json.encode(mapping.lost(job, state, now=now)))

    def _start_runner(self, lock: int) -> None:
        command = [sys.executable, "-I", "-S", runner.__file__, str(self.path), str(lock)]
        log = os.open(self.path / "runner.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            subprocess.run(  # noqa: S603 - our own script
                command,
                env={name: os.environ[name] for name in tasks.INHERITED if name in os.environ},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock,),
                start_new_session=True,  # no signal of our terminal or process group reaches it
                check=False,
                timeout=START_SECONDS,
            )
        finally:
            os.close(log)


def _kill(groups: tuple[int, ...], job_id: str) -> None:
    """Kill what is left of a lost runner's tasks: Linux only, where a process can be asked whose it is.

    The number of a group that ended may be another's by now, hence the look at the environment.
    """
    mark = f"JENNAH_JOB_ID={job_id}\0".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            group = os.getpgid(int(entry.name))
            if group in groups and mark in (entry / "environ").read_bytes():
                processes.signal_group(group, signal.SIGKILL)
        except OSError:
            continue  # it ended, or is another user's


def _read(path: Path, decoder: msgspec.json.Decoder[T]) -> T | None:
    try:
        return decoder.decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise Unreadable(f"{path.name} is unreadable") from error


def _write(path: Path, content: bytes) -> None:
    """Put the file there in one step, for its owner's eyes only."""
    descriptor, new = tempfile.mkstemp(prefix=".new-", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(new).replace(path)
    except BaseException:
        Path(new).unlink(missing_ok=True)
        raise
