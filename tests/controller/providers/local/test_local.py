"""What is the local provider's own: real processes, folders, locks. Its laws: tests/contract."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from controller.clock import SystemClock
from controller.domain import conditions, reasons
from controller.domain.errors import Permanent, Unavailable, Unreachable
from controller.domain.job import JobSpec
from controller.domain.phases import Phase
from controller.domain.resources import ResourceSet
from controller.ports import JobRef, Observation, SubmitRequest
from controller.providers.local import destination, mapping, runner, tasks
from controller.providers.local.folder import JobFolder
from controller.providers.local.provider import LocalProvider

PATIENCE = 10.0  # seconds
UID = str(uuid.UUID(int=7))
NAME = f"job-{uuid.UUID(UID).hex}"
REF = JobRef(external_name=NAME, uid=UID)


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[LocalProvider]:
    provider = LocalProvider(tmp_path, "here", SystemClock())
    yield provider
    await provider.close()
    for path in tmp_path.glob("local/*/job.json"):
        await end_of_runner(JobFolder(path.parent), kill=True)


async def end_of_runner(job: JobFolder, *, kill: bool = False) -> None:
    """Until the job's runner has ended, and with `kill` what it ran too."""
    if kill:
        await until(lambda: job.state() is not None or not job.has_runner())
        if job.has_runner():
            os.kill(job.state().runner, signal.SIGKILL)
    await until(lambda: not job.has_runner())
    job.tend(SystemClock().now())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "local" / NAME


def sh(script: str, *, seconds: int = 60, env: dict[str, str] | None = None, **spec: object) -> SubmitRequest:
    return request_for(("sh", "-c", script), seconds=seconds, env=env, **spec)


def request_for(
    command: tuple[str, ...] | None, *, seconds: int = 60, env: dict[str, str] | None = None, **spec: object
) -> SubmitRequest:
    return SubmitRequest(
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        external_name=NAME,
        uid=UID,
        job_id="my-job",
        tenant_id="my-tenant",
        spec=JobSpec(image="busybox", command=command, **{"backoff_limit": 0, **spec}),
        resources=ResourceSet(max_run_duration_seconds=seconds),
        env=env or {},
    )


