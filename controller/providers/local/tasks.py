"""The tasks of one job, from their start to the job's end. Run by `runner`: standard library only, few imports.

Reads job.json and cancel; writes state.json (by renaming), task-N.log and the tasks' working folder work/.
`mapping` has the shape of the two JSON files and translates the words of STATES and REASONS.
"""

# pathlib would be a fifth of the runner's start, hence:
# ruff: noqa: PTH102, PTH105, PTH110, PTH123

import errno
import json
import os
import select
import signal
import time

from controller.providers.local import processes

TYPE_CHECKING = False  # as mypy reads it; importing typing takes as long as everything else here
if TYPE_CHECKING:
    from typing import Any

STATES = ("starting", "running", "succeeded", "failed", "cancelled")
REASONS = ("exit-code", "command-not-found", "not-started", "deadline", "lost")
KILL_AFTER = 10.0  # seconds from SIGTERM to SIGKILL
LOOK_EVERY = 0.1  # seconds between looks for the cancel file
RETRY_FIRST, RETRY_MOST = 0.2, 5.0  # seconds between the attempts of a task: doubled each time, capped
NOT_EXECUTABLE, NOT_STARTED = 126, 125  # exit codes where there was no process to give one
INHERITED = ("PATH", "HOME", "LANG")  # all that a task gets of the controller's environment

_SHORT_OF_ROOM = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)


