"""One installation to be measured: an API server with the CRD, a database, and the programs, each a process of its own.

The API server is the in-memory one, made anew for each run, or that of a kubeconfig, where a namespace is made for the
run and removed at its end.
"""

import asyncio
import contextlib
import re
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from controller import databases
from controller.domain.phases import Phase
from controller.kube import paths
from controller.kube.client import KubeClient
from controller.settings import DatabaseSettings
from dev import namespaces, postgres
from dev.bench import instant, usage
from dev.processes import Child
from dev.stack import Stack, free_port

TENANT = "bench"
DATABASES = ("sqlite", "postgres")
LEASE = {"WORKER_LEASE_TTL_SECONDS": "15", "WORKER_CLAIM_INTERVAL_SECONDS": "2"}
"""As in production; the stack's are short."""
_SAMPLE = re.compile(r"^(jennah_[^ ]+) (\S+)$", re.MULTILINE)
_CLOUD_CALLS = re.compile(r'jennah_provider_calls_total\{method="(\w+)",')
_CALLS = re.compile(r'jennah_kubernetes_calls_total\{method="(\w+)",')


class Installation:
    """Use as ``async with installation(...)``."""

    def __init__(self, stack: Stack, namespace: str, database: DatabaseSettings) -> None:
        self.namespace = namespace
        self.health_port = free_port(0)
        self.control_port = free_port(0)
        self.lines: list[str] = []
        """What the operator has printed."""
        self._stack = stack
        self._database = database
        self._children: list[Child] = []
        self.kube: KubeClient

    @property
    def api_port(self) -> int:
        return self._stack.api_port

    @property
    def kubeconfig(self) -> Path:
        return self._stack.kubeconfig

    @property
    def api_pid(self) -> int:
        assert self._stack.api is not None
        return self._stack.api.process.pid

    @property
    def server_pid(self) -> int | None:
        """The in-memory API server's; None where it is another one."""
        return self._stack.kubeapi.process.pid if self._stack.kubeapi else None

    async def start_api(self) -> None:
        await self._stack.start_api()

    async def start_operator(self, settings: Mapping[str, str], *, run_seconds: float = 0.0) -> Child:
        """The operator on `InstantProvider`; it returns once it watches."""
        env = {
            **self._stack.env,
            "BATCH_PROVIDER": instant.NAME,
            "BATCH_REGION": instant.REGION,
            "BATCH_PROJECT_ID": "bench",
            "WATCH_NAMESPACES": self.namespace,
            **LEASE,
            "HEALTH_PORT": str(self.health_port),
            "BENCH_CONTROL_PORT": str(self.control_port),
            "BENCH_RUN_SECONDS": str(run_seconds),
            **settings,
        }
        return await self._start("operator", ["dev.bench.operator"], env, "Watching JennahJobs")

    async def start_real_operator(self, settings: Mapping[str, str]) -> Child:
        """``jennah operator``, with that cloud's settings among `settings`; it returns once it watches."""
        env = {
            **self._stack.env,
            "WATCH_NAMESPACES": self.namespace,
            **LEASE,
            "HEALTH_PORT": str(self.health_port),
            **settings,
        }
        return await self._start("operator", ["api.cli", "operator"], env, "Watching JennahJobs")

    async def start_peer(self) -> Child:
        """`dev.bench.plain_kopf` in place of the operator."""
        env = {**self._stack.env, "WATCH_NAMESPACES": self.namespace}
        return await self._start("plain kopf", ["dev.bench.plain_kopf"], env, "plain kopf starts")

    async def _start(self, name: str, module: Sequence[str], env: Mapping[str, str], ready_text: str) -> Child:
        """A program that ends with the installation."""
        child = await Child.start(
            name, ["-m", *module], env=env, on_line=self.lines.append, ready_text=ready_text, seconds=600.0
        )
        self._children.append(child)
        return child

    async def stop(self) -> None:
        for child in reversed(self._children):
            await child.stop()

    # --- what became of the jobs -----------------------------------------------------------------------

    async def version(self) -> int:
        """The resourceVersion that Kubernetes is at: each write of any object raises it by one."""
        found = await self.kube.get(paths.jobs(self.namespace), limit="1")
        return int(found["metadata"]["resourceVersion"])

    async def provider_stats(self) -> dict[str, Any]:
        """What the operator's provider was asked, and when each job came to it (``GET /stats``)."""
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{self.control_port}/stats") as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def cloud_calls(self) -> dict[str, int]:
        """The calls to the cloud that the adapter of a real operator has made, by method."""
        calls: dict[str, int] = {}
        for name, value in (await self.operator_metrics()).items():
            if found := _CLOUD_CALLS.match(name):
                calls[found[1]] = calls.get(found[1], 0) + int(value)
        return calls

    async def end_at_cloud(self, external_names: list[str]) -> float:
        """Have those jobs complete at the cloud; when they did, by the wall clock."""
        url = f"http://127.0.0.1:{self.control_port}/end"
        async with aiohttp.ClientSession() as http, http.post(url, json=external_names) as answer:
            answer.raise_for_status()
            return float(await answer.text())

    async def operator_metrics(self) -> dict[str, float]:
        """What the operator tells Prometheus, by name and labels."""
        url = f"http://127.0.0.1:{self.health_port}/metrics"
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            return {name: float(value) for name, value in _SAMPLE.findall(await answer.text())}

    async def operator_calls(self) -> dict[str, int]:
        """The operator's calls to Kubernetes, by method; its watch's LIST and WATCH as well."""
        calls: dict[str, int] = {}
        for name, value in (await self.operator_metrics()).items():
            if found := _CALLS.match(name):
                calls[found[1]] = calls.get(found[1], 0) + int(value)
        return calls

    async def completed_in_database(self) -> int:
        """How many jobs the record has as COMPLETED."""
        store = databases.make_store(self._database)
        await store.open()
        try:
            return len((await store.list_jobs(TENANT, status=Phase.COMPLETED)).jobs)
        finally:
            await store.close()


