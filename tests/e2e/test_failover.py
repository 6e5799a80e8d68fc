"""Two operators, one acts: what becomes of jobs when the one that does stops, dies or sleeps.

Limits are generous: how long takeovers take is measured elsewhere. Waits are for what the operators say and do.
"""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from controller.domain.phases import Phase
from controller.kube import paths
from controller.kube.client import KubeClient
from dev.processes import Child
from dev.stack import Stack, free_port
from tests.e2e.client import is_finished, let_go, submit, until_told, wait_for
from tests.e2e.conftest import make_stack
from tests.e2e.test_restart import assert_the_record_agrees

TTL = 3
LIMIT = 30.0


class Operators:
    """Operators of one stack that stand for election together."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.running: dict[str, Child] = {}
        self.lines: dict[str, list[str]] = {}
        self.health: dict[str, int] = {}
        self._changed = asyncio.Event()

    async def start(self, name: str) -> None:
        lines = self.lines[name] = []
        self.health[name] = free_port(0)

        def on_line(line: str) -> None:
            lines.append(line)
            self._changed.set()

        # The same WORKER_ID for all: it is the election that tells them apart.
        env = {**self.stack.env, "WORKER_ID": "worker", "HEALTH_PORT": str(self.health[name])}
        env |= {"WORKER_LEASE_TTL_SECONDS": str(TTL), "WORKER_CLAIM_INTERVAL_SECONDS": "0.5"}
        self.running[name] = await Child.start(
            name, ["-m", "api.cli", "operator"], env=env, on_line=on_line, ready_text="Watching JennahJobs"
        )

    async def until(self, condition: Callable[[], bool], limit: float = LIMIT) -> None:
        """Until that is so, by what they say."""
        async with asyncio.timeout(limit):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def count(self, name: str, text: str) -> int:
        return sum(text in line for line in self.lines[name])

    def leads(self, name: str) -> bool:
        return self.count(name, "Leading as") > self.count(name, "no longer leading")

    async def stop(self) -> None:
        for child in self.running.values():
            if child.process.returncode is None:
                child.process.send_signal(signal.SIGCONT)
                await child.stop()


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Operators]:
    """`a` leads, `b` stands by."""
    lines: list[str] = []
    stack = make_stack(tmp_path, lines)
    operators = Operators(stack)
    try:
        await stack.start_kubeapi()
        await operators.start("a")
        await operators.until(lambda: operators.leads("a"))
        await operators.start("b")
        await operators.until(lambda: operators.count("b", "standing by: worker_") == 1)
        await stack.start_api()
        yield operators
    finally:
        await operators.stop()
        await stack.stop()
    said = [line for each in operators.lines.values() for line in each]
    assert not [line for line in said if "Traceback" in line or "unexpected failure" in line], said


async def lease(kube: KubeClient) -> dict[str, object]:
    spec: dict[str, object] = (await kube.get(paths.lease("default", "jennah-controller")))["spec"]
    return spec


async def probe(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}{path}") as response:
        return response.status, await response.text()


def holder_of(lines: list[str]) -> str:
    return next(line.removeprefix("Leading as ") for line in lines if line.startswith("Leading as "))


async def submit_some(pair: Operators, kube: KubeClient, marks: Path) -> list[str]:
    """Jobs that run until they are let go."""
    marks.mkdir()
    url = pair.stack.api_url
    names = await asyncio.gather(*(submit(url, until_told(marks), name=f"job-{n}") for n in range(8)))
    await wait_for(kube, names, lambda job: job.status.phase is Phase.RUNNING, "running")
    return list(names)


async def assert_all_ran_once(pair: Operators, kube: KubeClient, marks: Path, names: list[str]) -> None:
    let_go(marks)
    jobs = await wait_for(kube, names, is_finished, "finished")
    assert {job.status.phase for job in jobs.values()} == {Phase.COMPLETED}
    assert {name: (marks / name).read_text() for name in names} == dict.fromkeys(names, "ran\n")
    await assert_the_record_agrees(pair.stack, names)


async def test_a_standby_is_ready_and_watches_and_does_nothing(pair: Operators, tmp_path: Path) -> None:
    async with await pair.stack.client() as kube:
        names = await submit_some(pair, kube, tmp_path / "marks")
        for name, leads in (("a", "1.0"), ("b", "0.0")):
            assert (await probe(pair.health[name], "/livez"))[0] == 200
            assert (await probe(pair.health[name], "/readyz"))[0] == 200
            assert f"jennah_leader {leads}" in (await probe(pair.health[name], "/metrics"))[1]
        assert "jennah_reconciles_total{" not in (await probe(pair.health["b"], "/metrics"))[1]
        await assert_all_ran_once(pair, kube, tmp_path / "marks", names)


async def test_a_leader_that_is_stopped_hands_over(pair: Operators, tmp_path: Path) -> None:
    async with await pair.stack.client() as kube:
        names = await submit_some(pair, kube, tmp_path / "marks")
        stopping = asyncio.create_task(pair.running["a"].stop())
        await pair.until(lambda: pair.leads("b"), 5)
        await stopping
        assert pair.running["a"].process.returncode == 0
        assert pair.count("a", "released the lease") == 1
        assert (await lease(kube))["leaseTransitions"] == 1
        names.append(await submit(pair.stack.api_url, until_told(tmp_path / "marks"), name="late"))
        await assert_all_ran_once(pair, kube, tmp_path / "marks", names)


async def test_a_leader_that_is_killed_is_followed_when_its_lease_has_ended(pair: Operators, tmp_path: Path) -> None:
    async with await pair.stack.client() as kube:
        names = await submit_some(pair, kube, tmp_path / "marks")
        await pair.running["a"].kill()
        names.append(await submit(pair.stack.api_url, until_told(tmp_path / "marks"), name="late"))
        await pair.until(lambda: pair.leads("b"), TTL + 10)
        await assert_all_ran_once(pair, kube, tmp_path / "marks", names)
        await pair.start("a")
        await pair.until(lambda: pair.count("a", f"standing by: {holder_of(pair.lines['b'])} leads") == 1)


async def test_a_leader_that_slept_past_its_lease_wakes_as_a_standby(pair: Operators, tmp_path: Path) -> None:
    async with await pair.stack.client() as kube:
        names = await submit_some(pair, kube, tmp_path / "marks")
        pair.running["a"].process.send_signal(signal.SIGSTOP)
        await pair.until(lambda: pair.leads("b"), TTL + 10)
        names.append(await submit(pair.stack.api_url, until_told(tmp_path / "marks"), name="while-it-slept"))
        await assert_all_ran_once(pair, kube, tmp_path / "marks", names)
        reconciles = reconciled((await probe(pair.health["b"], "/metrics"))[1])
        pair.running["a"].process.send_signal(signal.SIGCONT)
        await pair.until(lambda: pair.count("a", f"standing by: {holder_of(pair.lines['b'])} leads") == 1)
        await assert_all_ran_once(pair, kube, tmp_path / "marks", names)
        assert pair.count("a", "no longer leading") == 1
        assert pair.leads("b")
        assert (await lease(kube))["holderIdentity"] == holder_of(pair.lines["b"])
        assert reconciles
        # And back again.
        await pair.running["b"].stop()
        await pair.until(lambda: pair.leads("a"), 5)


def reconciled(metrics: str) -> bool:
    return 'jennah_reconciles_total{result="ok"}' in metrics


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
async def test_kubectl_shows_who_leads(pair: Operators) -> None:
    process = await asyncio.create_subprocess_exec(
        *("kubectl", "--kubeconfig", str(pair.stack.kubeconfig), "get", "lease", "jennah-controller"),
        stdout=asyncio.subprocess.PIPE,
        env=dict(os.environ),
    )
    output, _ = await process.communicate()
    head, row = output.decode().splitlines()
    assert head.split() == ["NAME", "HOLDER", "AGE"]
    assert row.split()[:2] == ["jennah-controller", holder_of(pair.lines["a"])]
