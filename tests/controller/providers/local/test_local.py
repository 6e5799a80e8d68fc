"""What is the local provider's own: real processes and folders. Its laws: tests/contract."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from controller.clock import SystemClock
from controller.domain import conditions, reasons
from controller.domain.phases import Phase
from controller.providers.local import mapping, tasks
from controller.providers.local.folder import JobFolder
from controller.providers.local.provider import LocalProvider
from tests.controller.providers.local.harness import (
    PATIENCE,
    REF,
    ended,
    lives,
    pids_in,
    request_for,
    run,
    seen,
    sh,
    until,
)

# What a job sees and leaves behind


async def test_output_of_all_attempts_is_in_the_tasks_log(provider: LocalProvider, folder: Path) -> None:
    end = await run(provider, sh("echo out; echo err >&2; exit 1", backoff_limit=1))
    assert (folder / "task-0.log").read_text().splitlines() == ["out", "err", "out", "err"]
    assert end.logs_url == (folder / "task-0.log").as_uri()


async def test_the_logs_of_several_tasks_are_a_folder(provider: LocalProvider, folder: Path) -> None:
    end = await run(provider, sh("echo $BATCH_TASK_INDEX", completions=2))
    assert end.logs_url == folder.as_uri()
    assert [(folder / f"task-{n}.log").read_text() for n in range(2)] == ["0\n", "1\n"]


async def test_a_job_has_its_own_environment_and_little_of_ours(
    provider: LocalProvider, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_ENDPOINT", "postgres://secret")
    monkeypatch.setenv("LANG", "C.UTF-8")
    await run(provider, request_for(("env",), env={"A": "b c", "HOME": "/nowhere"}))
    lines = dict(line.split("=", 1) for line in (folder / "task-0.log").read_text().splitlines())
    assert lines == {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": "/nowhere",
        "A": "b c",
        "JENNAH_JOB_ID": "my-job",
        "JENNAH_TENANT_ID": "my-tenant",
        "BATCH_TASK_INDEX": "0",
        "BATCH_TASK_COUNT": "1",
        "JOB_COMPLETION_INDEX": "0",
    }


async def test_command_and_args_are_one_command_line(provider: LocalProvider, folder: Path) -> None:
    await run(provider, request_for(("echo", "a"), args=("b  c", "ü")))
    assert (folder / "task-0.log").read_text() == "a b  c ü\n"


async def test_a_job_without_a_command_says_so_and_succeeds(provider: LocalProvider, folder: Path) -> None:
    (told,) = (await provider.submit(request_for(None, completions=2))).remarks
    assert (told.condition, told.status) == (conditions.SPEC_HONOURED, False)
    assert "nothing is run" in told.message
    end = await ended(provider)
    assert (end.phase, end.exit_code, end.tasks.succeeded) == (Phase.COMPLETED, 0, 2)
    [line] = (folder / "task-1.log").read_text().splitlines()
    assert "no command" in line


async def test_only_the_owner_reads_what_is_in_the_folder(provider: LocalProvider, folder: Path) -> None:
    await run(provider, sh("true", env={"A": "secret"}))
    assert (folder / "job.json").stat().st_mode & 0o777 == 0o600
    assert {path.stat().st_mode & 0o777 for path in (folder.parent, folder, folder / "work")} == {0o700}
    others = (file for file in folder.iterdir() if file.is_file() and file.name != "job.json")
    assert all("secret" not in file.read_text() for file in others)


# How jobs end


async def test_a_failure_is_told_once_it_is_the_last(provider: LocalProvider) -> None:
    end = await run(provider, sh("exit 3", backoff_limit=2))
    assert end.message == "the program ended with exit code 3; see its logs"
    assert end.retries == 2


async def test_a_retry_may_succeed(provider: LocalProvider) -> None:
    end = await run(provider, sh("test -e again || { touch again; exit 1; }", backoff_limit=3))
    assert (end.phase, end.exit_code, end.retries, end.message) == (Phase.COMPLETED, 0, 1, None)


async def test_a_signal_is_exit_code_128_and_its_number(provider: LocalProvider) -> None:
    end = await run(provider, sh("kill -KILL $$"))
    assert (end.phase, end.exit_code, end.reason) == (Phase.FAILED, 137, reasons.NON_ZERO_EXIT)
    assert end.message == "the program ended with exit code 137 (SIGKILL); see its logs"


@pytest.mark.parametrize(("command", "code"), [("no-such-command", 127), ("/etc/passwd", 126)])
async def test_a_command_that_cannot_be_run_fails_at_once_and_is_named(
    provider: LocalProvider, command: str, code: int
) -> None:
    end = await run(provider, request_for((command, "argument"), backoff_limit=5))
    assert (end.phase, end.exit_code, end.reason) == (Phase.FAILED, code, reasons.COMMAND_NOT_FOUND)
    assert repr(command) in end.message
    assert end.retries == 0


async def test_the_deadline_ends_the_job(provider: LocalProvider) -> None:
    end = await run(provider, sh("sleep 60", seconds=1, backoff_limit=3))
    assert (end.phase, end.reason, end.retries) == (Phase.FAILED, reasons.DEADLINE_EXCEEDED, 0)
    assert 0.9 < (end.completed_at - end.started_at).total_seconds() < 5
    assert "1 s" in end.message


def test_the_deadline_is_of_each_attempt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the time that a task waited for its turn counts nor that of its earlier attempts."""
    job = mapping.job_file(sh("", seconds=10, completions=2), submitted_at=SystemClock().now())
    one = tasks.Tasks(str(tmp_path), msgspec.to_builtins(job))
    ended: list[signal.Signals] = []
    monkeypatch.setattr(one, "signal_all", ended.append)
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    one.tasks[0].pid, one.tasks[0].began = 1, 991.0
    one.look_at_clock()
    assert (one.end, ended) == (None, [])
    one.tasks[1].pid, one.tasks[1].began = 2, 990.0
    one.look_at_clock()
    assert one.end == {"state": "failed", "reason": "deadline", "limit_seconds": 10, "task": 1}
    assert ended == [signal.SIGTERM]


