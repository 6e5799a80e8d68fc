"""Processes, process groups and the lock of a job's folder. For the runner: standard library only, few imports."""

import errno
import fcntl
import os
import signal
import sys
import time

if sys.platform == "linux":
    import ctypes

    _LIBC = ctypes.CDLL(None)

NOT_FOUND = 127
_PR_SET_PDEATHSIG = 1  # prctl(2)


def take_lock(folder: str) -> int | None:
    """The descriptor of the folder's lock, or None where another holds it. Free again when its holders have ended."""
    lock = os.open(f"{folder}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except BaseException:
        os.close(lock)
        raise
    return lock


def spawn(command: list[str], env: dict[str, str], log: int, folder: str) -> int:
    """The pid of that command, leader of a session and process group of its own, with its output in `log`.

    Raises the OSError that exec met (with its errno), EINVAL for a NUL in an argument or a variable.
    """
    runner = os.getpid()
    failure, report = os.pipe()  # a successful exec closes it
    try:
        pid = os.fork()
        if pid == 0:
            _become(command, env, log, folder, runner, report)
    finally:
        os.close(report)
        with os.fdopen(failure, "rb") as pipe:
            code = pipe.read()
    if code:
        os.waitpid(pid, 0)
        raise OSError(int(code), os.strerror(int(code)))
    return pid


def _become(command: list[str], env: dict[str, str], log: int, folder: str, runner: int, report: int) -> None:
    """Turn this forked process into the command. Never returns."""
    try:
        os.setsid()
        _die_with(runner)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these, and ignoring is inherited
            signal.signal(number, signal.SIG_DFL)
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.execvpe(command[0], command, env)  # noqa: S606 - running the user's command is the purpose
    except OSError as error:
        os.write(report, str(_cause(error, command[0])).encode())
    except ValueError:
        os.write(report, str(errno.EINVAL).encode())
    finally:
        os._exit(NOT_FOUND)


def _cause(error: OSError, command: str) -> int | None:
    """The errno that tells the truth: exec says EACCES for a folder of PATH that we may not look into."""
    if error.errno == errno.EACCES and os.sep not in command:
        folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
        if not any(os.path.lexists(f"{folder}/{command}") for folder in folders):
            return errno.ENOENT
    return error.errno


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends. Linux only."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before it could be asked for
            os._exit(NOT_FOUND)


def signal_group(group: int, number: signal.Signals) -> None:
    """Send that signal to a process group. One that has ended is no error."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # macOS denies permission for a group of zombies
        pass


def wake_on_child() -> int:
    """A descriptor that becomes readable when a child ends."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer)
    return reader


def now() -> str:
    """The wall clock, RFC 3339 in UTC with microseconds."""
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds // 1000:06}Z"
