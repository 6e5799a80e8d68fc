"""KubeApiServer: the whole server in one object, for `python -m dev.kubeapi` and to embed in a process."""

import asyncio
import base64
import contextlib
import math
import secrets
import socket
from pathlib import Path

import yaml
from aiohttp import web

from . import certs, crds, custom_kinds, kinds
from .access import setup
from .access.audit import AuditLog
from .access.rbac import AllowAll, Rbac
from .access.tokens import ServiceAccountTokens
from .admission import WriteOptions
from .cleanup import Cleanup
from .cost import Cost
from .database import InUse
from .handlers import Handler
from .resources import Registry
from .store import Store
from .writes import Writer

HOST = "127.0.0.1"
HISTORY_LIMIT = 20_000
_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_SHUTDOWN_SECONDS = 0.5


class KubeApiServer:
    """Start it, use `url`, `token`, `ca` or `kubeconfig`, stop it. What it holds is in `data_dir`."""

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int = 0,
        token: str = "",
        history_limit: int = HISTORY_LIMIT,
        has_rbac: bool = False,
        audit_log: Path | None = None,
        has_controllers: bool = True,
        cpu_per_write: float = 0.0,
        watches_end_within: float = math.inf,
    ) -> None:
        """`port` 0 takes a free one; without a `token` one is made and kept in `data_dir`.

        `token` may do everything. Service accounts' tokens may as well, but with `has_rbac` only what roles grant.
        `history_limit` is how many changes of each kind watches can at least go back. `audit_log` gets a JSON line
        for each request. Without controllers nobody collects garbage, empties namespaces or makes service accounts.
        `cpu_per_write`, milliseconds: see `cost`. `watches_end_within`: each watch ends at any time in so many seconds.
        """
        self._data_dir = data_dir
        self.port = port
        self.token = token
        self.ca = b""
        self._history_limit = history_limit
        self._has_rbac = has_rbac
        self._audit_log = audit_log
        self._has_controllers = has_controllers
        self._cpu_per_write = cpu_per_write
        self._watches_end_within = watches_end_within
        self._audit: AuditLog | None = None
        self._store: Store | None = None
        self._runner: web.ServerRunner | None = None
        self._cleanup: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    @property
    def kubeconfig(self) -> Path:
        return self._data_dir / "kubeconfig"

    async def start(self) -> None:
        """Raises OSError where the port is taken, database.InUse where the directory is."""
        self._data_dir.mkdir(parents=True, exist_ok=True)
        context, self.ca = certs.server_context(self._data_dir)
        self.token = self.token or self._kept_token()
        self._audit = AuditLog(self._audit_log) if self._audit_log is not None else None
        listener = socket.create_server((HOST, self.port), backlog=512)
        try:
            store = Store(self._data_dir / "objects.db", history_limit=self._history_limit)
        except InUse:
            listener.close()
            raise
        self._store = store
        registry = Registry(kinds.built_in())
        _load(store, registry)
        custom_kinds.CustomKinds(store, registry)
        cleanup = Cleanup(store, registry, has_controllers=self._has_controllers)
        _ensure_namespaces(store, registry)
        if self._has_rbac:
            setup.install(store, registry, has_accounts=self._has_controllers)
        self._cleanup = asyncio.create_task(cleanup.run(), name="kubeapi-cleanup")
        # Watches hear of a client that leaves by being cancelled; writes never wait half done.
        handler = Handler(
            store,
            registry,
            token=self.token,
            tokens=ServiceAccountTokens(store, self._data_dir / "service-accounts.key"),
            authorizer=Rbac(store) if self._has_rbac else AllowAll(),
            audit=self._audit,
            watches_end_within=self._watches_end_within,
        )
        answer = Cost(handler, milliseconds=self._cpu_per_write) if self._cpu_per_write else handler
        server = web.Server(answer, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECONDS)
        await self._runner.setup()
        self.port = listener.getsockname()[1]
        self._write_kubeconfig()
        await web.SockSite(self._runner, listener, ssl_context=context).start()

    async def stop(self) -> None:
        if self._store is not None:
            self._store.end_watches()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._cleanup is not None:
            self._cleanup.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._cleanup
        if self._store is not None:
            self._store.close()
        if self._audit is not None:
            self._audit.close()

    def _kept_token(self) -> str:
        path = self._data_dir / "token"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(24))
        return path.read_text().strip()

    def _write_kubeconfig(self) -> None:
        cluster = {"server": self.url, "certificate-authority-data": base64.b64encode(self.ca).decode()}
        context = {"cluster": "jennah", "user": "jennah", "namespace": "default"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "jennah", "cluster": cluster}],
            "users": [{"name": "jennah", "user": {"token": self.token}}],
            "contexts": [{"name": "jennah", "context": context}],
            "current-context": "jennah",
        }
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(yaml.safe_dump(config, sort_keys=False))


def _load(store: Store, registry: Registry) -> None:
    definitions = registry.of_storage(crds.STORAGE)
    assert definitions is not None
    # CRDs come first: they say which fields of their objects can be selected by.
    store.load(crds.STORAGE, definitions.fields_of)
    for stored in store.objects(crds.STORAGE):
        registry.set_crd(stored.name, crds.resources_of(stored.load()))
    for storage in store.stored_resources():
        resource = registry.of_storage(storage)
        if resource is not None and storage != crds.STORAGE:
            store.load(storage, resource.fields_of)


def _ensure_namespaces(store: Store, registry: Registry) -> None:
    namespaces = registry.of_storage("namespaces")
    assert namespaces is not None
    writer = Writer(store, registry)
    for name in _NAMESPACES:
        if store.get("namespaces", ("", name)) is None:
            writer.create(namespaces, "", {"metadata": {"name": name}}, WriteOptions())
