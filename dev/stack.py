"""The whole system on one machine: API server, operator and API (and a cloud's stand-in) as processes of one stack.

The operator and the API are the very programs of a real installation (``jennah operator``, ``jennah api``);
only what they connect to is local. State is kept in JENNAH_DATA_DIR (.jennah).
"""

import asyncio
import contextlib
import fcntl
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from controller.domain.errors import AlreadyExists, Throttled
from controller.kube import paths
from controller.kube.client import KubeClient, load_configuration
from dev import remote
from dev.emulators import clouds
from dev.processes import Child, ProcessFailed

ROOT = Path(__file__).resolve().parent.parent
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_OWN_PORTS = range(10_000, 32_768)
"""Below those that systems give to outgoing connections."""
_TRIES = 100


class StackError(Exception):
    """The stack cannot run here; the message says what to do about it."""


class Stack:
    """The processes and where they are. `on_line` gets each line that they write."""

    def __init__(
        self,
        data_dir: Path,
        *,
        api_port: int,
        kube_port: int,
        on_line: Callable[[str], None] = print,
        env: Mapping[str, str] | None = None,
        kubeapi_options: Sequence[str] = (),
    ) -> None:
        self.data_dir = data_dir
        self.api_port = api_port
        self.kube_port = kube_port
        self.kubeconfig = data_dir / "kubeconfig"
        self.database = data_dir / "jennah.db"
        self._on_line = on_line
        self._env = dict(env or {})
        self._kubeapi_options = kubeapi_options
        self.kubeapi: Child | None = None
        self.cloud: Child | None = None
        self._cloud_env: dict[str, str] = {}
        self.operator: Child | None = None
        self.api: Child | None = None

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def env(self) -> dict[str, str]:
        """The environment of the operator and the API; what is set from outside goes before what we choose."""
        mine = {
            "BATCH_PROVIDER": "local",
            "JENNAH_ALLOW_LOCAL_PROVIDER": "true",
            "DB_PROVIDER": "sqlite",
            "WORKER_HOST": "127.0.0.1",
            "STOP_DELAY_SECONDS": "0",  # no load balancer in front
            "STOP_GRACE_SECONDS": "2",
            # A killed operator's successor waits for the end of its lease.
            "WORKER_LEASE_TTL_SECONDS": "3",
            "WORKER_CLAIM_INTERVAL_SECONDS": "0.5",
            **self._cloud_env,
        }
        outside = {name: os.environ[name] for name in mine if os.environ.get(name)}
        fixed = {
            "JENNAH_DATA_DIR": str(self.data_dir),
            "KUBECONFIG": str(self.kubeconfig),
            "WORKER_PORT": str(self.api_port),
        }
        return {**mine, **outside, **fixed, **self._env}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Stack"]:
        """The stack while the block runs; its processes are ended in order afterwards."""
        try:
            with _only_one(self.data_dir):
                try:
                    await self.start_kubeapi()
                    await self.start_cloud()
                    await self.start_operator()
                    await self.start_api()
                    yield self
                finally:
                    await self.stop()
        except ProcessFailed as error:
            raise StackError(str(error)) from error

    async def start_kubeapi(self) -> None:
        _check_port(self.kube_port, "KUBE_API_PORT")
        arguments = ["-m", "dev.kubeapi", "--port", str(self.kube_port), "--data-dir", str(self.data_dir)]
        arguments += self._kubeapi_options

        def faults_only(line: str) -> None:
            if not line.startswith(("kubeconfig:", "ready:")):
                self._on_line(line)

        self.kubeapi = await self._start("kubeapi", arguments, "ready:", faults_only)
        await self._install_crds()

    async def start_cloud(self) -> None:
        """The stand-in of the chosen cloud, unless the environment points at another."""
        stand_in = clouds.STAND_INS.get(self.env["BATCH_PROVIDER"])
        if stand_in is None or os.environ.get(stand_in.endpoint_variable):
            return
        own = ["--port", str(free_port(0))] if stand_in.is_service else ["--kubeconfig", str(self.kubeconfig)]
        arguments = ["-m", stand_in.module, "--control-port", str(free_port(0)), *own]
        ready: list[str] = []

        def on_line(line: str) -> None:
            (ready if line.startswith("ready:") else []).append(line)
            self._on_line(line)

        self.cloud = await self._start(self.env["BATCH_PROVIDER"], arguments, "ready:", on_line)
        self._cloud_env = stand_in.settings(ready[0])

    async def start_operator(self) -> None:
        self.operator = await self._start("operator", ["-m", "api.cli", "operator"], "Watching JennahJobs")

    async def start_api(self) -> None:
        _check_port(self.api_port, "WORKER_PORT")
        self.api = await self._start("api", ["-m", "api.cli", "api"], "Worker listening on")

    async def stop(self) -> None:
        """First what takes new work, last what the others need. Running jobs go on."""
        for child in (self.api, self.operator, self.cloud, self.kubeapi):
            if child is not None:
                await child.stop()

    async def wait(self) -> Child:
        """The first process that ends by itself."""
        children = [child for child in (self.kubeapi, self.cloud, self.operator, self.api) if child is not None]
        waits = {asyncio.create_task(child.wait()): child for child in children}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return waits[done.pop()]
        finally:
            for task in waits:
                task.cancel()

    async def _start(
        self, name: str, arguments: list[str], ready_text: str, on_line: Callable[[str], None] | None = None
    ) -> Child:
        return await Child.start(name, arguments, env=self.env, on_line=on_line or self._on_line, ready_text=ready_text)

    async def client(self) -> KubeClient:
        """A client of this stack's API server; the caller closes it."""
        return KubeClient(await load_configuration(str(self.kubeconfig)))

    async def _install_crds(self) -> None:
        async with await self.client() as client:
            for path in sorted((ROOT / "crds").glob("*.yaml")):
                crd = yaml.safe_load(path.read_text())
                try:
                    await client.post(_CRDS, crd)
                except AlreadyExists:
                    await client.merge_patch(f"{_CRDS}/{crd['metadata']['name']}", {"spec": crd["spec"]})
            for kind in (paths.jobs(), paths.tenants()):
                with contextlib.suppress(
                    Throttled
                ):  # the first list of a kind comes too early: ours, not the programs'
                    await client.get(kind, limit="1")


