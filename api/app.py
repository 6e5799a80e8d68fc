"""The aiohttp application: every part put together, nothing started. Called by `main`, the tests and the dev stack."""

import logging
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from aiohttp import hdrs, http_exceptions, web

from api.admission import Admission
from api.auth import making
from api.connect.endpoint import Endpoint
from api.cors import Cors
from api.hosts import KnownHosts
from api.jobs import Jobs
from api.objects import JobObjects
from api.probes import Probes
from api.recording import SubmissionRecorder
from api.rows import Rows
from api.secrets import EnvSecrets
from api.service import PATH, DeploymentService
from api.settings import ApiSettings
from api.submissions import Submissions
from api.tenancy import Tenancy
from controller.kube.client import KubeClient
from controller.kube.tenants import TenantPolicies
from controller.ports import Clock, JobStore
from controller.stores.writer import GroupWriter

PROBES = web.AppKey("probes", Probes)

IDLE_SECONDS: Final = 3630.0
"""How long a connection may wait for its next request. Longer than any caller keeps one (Go 90 s, Google's load
balancers 600 s, Envoy an hour): who closes first must be the caller, else a request of his may meet the closing. Go
repeats no POST that met it, and the original never closed."""


def create_app(
    *,
    client: KubeClient,
    store: JobStore,
    settings: ApiSettings,
    clock: Clock,
    new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
) -> web.Application:
    """The API over those collaborators, which stay their owner's to close. Raises ConfigError.

    Serve it by `make_runner` only: aiohttp must leave compressed bodies alone.
    """
    common = settings.common
    rows = Rows(profiles=common.profiles, clock=clock, redact_env=common.database.redact_env)
    tenancy = Tenancy(client, clock, own_namespace=settings.namespace)
    objects = JobObjects(
        client, namespace=settings.namespace, watch_namespaces=settings.watch_namespaces, tenancy=tenancy
    )
    writer = GroupWriter(store)
    recorder = SubmissionRecorder(writer, clock, objects.is_wanted)
    secrets = EnvSecrets(client, namespace=settings.namespace)
    submissions = Submissions(
        objects=objects,
        secrets=secrets,
        store=store,
        recorder=recorder,
        rows=rows,
        clock=clock,
        admit=Admission(TenantPolicies(client, clock), common.profiles).check,
    )
    service = DeploymentService(
        submissions=submissions,
        jobs=Jobs(
            objects=objects,
            store=store,
            recorder=recorder,
            rows=rows,
            clock=clock,
            cancel_wait_seconds=settings.cancel_wait_seconds,
        ),
        store=store,
        rows=rows,
        profiles=common.profiles,
        worker_id=common.worker_id,
        job_ttl_seconds=settings.job_ttl_seconds,
        provider=settings.provider,
        new_id=new_id,
    )
    hosts = KnownHosts(settings.host, settings.allowed_hosts)
    gate = making.make(settings.auth, hosts=hosts, client=client, clock=clock)
    endpoint = Endpoint(PATH, service.methods(), max_bytes=settings.max_request_bytes, admit=gate.admit)
    probes = Probes({"kubernetes": objects.check, "database": lambda: store.get_tenant("readyz")})
    cors = Cors(settings.allowed_origins, endpoint.handle)
    return _application(cors, endpoint.paths, probes, (submissions, recorder, writer, gate))


def make_runner(app: web.Application, *, grace_seconds: float = 30.0) -> web.AppRunner:
    """A runner for the application. On its cleanup, requests in flight get `grace_seconds`."""
    return web.AppRunner(
        app,
        access_log=None,
        logger=_server_log(),
        auto_decompress=False,  # the endpoint inflates bodies itself, up to its limit
        shutdown_timeout=grace_seconds,
        keepalive_timeout=IDLE_SECONDS,
    )


def _server_log() -> logging.Logger:
    """aiohttp's log without what callers do wrong below HTTP: they are told, and anybody could fill our log."""
    log = logging.getLogger("api.http")
    log.addFilter(_is_our_fault)
    return log


def _is_our_fault(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, http_exceptions.HttpProcessingError)


class Closable(Protocol):
    """A part with work of its own."""

    async def close(self) -> None: ...


def _application(cors: Cors, paths: Iterable[str], probes: Probes, parts: Sequence[Closable]) -> web.Application:
    """`parts` are closed in their order, when the last request has ended."""
    app = web.Application()
    app[PROBES] = probes
    app.router.add_get("/health", probes.health)
    app.router.add_get("/livez", probes.livez)
    app.router.add_get("/readyz", probes.readyz)
    for path in paths:
        app.router.add_route("*", path, cors.handle)  # found at once; the next one is tried last, as a pattern
    app.router.add_route("*", "/{path:.*}", cors.handle)

    async def say_goodbye(_: web.Request, response: web.StreamResponse) -> None:
        """Callers that keep their connections go to another replica, before the port closes. As Go's server does."""
        if probes.is_stopping:
            response.force_close()
            response.headers[hdrs.CONNECTION] = "close"  # by now aiohttp itself would not say it

    async def close(_: web.Application) -> None:
        for part in parts:
            await part.close()

    app.on_response_prepare.append(say_goodbye)
    app.on_cleanup.append(close)
    return app
