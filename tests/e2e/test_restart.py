"""What a stop of the whole stack does to jobs: nothing. Of single programs, and of the API server: tests/cluster."""

from pathlib import Path

from controller.domain.phases import Phase
from tests.e2e.client import is_finished, is_running, let_go, submit, until_told, wait_for
from tests.e2e.conftest import make_stack


async def test_jobs_outlive_a_stop_of_the_whole_stack_and_the_next_start_picks_them_up(tmp_path: Path) -> None:
    lines: list[str] = []
    first = make_stack(tmp_path, lines)
    async with first.running(), await first.client() as kube:
        name = await submit(first.api_url, f"{until_told(tmp_path)}; echo done > {tmp_path}/done")
        await wait_for(kube, [name], is_running, "running")
    assert not (tmp_path / "done").exists()
    let_go(tmp_path)
    second = make_stack(tmp_path, lines)
    async with second.running(), await second.client() as kube:
        jobs = await wait_for(kube, [name], is_finished, "finished")
    assert jobs[name].status.phase is Phase.COMPLETED
    assert (tmp_path / "done").exists()
