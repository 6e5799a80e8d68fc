"""The two programs as local processes: two operators that stand for election together, and the API."""

import asyncio
import signal
from collections.abc import Callable, Mapping

from controller.kube import paths
from controller.kube.client import KubeClient
from dev.processes import Child
from dev.stack import free_port
from tests.cluster.programs import LIMIT_SECONDS, Lease, is_surprise

LEASE_SECONDS = 3
READY = {"operator": "Watching JennahJobs", "api": "Worker listening on"}


class Program:
    """One of our programs, with all that it has printed over its restarts."""

    def __init__(self, name: str, command: str, env: Mapping[str, str]) -> None:
        """`command`: operator or api."""
        self.name = name
        self.port = free_port(0)
        """Of the API itself; of an operator's probes."""
        self.lines: list[str] = []
        self._command = command
        self.env = {**env, "WORKER_PORT": str(self.port), "HEALTH_PORT": str(self.port)}
        self._child: Child | None = None
        self._changed = asyncio.Event()

    async def start(self) -> None:
        """Start it, and wait until it works. Raises ProcessFailed."""

        def on_line(line: str) -> None:
            self.lines.append(line)
            self._changed.set()

        arguments = ["-m", "api.cli", self._command]
        ready = READY[self._command]
        self._child = await Child.start(self.name, arguments, env=self.env, on_line=on_line, ready_text=ready)

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.process.returncode is None

    @property
    def exit_code(self) -> int | None:
        return self._child.process.returncode if self._child else None

    @property
    def identity(self) -> str:
        """As which it led last."""
        said = [line.removeprefix("Leading as ") for line in self.lines if line.startswith("Leading as ")]
        return said[-1] if said else ""

    def count(self, text: str) -> int:
        """How many of its lines have that."""
        return sum(text in line for line in self.lines)

    def signal(self, number: signal.Signals) -> None:
        assert self._child is not None
        self._child.process.send_signal(number)

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL when it takes too long."""
        if self._child is not None and self.is_running:
            self._child.process.send_signal(signal.SIGCONT)
            await self._child.stop()

    async def kill(self) -> None:
        """SIGKILL."""
        assert self._child is not None
        await self._child.kill()

    async def until(self, condition: Callable[[], bool], limit: float = LIMIT_SECONDS) -> None:
        """Until that is so, by what it says."""
        async with asyncio.timeout(limit):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


class LocalPrograms:
    """Operators `a` and `b` and the API of one installation."""

    def __init__(
        self,
        client: KubeClient,
        *,
        operator: Mapping[str, str],
        api: Mapping[str, str],
        lease_namespace: str,
        lease: str,
    ) -> None:
        """`operator`, `api`: their environments."""
        # The same WORKER_ID for both: it is the election that tells them apart.
        settings = {
            **operator,
            "WORKER_ID": "worker",
            # A killed operator's successor waits for the end of its lease.
            "WORKER_LEASE_TTL_SECONDS": str(LEASE_SECONDS),
            "WORKER_CLAIM_INTERVAL_SECONDS": "0.5",
            "LEASE_NAME": lease,
            "LEASE_NAMESPACE": lease_namespace,
        }
        self.operators = [Program(name, "operator", settings) for name in ("a", "b")]
        self.api = Program("api", "api", api)
        self.lease = Lease(client, paths.lease(lease_namespace, lease))

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api.port}"

    @property
    def all(self) -> list[Program]:
        return [*self.operators, self.api]

    async def start(self) -> None:
        """What does not run of them, at once."""
        await asyncio.gather(*(program.start() for program in self.all if not program.is_running))
        await self.leader()

    async def stop(self) -> None:
        await asyncio.gather(*(program.stop() for program in self.all))

    @property
    def has_operator(self) -> bool:
        return any(operator.is_running for operator in self.operators)

    async def holder(self) -> str:
        return await self.lease.holder()

    async def next_holder(self, last: str) -> str:
        return await self.lease.next_holder(last)

    async def kill_leader(self) -> str:
        """SIGKILL."""
        leader = await self.leader()
        await leader.kill()
        return leader.identity

    async def leader(self, *, after: str = "") -> Program:
        """The operator that holds the lease, once one of those that run does; `after`: and that one does no more."""
        if after:
            await self.next_holder(after)
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                holder = await self.holder()
                found = [program for program in self.operators if program.is_running and program.identity == holder]
                if found:
                    return found[0]
                await asyncio.sleep(0.1)

    async def standby(self) -> Program:
        """The other one, which knows that it is not the leader."""
        leader = await self.leader()
        other = next(program for program in self.operators if program is not leader)
        await other.until(lambda: any(leader.identity in line for line in other.lines))
        return other

    async def surprises(self) -> list[str]:
        return [f"{program.name}: {line}" for program in self.all for line in program.lines if is_surprise(line)]
