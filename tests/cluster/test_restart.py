"""What becomes of jobs while nobody looks after them, or the API server does not answer: nothing."""

import asyncio

import pytest

from controller.domain.phases import Phase
from tests.cluster.installation import Installation
from tests.e2e.client import is_finished, is_running


@pytest.mark.local_programs
async def test_jobs_go_on_while_all_programs_are_dead_and_are_picked_up_again(jennah: Installation) -> None:
    gate = jennah.gate()
    names = list(await asyncio.gather(*(jennah.submit(gate.script, name=f"job-{n}") for n in range(20))))
    await jennah.wait_for(names, is_running, "running")
    for operator in jennah.local.operators:
        await operator.kill()
    names.append(await jennah.submit(gate.script, name="submitted-while-they-were-dead"))
    unseen = await jennah.create("created-while-they-were-dead", "exit 0", jennah.team)
    assert (await jennah.rows(jennah.team_tenant))[unseen.job_id]["status"] == "PENDING", "no operator has seen it"
    await jennah.local.api.kill()
    gate.open()
    await jennah.programs.start()
    jobs = await jennah.wait_for(names, is_finished, "finished")
    assert {job.status.phase for job in jobs.values()} == {Phase.COMPLETED}
    assert {await gate.runs(job) for job in jobs.values()} == {1}
    await jennah.wait_for([unseen.metadata.name], is_finished, "finished", jennah.team)


@pytest.mark.own_server
async def test_an_api_server_that_goes_and_comes_back_costs_no_job(jennah: Installation) -> None:
    server, gate = jennah.cluster.server, jennah.gate()
    assert server is not None
    names = list(await asyncio.gather(*(jennah.submit(gate.script, name=f"job-{n}") for n in range(5))))
    await jennah.wait_for(names, is_running, "running")
    leader = await jennah.local.leader()
    before = leader.count("no longer leading")
    await server.stop()
    gate.open()
    await leader.until(lambda: leader.count("no longer leading") > before)
    await server.start()
    jobs = await jennah.wait_for(names, is_finished, "finished")
    assert {job.status.phase for job in jobs.values()} == {Phase.COMPLETED}
    assert {await gate.runs(job) for job in jobs.values()} == {1}
    assert all(program.is_running for program in jennah.local.all), "the same processes"
