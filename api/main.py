"""The composition root of ``jennah api``: settings → Kubernetes and database → aiohttp, until SIGTERM or SIGINT."""

import asyncio
import contextlib
import logging
import ssl

from aiohttp import web

from api import metrics, tls
from api.app import PROBES, create_app, make_runner
from api.service import PATH
from api.settings import ApiSettings
from controller import databases, health, open_files
from controller.clock import SystemClock
from controller.kube.client import KubeClient, load_configuration
from controller.ports import Clock
from controller.startup import collect_less_often, patiently, say, stop_on_signals

LOG = logging.getLogger(__name__)

BACKLOG = 1024


async def run(settings: ApiSettings) -> None:
    """Serve until SIGTERM or SIGINT. Raises Unavailable without a Kubernetes configuration, ConfigError, OSError."""
    open_files.prepare()
    clock, stop = SystemClock(), asyncio.Event()
    stop_on_signals(stop)
    tls_context = _tls_context(settings, clock)
    tell_who_may_call(settings)
    async with contextlib.AsyncExitStack() as stack:
        told = health.exposing(metrics.REGISTRY, settings.metrics_port, host=settings.metrics_host)
        await stack.enter_async_context(told)
        store = databases.make_store(settings.common.database)
        # Meanwhile the probes are answered: a database that is down makes us not ready, not dead.
        async with health.serving(settings.port, lambda: False, host=settings.host, tls=tls_context):
            if not await patiently(store.open, clock=clock, stop=stop):
                return
        stack.push_async_callback(store.close)
        LOG.info("connected to %s", databases.name_of(settings.common.database))
        client = await stack.enter_async_context(KubeClient(await load_configuration()))
        app = create_app(client=client, store=store, settings=settings, clock=clock)
        collect_less_often()
        await serve(app, settings, clock=clock, stop=stop, tls_context=tls_context)
    LOG.info("stopped")


def _tls_context(settings: ApiSettings, clock: Clock) -> ssl.SSLContext | None:
    if settings.tls_files is None:
        return None
    return tls.server_context(*settings.tls_files, clock, metrics.RELOAD_FAILING.labels(tls.CERT_VARIABLE).set)


def tell_who_may_call(settings: ApiSettings) -> None:
    """That anybody may call is never silent: a line in the log, and a metric for as long as it is so."""
    is_anybody = not settings.auth.kinds
    metrics.AUTHENTICATION_DISABLED.set(is_anybody)
    if is_anybody:
        LOG.warning("API_AUTH=none: anybody who reaches %s:%d may act for every tenant", settings.host, settings.port)


async def serve(
    app: web.Application,
    settings: ApiSettings,
    *,
    clock: Clock,
    stop: asyncio.Event,
    tls_context: ssl.SSLContext | None = None,
) -> None:
    """Serve until `stop` is set, then let load balancers see it, then let requests in flight end."""
    runner = make_runner(app, grace_seconds=settings.stop_grace_seconds)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port, backlog=BACKLOG, ssl_context=tls_context)
        await site.start()
        port = runner.addresses[0][1]
        say(f"ConnectRPC handler registered at path: {PATH}")
        say("Health check endpoint: /health")
        say(f"Worker listening on {settings.host}:{port}")
        await stop.wait()
        LOG.info("stopping: requests in flight get %g s", settings.stop_grace_seconds)
        app[PROBES].is_stopping = True
        await clock.sleep(settings.stop_delay_seconds)
    finally:
        await runner.cleanup()