async def test_a_task_that_fails_for_good_ends_the_others(provider: LocalProvider) -> None:
    end = await run(provider, sh("test $BATCH_TASK_INDEX = 1 && exit 4; sleep 60", completions=3))
    assert (end.phase, end.exit_code) == (Phase.FAILED, 4)
    assert end.message == "task 1: the program ended with exit code 4; see its logs"
    assert (end.tasks.failed, end.tasks.running) == (3, 0)


async def test_a_cancelled_job_is_asked_before_it_is_killed(provider: LocalProvider, folder: Path) -> None:
    await provider.submit(sh("trap 'echo bye; exit 0' TERM; echo ready; sleep 60 & wait"))
    await until(lambda: (folder / "task-0.log").exists() and "ready" in (folder / "task-0.log").read_text())
    await provider.cancel(REF, reason="a good reason")
    end = await ended(provider)
    assert (end.phase, end.message, end.exit_code) == (Phase.CANCELLED, "a good reason", None)
    assert (folder / "task-0.log").read_text() == "ready\nbye\n"


async def test_a_job_that_does_not_listen_is_killed(provider: LocalProvider, folder: Path, tmp_path: Path) -> None:
    # By hand instead of by the runner, so that the ten seconds can be made shorter.
    script = (
        "import sys; from controller.providers.local import tasks;"
        "tasks.KILL_AFTER = 0.2; tasks.Tasks.read(sys.argv[1]).run()"
    )
    job = JobFolder(folder)
    job.create(mapping.job_file(sh("trap '' TERM; while :; do sleep 1; done"), submitted_at=SystemClock().now()))
    running = subprocess.Popen([sys.executable, "-c", script, str(folder)], cwd=Path(__file__).parents[4])
    try:
        await until(lambda: (folder / "state.json").exists() and job.state().state == "running")
        job.request_cancel("now")
        assert await asyncio.to_thread(running.wait, PATIENCE) == 0
    finally:
        running.kill()
    assert job.state().phase is Phase.CANCELLED


async def test_what_a_task_left_running_ends_with_it(provider: LocalProvider, folder: Path) -> None:
    await run(provider, sh("sleep 60 & echo $!"))
    [pid] = pids_in(folder / "task-0.log")
    await until(lambda: not lives(pid))


# Several tasks


async def test_no_more_tasks_than_parallelism_run_at_once(provider: LocalProvider, folder: Path) -> None:
    count = "echo + >> log; sleep 0.1; echo - >> log"
    end = await run(provider, sh(count, completions=6, parallelism=2))
    assert end.phase is Phase.COMPLETED
    at_once, most = 0, 0
    for line in (folder / "work" / "log").read_text().split():
        at_once += 1 if line == "+" else -1
        most = max(most, at_once)
    assert most == 2


async def test_all_tasks_run_at_once_where_parallelism_is_not_given(provider: LocalProvider) -> None:
    await provider.submit(sh("sleep 60", completions=3))
    observed = await seen(provider, lambda one: one.tasks.running == 3)
    assert (observed.tasks.total, observed.tasks.pending) == (3, 0)