class Task:
    """One of the job's processes, over all of its attempts."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.state = "pending"
        self.pid: int | None = None
        self.attempts = 0
        self.start_at = 0.0  # of the next attempt
        self.began = 0.0  # the attempt that runs


class Tasks:
    """Starts them, waits for them, stops them all at a cancel, at the deadline, or when one has failed for good."""

    def __init__(self, folder: str, job: "dict[str, Any]") -> None:
        self.folder = folder
        self.job = job
        self.tasks = [Task(index) for index in range(job["completions"])]
        self.parallelism: int = job.get("parallelism") or (os.cpu_count() or 1) * 4
        self.has_started = False
        self.kill_at: float | None = None
        self.end: dict[str, Any] | None = None  # how the job is going to end, once that is settled
        self.state: dict[str, Any] = {
            "uid": job["uid"],
            "state": "starting",
            "submitted_at": job["submitted_at"],
            "scheduled_at": processes.now(),
            "retries": 0,
            "runner": os.getpid(),
        }
        self.written = ""

    @classmethod
    def read(cls, folder: str) -> "Tasks":
        with open(f"{folder}/job.json", encoding="utf-8") as file:
            return cls(folder, json.load(file))

    def run(self) -> None:
        self.write()  # from here on the job counts as started, and is never started again
        os.mkdir(f"{self.folder}/work", 0o700)
        wakeup = processes.wake_on_child()
        while not self.is_over():
            self.write()
            if select.select([wakeup], [], [], self.patience())[0]:
                os.read(wakeup, 4096)
        self.state.update(self.end or {}, completed_at=processes.now())
        self.write()

    def is_over(self) -> bool:
        """Do all that is due. Whether nothing is left to do."""
        self.reap()
        self.look_for_cancel()
        self.look_at_clock()
        self.start_due()
        self.settle()
        return self.end is not None and not any(task.pid for task in self.tasks)

    def reap(self) -> None:
        for task in self.tasks:
            if task.pid is None:
                continue
            pid, status = os.waitpid(task.pid, os.WNOHANG)
            if pid:
                processes.signal_group(pid, signal.SIGKILL)  # as a container ends with its first process
                task.pid = None
                code = os.waitstatus_to_exitcode(status)
                self.ended(task, code if code >= 0 else 128 - code)
        self.settle()  # before any cancel or deadline is looked at: what finished first stays finished

    def settle(self) -> None:
        if self.end is None and all(task.state == "succeeded" for task in self.tasks):
            self.end = {"state": "succeeded", "exit_code": 0}

    def ended(self, task: Task, code: int) -> None:
        """An attempt ended with that code."""
        if code == 0:
            task.state = "succeeded"
        elif self.end is None and task.attempts <= self.job["backoff_limit"]:
            task.state = "pending"
            task.start_at = time.monotonic() + min(RETRY_MOST, RETRY_FIRST * 2 ** (task.attempts - 1))
            self.state["retries"] += 1
        else:
            task.state = "failed"
            self.stop("failed", reason="exit-code", exit_code=code, task=task.index)

    def start_due(self) -> None:
        running = sum(task.pid is not None for task in self.tasks)
        for task in self.tasks:
            if self.end is not None or running >= self.parallelism:
                return
            if task.state == "pending" and task.start_at <= time.monotonic():
                self.start(task)
                running += task.pid is not None

    def start(self, task: Task) -> None:
        task.began = time.monotonic()
        if not self.has_started:
            self.has_started = True
            self.state.update(state="running", started_at=processes.now())
        task.attempts += 1
        log = os.open(f"{self.folder}/task-{task.index}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if self.job["command"]:
                task.pid = processes.spawn(self.job["command"], self.environment(task), log, f"{self.folder}/work")
                task.state = "running"
            else:
                os.write(
                    log, b"jennah: no command is given and images are not run locally, so there is nothing to do\n"
                )
                task.state = "succeeded"
        except OSError as error:
            self.not_started(task, error, log)
        finally:
            os.close(log)

    def not_started(self, task: Task, error: OSError, log: int) -> None:
        message = f"cannot run {self.job['command'][0]!r}: {error.strerror}"
        os.write(log, f"jennah: {message}\n".encode(errors="replace"))
        if error.errno in _SHORT_OF_ROOM:
            self.is_short_of_room(task, message)
            return
        code = processes.NOT_FOUND if error.errno in (errno.ENOENT, errno.ENOTDIR) else NOT_EXECUTABLE
        task.state = "failed"
        self.stop("failed", reason="command-not-found", exit_code=code, message=message, task=task.index)

    def is_short_of_room(self, task: Task, message: str) -> None:
        """The machine could not start it: tried again as a failure is."""
        self.ended(task, NOT_STARTED)
        if task.state == "failed" and self.end is not None and self.end.get("exit_code") == NOT_STARTED:
            self.end.update(reason="not-started", exit_code=None, message=message)

    def environment(self, task: Task) -> dict[str, str]:
        return {
            **{name: os.environ[name] for name in INHERITED if name in os.environ},
            **self.job["env"],
            "JENNAH_JOB_ID": self.job["job_id"],
            "JENNAH_TENANT_ID": self.job["tenant_id"],
            "BATCH_TASK_INDEX": str(task.index),
            "BATCH_TASK_COUNT": str(len(self.tasks)),
            "JOB_COMPLETION_INDEX": str(task.index),
        }

    def look_for_cancel(self) -> None:
        if self.end is None and os.path.exists(f"{self.folder}/cancel"):
            with open(f"{self.folder}/cancel", encoding="utf-8", errors="replace") as file:
                self.stop("cancelled", message=file.read())
            self.state["is_cancelling"] = True

    def look_at_clock(self) -> None:
        limit = self.job.get("deadline_seconds")
        for task in self.tasks:
            if limit and task.pid is not None and time.monotonic() - task.began >= limit:
                self.stop("failed", reason="deadline", limit_seconds=limit, task=task.index)
        if self.kill_at is not None and time.monotonic() >= self.kill_at:
            self.signal_all(signal.SIGKILL)

    def stop(self, state: str, **how: "Any") -> None:
        """End everything that runs. The first cause is the one that counts."""
        if self.end is None:
            self.end = {"state": state, **how}
            self.kill_at = time.monotonic() + KILL_AFTER
            self.signal_all(signal.SIGTERM)

    def signal_all(self, number: signal.Signals) -> None:
        for task in self.tasks:
            if task.pid is not None:
                processes.signal_group(task.pid, number)

    def patience(self) -> float:
        """Seconds until something is due even if no task ends. What is due already waits for a task to end."""
        waits = [task.start_at - time.monotonic() for task in self.tasks if task.state == "pending"]
        return min([LOOK_EVERY, *(wait for wait in waits if wait > 0)])

    def write(self) -> None:
        """state.json, where it changed. Renamed into place, so that a reader sees the old one or the new one."""
        count = [task.state for task in self.tasks].count
        states = ("pending", "running", "succeeded", "failed")
        self.state["tasks"] = {"total": len(self.tasks), **{state: count(state) for state in states}}
        self.state["groups"] = [task.pid for task in self.tasks if task.pid is not None]
        text = json.dumps(self.state)
        if text != self.written:
            with open(f"{self.folder}/state.json.new", "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(f"{self.folder}/state.json.new", f"{self.folder}/state.json")
            self.written = text