@contextlib.asynccontextmanager
async def installation(
    *, kubeconfig: Path | None = None, database: str = "sqlite", cpu_per_write: float = 0.0, **settings: str
) -> AsyncIterator[Installation]:
    """An API server and a database, no program yet. `settings`: for the programs.

    `cpu_per_write`: the in-memory API server's, in milliseconds (`dev.kubeapi.cost`).
    """
    async with contextlib.AsyncExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="jennah-bench-")))
        record = await exits.enter_async_context(_database(database, folder))
        namespace = "default" if kubeconfig is None else f"jennah-bench-{uuid.uuid4().hex[:8]}"
        env = {
            "DB_PROVIDER": record.kind,
            "DB_ENDPOINT": record.endpoint,
            "JENNAH_NAMESPACE": namespace,
            "LEASE_NAMESPACE": namespace,
            **settings,
        }
        options = ("--cpu-per-write", str(cpu_per_write))
        stack = Stack(
            folder,
            api_port=free_port(0),
            kube_port=free_port(0),
            on_line=lambda line: None,
            env=env,
            kubeapi_options=options,
        )
        exits.push_async_callback(stack.stop)
        if kubeconfig is None:
            await stack.start_kubeapi()
        else:
            stack.kubeconfig = kubeconfig.absolute()
        made = Installation(stack, namespace, record)
        made.kube = await exits.enter_async_context(await stack.client())
        if kubeconfig is not None:
            exits.push_async_callback(namespaces.remove, made.kube, namespace)
            await made.kube.post(namespaces.PATH, {"metadata": {"name": namespace}})
        exits.push_async_callback(made.stop)
        yield made


@contextlib.asynccontextmanager
async def _database(kind: str, folder: Path) -> AsyncIterator[DatabaseSettings]:
    """A new one."""
    if kind == "sqlite":
        yield DatabaseSettings(kind=kind, endpoint=str(folder / "jennah.db"))
        return
    binaries = postgres.find_binaries()
    if binaries is None:
        raise SystemExit(postgres.HOW_TO_GET)
    server = await asyncio.to_thread(postgres.Server, binaries, is_durable=True)
    try:
        await asyncio.to_thread(server.start)
        settings = DatabaseSettings(kind=kind, endpoint=server.url())
        migrations = databases.make_migrations(settings)
        await migrations.apply()
        await migrations.close()
        yield settings
    finally:
        await asyncio.to_thread(server.stop)


class Cpu:
    """The CPU time of processes over a stretch."""

    def __init__(self, **pids: int | None) -> None:
        self._pids = {name: pid for name, pid in pids.items() if pid is not None}
        self._before = {name: usage.cpu_seconds(pid) for name, pid in self._pids.items()}
        self._begun = time.perf_counter()

    def ms_a_job(self, jobs: int) -> dict[str, float]:
        return {
            name: round((usage.cpu_seconds(pid) - self._before[name]) * 1000 / jobs, 2)
            for name, pid in self._pids.items()
        }

    def shares(self) -> dict[str, float]:
        """Of a core."""
        took = time.perf_counter() - self._begun
        return {
            name: round((usage.cpu_seconds(pid) - self._before[name]) / took, 4) for name, pid in self._pids.items()
        }
