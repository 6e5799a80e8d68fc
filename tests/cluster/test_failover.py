"""Two operators, one acts: what becomes of jobs when the one that does stops, dies or sleeps.

Limits are generous: how long takeovers take is measured elsewhere. Waits are for what the operators say and do.
"""

import asyncio
import signal

import aiohttp
import pytest

from controller.domain.phases import Phase
from tests.cluster.gates import Gate
from tests.cluster.installation import Installation
from tests.cluster.kubectl import Kubectl, needs_kubectl
from tests.cluster.local import Program
from tests.cluster.setup import LEASE
from tests.e2e.client import is_finished, is_running

JOBS = 8


async def submit_some(jennah: Installation, gate: Gate) -> list[str]:
    """Jobs that run until the gate is opened."""
    names = await asyncio.gather(*(jennah.submit(gate.script, name=f"job-{n}") for n in range(JOBS)))
    await jennah.wait_for(names, is_running, "running")
    return list(names)


async def assert_all_ran_once(jennah: Installation, gate: Gate, names: list[str]) -> None:
    gate.open()
    jobs = await jennah.wait_for(names, is_finished, "finished")
    assert {job.status.phase for job in jobs.values()} == {Phase.COMPLETED}
    assert {name: await gate.runs(job) for name, job in jobs.items()} == dict.fromkeys(names, 1)


async def probe(program: Program, path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{program.port}{path}"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return response.status, await response.text()


async def test_a_leader_that_dies_is_followed_and_each_job_runs_once(jennah: Installation) -> None:
    """Wherever the programs run: SIGKILL, or a pod that is deleted without grace."""
    gate = jennah.gate()
    names = await submit_some(jennah, gate)
    dead = await jennah.programs.kill_leader()
    names.append(await jennah.submit(gate.script, name="while-nobody-led"))
    await jennah.programs.next_holder(dead)
    await assert_all_ran_once(jennah, gate, names)


@pytest.mark.local_programs
async def test_a_standby_is_ready_and_watches_and_does_nothing(jennah: Installation) -> None:
    gate = jennah.gate()
    names = await submit_some(jennah, gate)
    leader, standby = await jennah.local.leader(), await jennah.local.standby()
    before = (await probe(standby, "/metrics"))[1]
    await assert_all_ran_once(jennah, gate, names)
    for program, leads in ((leader, "1.0"), (standby, "0.0")):
        assert (await probe(program, "/livez"))[0] == 200
        assert (await probe(program, "/readyz"))[0] == 200
        assert f"jennah_leader {leads}" in (await probe(program, "/metrics"))[1]
    assert reconciles((await probe(standby, "/metrics"))[1]) == reconciles(before)
    assert reconciles((await probe(leader, "/metrics"))[1])


@pytest.mark.local_programs
async def test_a_leader_that_is_stopped_hands_over(jennah: Installation) -> None:
    gate = jennah.gate()
    names = await submit_some(jennah, gate)
    leader, standby = await jennah.local.leader(), await jennah.local.standby()
    transitions, released = (await jennah.local.lease.spec())["leaseTransitions"], leader.count("released the lease")
    stopping = asyncio.create_task(leader.stop())
    assert await jennah.local.leader(after=leader.identity) is standby
    await stopping
    assert leader.exit_code == 0
    assert leader.count("released the lease") == released + 1
    assert (await jennah.local.lease.spec())["leaseTransitions"] == int(str(transitions)) + 1
    names.append(await jennah.submit(gate.script, name="late"))
    await assert_all_ran_once(jennah, gate, names)


@pytest.mark.local_programs
async def test_a_leader_that_slept_past_its_lease_wakes_as_a_standby(jennah: Installation) -> None:
    gate = jennah.gate()
    names = await submit_some(jennah, gate)
    sleeper, standby = await jennah.local.leader(), await jennah.local.standby()
    led = sleeper.count("no longer leading")
    sleeper.signal(signal.SIGSTOP)
    assert await jennah.local.leader(after=sleeper.identity) is standby
    names.append(await jennah.submit(gate.script, name="while-it-slept"))
    await assert_all_ran_once(jennah, gate, names)
    sleeper.signal(signal.SIGCONT)
    await sleeper.until(lambda: sleeper.count(f"standing by: {standby.identity} leads") == 1)
    assert sleeper.count("no longer leading") == led + 1
    assert await jennah.local.leader() is standby
    await assert_all_ran_once(jennah, gate, names)
    # And back again.
    await standby.stop()
    assert await jennah.local.leader(after=standby.identity) is sleeper


def reconciles(metrics: str) -> list[str]:
    return [line for line in metrics.splitlines() if line.startswith("jennah_reconciles_total{")]


@needs_kubectl
async def test_kubectl_shows_who_leads(jennah: Installation) -> None:
    kubectl = Kubectl(jennah.cluster.kubeconfig, jennah.system)
    head, row = (await kubectl("get", "lease", LEASE)).splitlines()
    assert head.split() == ["NAME", "HOLDER", "AGE"]
    assert row.split()[:2] == [LEASE, await jennah.programs.holder()]
