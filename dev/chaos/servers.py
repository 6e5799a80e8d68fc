"""What the members connect to: the Kubernetes API, the cloud's stand-in, the database. They can be restarted."""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
import yaml

from controller.domain.errors import AlreadyExists
from controller.kube.client import KubeClient, load_configuration
from controller.providers.kubernetes import labels
from controller.stores.postgres_schema import PostgresMigrations
from dev import namespaces, postgres
from dev.chaos import restores
from dev.chaos.plan import Plan
from dev.emulators import clouds
from dev.emulators.faults import Faults
from dev.emulators.kubernetes import detection
from dev.kubeapi import backups
from dev.processes import Child
from dev.stack import Stack, free_port


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
        self._copies = 0
        self.namespace = f"chaos-{plan.seed}"
        self.restored = restores.Restored()
        """What was lost and came back when Kubernetes was restored."""

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
    def cloud_address(self) -> tuple[str, int] | None:
        """None where jobs are in the operators' own cluster: what reaches that reaches them."""
        if not self._stand_in.is_service:
            return None
        host, _, port = clouds.endpoint(self._cloud_line).rpartition("/")[2].rpartition(":")
        return host, int(port)

    def cloud_settings(self, port: int) -> dict[str, str]:
        """The operator's settings for the stand-in, behind a proxy at that port."""
        own = clouds.endpoint(self._cloud_line)
        through = own.replace(own.rpartition("/")[2], f"127.0.0.1:{port}")
        return {**self._stand_in.settings(self._cloud_line), self._stand_in.endpoint_variable: through}

    @property
    def is_cloud_known_by_url(self) -> bool:
        return self._stand_in.is_known_by_url

    def alternatives(self) -> list[dict[str, str]]:
        """Settings that send new jobs somewhere else; the first, none, are those that all operators begin with."""
        found = [dict(one) for one in ({}, *self._stand_in.alternatives)]
        if not self._stand_in.is_service:
            found.append({"KUBERNETES_JOB_NAMESPACE": self._other_namespace})
        return [*found, {"JENNAH_INSTANCE": f"{self.namespace}-b"}]

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

    @property
    def can_restore_kube(self) -> bool:
        """Where it is the service as well, what ran there would be forgotten with the rest."""
        return self._stack is not None and self._stand_in.is_service

    async def copy_kube(self) -> Path:
        """What is on its disk now; it is paused for that moment."""
        assert self._stack is not None
        assert self._stack.kubeapi is not None
        self._copies += 1
        copy, pid = self._folder / f"copy-{self._copies}", self._stack.kubeapi.process.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            while _state(pid) != "T":
                await asyncio.sleep(0.001)
            backups.save(self._stack.data_dir, copy)
        finally:
            os.kill(pid, signal.SIGCONT)
        return copy

    async def restore_kube(self, copy: Path) -> None:
        """Put that copy back, while nobody works with Kubernetes."""
        assert self._stack is not None
        await self.stop_kube(gracefully=True)
        last = restores.read(self._stack.data_dir, self.namespace)
        self.restored.add(restores.read(copy, self.namespace), last, time.time())
        backups.restore(self._stack.data_dir, copy)
        shutil.rmtree(copy)
        await self.start_kube()

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

        arguments = ["-m", self._stand_in.module, *await self._cloud_arguments()]
        child = await Child.start(self._plan.provider, arguments, env={}, on_line=on_line, ready_text="ready:")
        try:
            self._cloud_line = ready[0]
            await self.set_faults(self._plan.faults)
            yield
        finally:
            await child.stop()

    async def _cloud_arguments(self) -> list[str]:
        if self._stand_in.is_service:
            return ["--seed", str(self._plan.seed)]
        own = ["--kubeconfig", str(self._kubeconfig)]
        if self._stack is not None:
            return [*own, "--backoff-seconds", "0.2"]  # a cluster's ten seconds would only make runs longer
        async with KubeClient(await load_configuration(str(self._kubeconfig))) as client:
            told = ["--nodes-only"] if await detection.has_controllers(client) else []
        return [*own, *told, "--selector", f"{labels.INSTANCE}={self.namespace}"]

    @contextlib.asynccontextmanager
    async def _in_namespace(self) -> AsyncIterator[None]:
        async with KubeClient(await load_configuration(str(self._kubeconfig))) as client:
            self._client = client
            for namespace in (self.namespace, self._other_namespace):
                with contextlib.suppress(AlreadyExists):
                    await client.post(namespaces.PATH, {"metadata": {"name": namespace}})
            try:
                yield
            finally:
                if self._stack is None:
                    for namespace in (self.namespace, self._other_namespace):
                        await namespaces.remove(client, namespace)

    @property
    def _other_namespace(self) -> str:
        """Where Jobs can be made instead."""
        return f"{self.namespace}-jobs"

    def _read_kubeconfig(self) -> dict[str, Any]:
        config: dict[str, Any] = yaml.safe_load(Path(str(self._kubeconfig)).read_text())
        return config

    def _cluster(self, config: Mapping[str, Any]) -> dict[str, Any]:
        context = next(one["context"] for one in config["contexts"] if one["name"] == config["current-context"])
        cluster: dict[str, Any] = next(one for one in config["clusters"] if one["name"] == context["cluster"])[
            "cluster"
        ]
        return cluster


def _state(pid: int) -> str:
    """The letter of /proc: T means that it is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def new_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for one run."""
    return tempfile.TemporaryDirectory(prefix="jennah-chaos-")
