"""Local jobs run once, whatever dies: real processes, folders, locks."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from controller.clock import SystemClock
from controller.domain import reasons
from controller.domain.errors import Permanent, Unavailable, Unreachable
from controller.domain.phases import Phase
from controller.ports import JobRef
from controller.providers.local import destination, mapping, runner, tasks
from controller.providers.local.folder import JobFolder
from controller.providers.local.provider import LocalProvider
from tests.controller.providers.local.harness import (
    NAME,
    PATIENCE,
    REF,
    UID,
    end_of_runner,
    ended,
    lives,
    pids_in,
    run,
    seen,
    sh,
    until,
)

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
from controller.clock import SystemClock
from controller.providers.local.provider import LocalProvider
from tests.controller.providers.local import harness as t
provider = LocalProvider(Path(sys.argv[1]), "here", SystemClock())
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
