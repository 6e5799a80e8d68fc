"""What the members connect to: the Kubernetes API, the cloud's stand-in, the database. They can be restarted."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
import yaml

from controller.domain.errors import AlreadyExists, NotFound
from controller.kube.client import KubeClient, load_configuration
from controller.stores.postgres_schema import PostgresMigrations
from dev import postgres
from dev.chaos.plan import Plan
from dev.emulators import clouds
from dev.emulators.faults import Faults
from dev.processes import Child
from dev.stack import Stack, free_port

NAMESPACES = "/api/v1/namespaces"


class Servers:
    """Use as ``async with Servers(...).running()``."""

    def __init__(self, plan: Plan, folder: Path, kubeconfig: Path | None = None) -> None:
        """`kubeconfig`: of a real cluster to be used, with the CRD installed; else an in-memory API server is run."""
        self._plan = plan
        self._folder = folder
        self._kubeconfig = kubeconfig
        self._stand_in = clouds.STAND_INS[plan.provider]
        self._stack: Stack | None = None
        self._postgres: postgres.Server | None = None
        self._cloud_line = ""
        self.namespace = f"chaos-{plan.seed}"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Servers"]:
        async with contextlib.AsyncExitStack() as stack:
            if self._kubeconfig is None:
                self._stack = Stack(
                    self._folder, api_port=free_port(0), kube_port=free_port(0), on_line=lambda line: None
                )
                stack.push_async_callback(self._stack.stop)
                await self._stack.start_kubeapi()
                self._kubeconfig = self._stack.kubeconfig
            binaries = postgres.find_binaries()
            if binaries is None:
                raise RuntimeError(postgres.HOW_TO_GET)
            self._postgres = await asyncio.to_thread(postgres.Server, binaries)
            stack.callback(self._postgres.stop)
            await asyncio.to_thread(self._postgres.start)
            migrations = PostgresMigrations(self.database_url())
            await migrations.apply()
            await migrations.close()
            await stack.enter_async_context(self._cloud())
            await stack.enter_async_context(self._in_namespace())
            yield self

    # --- where they are --------------------------------------------------------------------------------

    def client(self) -> KubeClient:
        """A direct client of the API server, for the harness itself; the caller closes it."""
        return self._client

    @property
    def kube_address(self) -> tuple[str, int]:
        server = urlsplit(str(self._cluster(self._read_kubeconfig())["server"]))
        return server.hostname or "", server.port or 443

    def kubeconfig_through(self, port: int, path: Path) -> Path:
        """A kubeconfig like that of the cluster, for a proxy at that port of loopback."""
        config = self._read_kubeconfig()
        cluster, host = self._cluster(config), self.kube_address[0]
        cluster["server"] = f"https://127.0.0.1:{port}"
        if host not in ("127.0.0.1", "localhost"):
            # Its certificate does not name us. Only for clusters that chaos may be let loose on.
            cluster.pop("certificate-authority-data", None)
            cluster.pop("certificate-authority", None)
            cluster["insecure-skip-tls-verify"] = True
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(config))
        return path

    @property
    def cloud_address(self) -> tuple[str, int]:
        if not self._stand_in.is_service:
            return self.kube_address
        host, _, port = clouds.endpoint(self._cloud_line).rpartition("/")[2].rpartition(":")
        return host, int(port)

    def cloud_settings(self, port: int) -> dict[str, str]:
        """The operator's settings for the stand-in, behind a proxy at that port."""
        own = clouds.endpoint(self._cloud_line)
        if self._stand_in.is_service:
            through = own.replace(":".join(map(str, self.cloud_address)), f"127.0.0.1:{port}")
        else:
            through = str(self.kubeconfig_through(port, self._folder / f"kubeconfig-jobs-{port}"))
        return {**self._stand_in.settings(self._cloud_line), self._stand_in.endpoint_variable: through}

    @property
    def cloud_control(self) -> str:
        """The side door, host:port."""
        return clouds.control(self._cloud_line)

    @property
    def database_address(self) -> tuple[str, int]:
        assert self._postgres is not None
        return "127.0.0.1", self._postgres.port

    def database_url(self, port: int | None = None) -> str:
        assert self._postgres is not None
        return self._postgres.url(port=port)

    # --- what can be done to them ----------------------------------------------------------------------

    @property
    def can_restart_kube(self) -> bool:
        return self._stack is not None

    async def stop_kube(self, *, gracefully: bool) -> None:
        assert self._stack is not None
        assert self._stack.kubeapi is not None
        await (self._stack.kubeapi.stop() if gracefully else self._stack.kubeapi.kill())

    async def start_kube(self) -> None:
        assert self._stack is not None
        await self._stack.start_kubeapi()

    async def crash_database(self) -> None:
        assert self._postgres is not None
        await asyncio.to_thread(self._postgres.halt)

    async def start_database(self) -> None:
        assert self._postgres is not None
        await asyncio.to_thread(self._postgres.start)

    async def set_faults(self, faults: Faults) -> None:
        """Of the cloud, where its stand-in is the service."""
        if not self._stand_in.is_service:
            return
        url = f"http://{self.cloud_control}/faults"
        async with aiohttp.ClientSession() as http, http.put(url, data=msgspec.json.encode(faults)) as response:
            response.raise_for_status()

    # --- small helpers ---------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _cloud(self) -> AsyncIterator[None]:
        ready: list[str] = []

        def on_line(line: str) -> None:
            if line.startswith("ready:"):
                ready.append(line)

        own = ["--seed", str(self._plan.seed)] if self._stand_in.is_service else ["--kubeconfig", str(self._kubeconfig)]
        arguments = ["-m", self._stand_in.module, *own]
        child = await Child.start(self._plan.provider, arguments, env={}, on_line=on_line, ready_text="ready:")
        try:
            self._cloud_line = ready[0]
            await self.set_faults(self._plan.faults)
            yield
        finally:
            await child.stop()

    @contextlib.asynccontextmanager
    async def _in_namespace(self) -> AsyncIterator[None]:
        async with KubeClient(await load_configuration(str(self._kubeconfig))) as client:
            self._client = client
            with contextlib.suppress(AlreadyExists):
                await client.post(NAMESPACES, {"metadata": {"name": self.namespace}})
            try:
                yield
            finally:
                if self._stack is None:
                    with contextlib.suppress(NotFound):
                        await client.delete(f"{NAMESPACES}/{self.namespace}")

    def _read_kubeconfig(self) -> dict[str, Any]:
        config: dict[str, Any] = yaml.safe_load(Path(str(self._kubeconfig)).read_text())
        return config

    def _cluster(self, config: Mapping[str, Any]) -> dict[str, Any]:
        context = next(one["context"] for one in config["contexts"] if one["name"] == config["current-context"])
        cluster: dict[str, Any] = next(one for one in config["clusters"] if one["name"] == context["cluster"])[
            "cluster"
        ]
        return cluster


def new_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for one run."""
    return tempfile.TemporaryDirectory(prefix="jennah-chaos-")