@contextlib.contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    """One stack a data directory: two would work on the same jobs."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "stack.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(f"another stack runs in {data_dir}; stop it, or set JENNAH_DATA_DIR") from None
        yield


def _check_port(port: int, variable: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise StackError(f"port {port} is in use; choose another with {variable}") from None


def free_port(preferred: int) -> int:
    """That port, or a free one where it is taken: none that outgoing connections use, so a server that is restarted
    finds it free again."""
    for port in (*([preferred] if preferred else []), *random.sample(_OWN_PORTS, _TRIES)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StackError("no free port")


def port_from_environment(variable: str, default: int) -> int:
    """The port that the user chose, else the default. Raises StackError for what is no port."""
    text = os.environ.get(variable, "") or str(default)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise StackError(f"{variable}={text!r} is not a port")
    return int(text)


async def run() -> int:
    """``make run``: the stack until Ctrl-C, or until one of its processes ends."""
    if fault := remote.fault(os.environ):
        raise StackError(fault)
    stack = Stack(
        Path(os.environ.get("JENNAH_DATA_DIR", "") or ".jennah"),
        api_port=port_from_environment("WORKER_PORT", 8081),
        kube_port=port_from_environment("KUBE_API_PORT", 6443),
        on_line=lambda line: print(line, flush=True),
    )
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with stack.running():
        print(
            f"Endpoints:\n"
            f"  API         {stack.api_url}/jennah.v1.DeploymentService/<Method>\n"
            f"  health      {stack.api_url}/health\n"
            f"  Kubernetes  https://127.0.0.1:{stack.kube_port}\n"
            f"export KUBECONFIG={stack.kubeconfig}",
            flush=True,
        )
        ended = asyncio.create_task(stack.wait())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait((ended, stopped), return_when=asyncio.FIRST_COMPLETED)
        for task in (ended, stopped):
            task.cancel()
        if not stop.is_set():
            print(f"{ended.result().name} ended by itself; stopping the others", file=sys.stderr)
            return 1
        after = (
            "the stand-in forgets its jobs"
            if stack.cloud and stack.env["BATCH_PROVIDER"] != "kubernetes"
            else "jobs that are running go on, the next start picks them up"
        )
        print(f"Stopping; {after}", flush=True)
    return 0