def lives(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < give_up, "it did not come"
        await asyncio.sleep(0.01)


async def seen(provider: LocalProvider, holds: Callable[[Observation], bool]) -> Observation:
    """The first observation of which that holds."""
    give_up = time.monotonic() + PATIENCE
    while True:
        observed = await provider.get(REF)
        if observed is not None and holds(observed):
            return observed
        assert time.monotonic() < give_up, f"it did not come; last seen: {observed}"
        await asyncio.sleep(0.01)


async def ended(provider: LocalProvider) -> Observation:
    return await seen(provider, lambda observed: observed.phase.is_terminal)


async def run(provider: LocalProvider, request: SubmitRequest) -> Observation:
    await provider.submit(request)
    return await ended(provider)


def pids_in(file: Path) -> list[int]:
    return [int(word) for word in file.read_text().split()] if file.exists() else []


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


# Exactly once, whatever dies


async def test_jobs_go_on_without_the_controller_and_the_next_one_finds_them(
    provider: LocalProvider, folder: Path, tmp_path: Path
) -> None:
    await provider.submit(sh("echo $$; sleep 0.3; exit 5"))
    await seen(provider, lambda one: one.phase is Phase.RUNNING)
    await provider.close()
    later = LocalProvider(tmp_path, "here", SystemClock())
    assert (await later.observe([REF]))[NAME].phase is Phase.RUNNING
    assert (await ended(later)).exit_code == 5
    assert len(pids_in(folder / "task-0.log")) == 1


SUBMIT_AND_DIE = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.controller.providers.local import test_local as t
provider = t.LocalProvider(Path(sys.argv[1]), "here", t.SystemClock())
asyncio.run(provider.submit(t.sh("echo $$; sleep 0.2; exit 6")))
os.killpg(0, signal.SIGKILL)
"""


async def test_jobs_survive_a_controller_that_is_killed_with_its_process_group(
    provider: LocalProvider, folder: Path, tmp_path: Path
) -> None:
    root = Path(__file__).parents[4]
    command = [sys.executable, "-c", SUBMIT_AND_DIE, str(tmp_path)]
    killed = await asyncio.to_thread(
        subprocess.run, command, cwd=root, start_new_session=True, check=False, timeout=PATIENCE
    )
    assert killed.returncode == -signal.SIGKILL
    assert (await ended(provider)).exit_code == 6
    assert len(pids_in(folder / "task-0.log")) == 1


async def test_a_job_whose_runner_was_never_started_is_started_by_the_next_look(
    provider: LocalProvider, folder: Path
) -> None:
    job = mapping.job_file(sh("exit 7"), submitted_at=SystemClock().now())
    assert JobFolder(folder).create(job)  # and here the controller died
    assert (await provider.observe([REF]))[NAME].phase in (Phase.PENDING, Phase.SCHEDULED, Phase.RUNNING)
    assert (await ended(provider)).exit_code == 7


async def test_a_second_runner_does_nothing(provider: LocalProvider, folder: Path) -> None:
    await provider.submit(sh("echo $$; sleep 60"))
    await until(lambda: len(pids_in(folder / "task-0.log")) == 1)
    before = (folder / "state.json").read_bytes()
    command = [sys.executable, "-I", "-S", runner.__file__, str(folder)]
    # Its output is a pipe that is closed only when the detached part of it has ended too.
    assert (await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)).stderr == b""
    assert (folder / "state.json").read_bytes() == before
    assert len(pids_in(folder / "task-0.log")) == 1


async def test_a_job_that_was_started_once_is_never_started_again(provider: LocalProvider, folder: Path) -> None:
    end = await run(provider, sh("echo $$"))
    command = [sys.executable, "-I", "-S", runner.__file__, str(folder)]
    assert (await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)).stderr == b""
    assert msgspec.structs.replace(await provider.submit(sh("echo $$")), remarks=()) == end
    assert len(pids_in(folder / "task-0.log")) == 1


async def test_a_killed_runner_is_a_failed_job_and_leaves_no_orphan(provider: LocalProvider, folder: Path) -> None:
    await provider.submit(sh("sleep 60 & echo $! $$; wait"))
    await until(lambda: len(pids_in(folder / "task-0.log")) == 2)
    await seen(provider, lambda one: one.phase is Phase.RUNNING)
    child, grandchild = pids_in(folder / "task-0.log")
    os.kill(JobFolder(folder).state().runner, signal.SIGKILL)
    end = await ended(provider)
    assert (end.phase, end.reason, end.exit_code) == (Phase.FAILED, reasons.RUNNER_LOST, None)
    assert (end.tasks.running, end.tasks.failed) == (0, 1)
    await until(lambda: not lives(child) and not lives(grandchild))
    assert await provider.get(REF) == end
    again = await provider.submit(sh("sleep 60 & echo $! $$; wait"))
    assert msgspec.structs.replace(again, remarks=()) == end


async def test_a_state_that_nobody_can_read_or_complete_is_a_lost_runner(provider: LocalProvider, folder: Path) -> None:
    await run(provider, sh("true"))
    await end_of_runner(JobFolder(folder))
    (folder / "state.json").write_text('{"uid": "')
    assert (await provider.observe([REF]))[NAME].reason == reasons.RUNNER_LOST


async def test_a_state_that_is_unreadable_while_the_runner_lives_is_in_doubt(
    provider: LocalProvider, folder: Path
) -> None:
    await provider.submit(sh("sleep 60"))
    await seen(provider, lambda one: one.phase is Phase.RUNNING)
    good = (folder / "state.json").read_bytes()
    (folder / "state.json").write_text("")
    assert await provider.observe([REF]) == {}
    with pytest.raises(Unavailable, match=r"state\.json"):
        await provider.get(REF)
    (folder / "state.json").write_bytes(good)
    assert (await provider.observe([REF]))[NAME].phase is Phase.RUNNING


async def test_a_folder_that_was_removed_is_an_unknown_job(provider: LocalProvider, folder: Path) -> None:
    await run(provider, sh("true"))
    folder.rename(folder.with_name("elsewhere"))
    assert await provider.get(REF) is None
    assert await provider.observe([REF]) == {}


@pytest.mark.parametrize("name", ["../escape", "", ".", "a/b", ".new-x", "a" * 64])
async def test_a_name_that_leads_elsewhere_is_no_name(provider: LocalProvider, name: str) -> None:
    ref = JobRef(external_name=name, uid=UID)
    assert await provider.get(ref) is None
    assert await provider.observe([ref]) == {}
    await provider.cancel(ref, reason="r")
    with pytest.raises(Permanent):
        await provider.submit(msgspec.structs.replace(sh("true"), external_name=name))


async def test_a_state_that_did_not_change_is_not_read_again(
    provider: LocalProvider, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run(provider, sh("true"))
    reads: list[Path] = []
    monkeypatch.setattr(JobFolder, "state", lambda self: reads.append(self.path))
    assert NAME in await provider.observe([REF])
    assert reads == []


async def test_a_data_folder_that_cannot_be_used_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "local").write_text("a file")
    provider = LocalProvider(tmp_path, "here", SystemClock())
    with pytest.raises(Unavailable):
        await provider.submit(sh("true"))


def test_the_runner_takes_over_only_what_it_says_of_the_environment() -> None:
    assert set(tasks.INHERITED) == {"PATH", "HOME", "LANG"}


# Where a job was sent


async def test_jobs_of_another_folder_are_out_of_reach(provider: LocalProvider, folder: Path, tmp_path: Path) -> None:
    other = LocalProvider(tmp_path / "other", "here", SystemClock())
    request = msgspec.structs.replace(sh("exit 0"), destination=other.destination(sh("").spec, "team-a"))
    ref = msgspec.structs.replace(REF, destination=request.destination)
    for call in (
        lambda: provider.submit(request),
        lambda: provider.get(ref),
        lambda: provider.find(ref),
        lambda: provider.observe([ref]),
        lambda: provider.cancel(ref, reason="because"),
        lambda: provider.delete(ref),
    ):
        with pytest.raises(Unreachable, match=f"{tmp_path}/other/local.*{tmp_path}/local"):
            await call()
    assert not folder.exists()


async def test_the_variables_of_a_destination_lead_to_it(provider: LocalProvider, tmp_path: Path) -> None:
    sent = provider.destination(sh("").spec, "team-a")
    assert sent.account == str(tmp_path / "local")
    again = LocalProvider(Path(destination.variables(sent)["JENNAH_DATA_DIR"]), "there", SystemClock())
    assert again.site == sent.site
    assert destination.variables(msgspec.structs.replace(sent, account=None)) == {}
