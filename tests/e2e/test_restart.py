"""What a death of the controller does to jobs: nothing."""

import asyncio
import itertools
from pathlib import Path

from controller.domain.phases import Phase
from controller.stores.sqlite import SqliteStore
from dev.stack import Stack
from tests.e2e.client import is_finished, let_go, submit, until_told, wait_for
from tests.e2e.conftest import make_stack

LEGAL = {
    (None, "PENDING"),
    ("PENDING", "SCHEDULED"),
    ("PENDING", "RUNNING"),
    ("PENDING", "COMPLETED"),
    ("SCHEDULED", "RUNNING"),
    ("SCHEDULED", "COMPLETED"),
    ("RUNNING", "COMPLETED"),
}


async def test_twenty_jobs_that_run_while_the_controller_is_killed_each_end_once(stack: Stack, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    async with await stack.client() as kube:
        names = await asyncio.gather(*(submit(stack.api_url, until_told(marks), name=f"job-{n}") for n in range(20)))
        await wait_for(kube, names, lambda job: job.status.phase is Phase.RUNNING, "running")
        assert stack.operator is not None
        await stack.operator.kill()
        late = await submit(stack.api_url, until_told(marks), name="submitted-while-it-was-dead")
        await stack.start_operator()
        let_go(marks)
        jobs = await wait_for(kube, [*names, late], is_finished, "finished")
    assert {job.status.phase for job in jobs.values()} == {Phase.COMPLETED}
    for name in [*names, late]:
        assert (marks / name).read_text() == "ran\n", "run exactly once"
    await assert_the_record_agrees(stack, [*names, late])


async def assert_the_record_agrees(stack: Stack, names: list[str]) -> None:
    store = SqliteStore(stack.database)
    await store.open()
    try:
        for name in names:
            row = await store.get_job("t", name)
            assert row is not None
            assert row.status is Phase.COMPLETED
            audit = [(t.from_status, t.to_status) for t in await store.transitions("t", name)]
            assert set(audit) <= LEGAL
            assert len(audit) == len(set(audit)), "no transition twice"
            assert all(a[1] == b[0] for a, b in itertools.pairwise(audit)), "each begins where one ended"
        notifications = await store.list_notifications("t", limit=100)
        assert sorted(n.job_id for n in notifications) == sorted(names), "one notification a job"
    finally:
        await store.close()


async def test_jobs_outlive_a_stop_of_the_whole_stack_and_the_next_start_picks_them_up(tmp_path: Path) -> None:
    lines: list[str] = []
    first = make_stack(tmp_path, lines)
    async with first.running(), await first.client() as kube:
        name = await submit(first.api_url, f"{until_told(tmp_path)}; echo done > {tmp_path}/done")
        await wait_for(kube, [name], lambda job: job.status.phase is Phase.RUNNING, "running")
    assert not (tmp_path / "done").exists()
    let_go(tmp_path)
    second = make_stack(tmp_path, lines)
    async with second.running(), await second.client() as kube:
        jobs = await wait_for(kube, [name], is_finished, "finished")
    assert jobs[name].status.phase is Phase.COMPLETED
    assert (tmp_path / "done").exists()
