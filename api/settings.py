"""The settings of ``jennah api``, from the environment (contract §3 and ours), all checked before anything starts."""

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from api import tls
from api.auth.settings import AuthSettings, read_auth
from controller import proxies
from controller.domain.errors import ConfigError
from controller.settings import PROVIDERS, CommonSettings, read_api_namespace, read_common, read_watch_namespaces
from controller.variables import Environment

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|[0-9a-f:.]*:[0-9a-f:.]*")
_ORIGIN = re.compile(r"https?://[^/\s,*]+")


class ApiSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that ``jennah api`` can be told."""

    common: CommonSettings
    host: str = "0.0.0.0"  # noqa: S104 - as the original; the Gateway is another machine
    """WORKER_HOST: the address to listen on."""
    port: int = 8081
    """WORKER_PORT."""
    metrics_port: int = 0
    """METRICS_PORT: /metrics, and nothing else; 0 means none. Never the port above, which callers reach."""
    metrics_host: str = "0.0.0.0"  # noqa: S104
    """METRICS_HOST: its address; that of WORKER_HOST by default."""
    provider: str = ""
    """BATCH_PROVIDER, as the operator has it: requests that name no provider are checked by its rules; "" for none."""
    namespace: str = "default"
    """JENNAH_NAMESPACE: where the API creates jobs."""
    watch_namespaces: tuple[str, ...] = ()
    """WATCH_NAMESPACES: whose jobs are shown, beside those of `namespace`; empty means all."""
    cancel_wait_seconds: float = 5.0
    """CANCEL_WAIT_SECONDS: how long CancelJob waits for the job's end."""
    job_ttl_seconds: int = 0
    """JOB_TTL_SECONDS: the ttlSecondsAfterFinished of jobs that the API creates; 0 gives them none."""
    max_request_bytes: int = 4 * 1024 * 1024
    """MAX_REQUEST_BYTES: of one request, inflated."""
    stop_delay_seconds: float = 5.0
    """STOP_DELAY_SECONDS: between SIGTERM and closing the port, for the load balancer to see /health say no."""
    stop_grace_seconds: float = 30.0
    """STOP_GRACE_SECONDS: for the requests that are in flight when the port closes."""
    auth: AuthSettings = AuthSettings()
    """Who may call, for which tenants."""
    tls_files: tuple[Path, Path] | None = None
    """API_TLS_CERT_FILE and API_TLS_KEY_FILE: the certificate of the port, with those that lead to its authority, and
    its key; None: no TLS."""
    allowed_hosts: tuple[str, ...] = ()
    """ALLOWED_HOSTS: comma-separated names that the header Host may have, beside this machine's own. Without them an
    API that listens on loopback answers to this machine's own names alone, any other one to all."""
    allowed_origins: tuple[str, ...] = ()
    """ALLOWED_ORIGINS: comma-separated origins whose pages may call (CORS); "*" for all, empty for none."""


def read_api(variables: Mapping[str, str] | None = None) -> ApiSettings:
    """The API's settings. Raises ConfigError with every fault."""
    env = Environment(variables)
    namespace = read_api_namespace(env)
    host = env.text("WORKER_HOST", "0.0.0.0")  # noqa: S104
    settings = ApiSettings(
        common=read_common(env),
        host=host,
        port=env.integer("WORKER_PORT", 8081, least=0, most=65535),
        metrics_port=env.integer("METRICS_PORT", 0, least=0, most=65535),
        metrics_host=env.text("METRICS_HOST", host),
        provider=env.choice("BATCH_PROVIDER", PROVIDERS, ""),
        namespace=namespace,
        watch_namespaces=read_watch_namespaces(env),
        cancel_wait_seconds=env.number("CANCEL_WAIT_SECONDS", 5, least=0, most=25),
        job_ttl_seconds=env.integer("JOB_TTL_SECONDS", 0, least=0, most=10 * 365 * 86400),
        max_request_bytes=env.integer("MAX_REQUEST_BYTES", 4 * 1024 * 1024, least=1024, most=64 * 1024 * 1024),
        stop_delay_seconds=env.number("STOP_DELAY_SECONDS", 5, least=0, most=300),
        stop_grace_seconds=env.number("STOP_GRACE_SECONDS", 30, least=0, most=300),
        auth=read_auth(env),
        tls_files=_tls_files(env),
        allowed_hosts=_hosts(env),
        allowed_origins=_origins(env),
    )
    if settings.port and settings.metrics_port == settings.port:
        env.faults.append("METRICS_PORT is WORKER_PORT: metrics have a port of their own, which callers need not reach")
    is_meant = env.flag("JENNAH_ALLOW_REMOTE_SHELL")
    if settings.provider == "local" and not proxies.is_loopback(host) and not is_meant:
        # Jobs of the local provider are commands that run as its user.
        env.faults.append(
            f"WORKER_HOST={host!r} with BATCH_PROVIDER=local: anybody who reaches that address can run commands here; "
            "listen on 127.0.0.1, or set JENNAH_ALLOW_REMOTE_SHELL=true"
        )
    env.done()
    return settings


def _tls_files(env: Environment) -> tuple[Path, Path] | None:
    cert, key = env.text("API_TLS_CERT_FILE", ""), env.text("API_TLS_KEY_FILE", "")
    if not cert and not key:
        return None
    if not cert or not key:
        env.faults.append("API_TLS_CERT_FILE and API_TLS_KEY_FILE go together: one of them is not set")
        return None
    try:
        tls.read(Path(cert), Path(key))
    except ConfigError as error:
        env.faults += error.faults
    return Path(cert), Path(key)


def _hosts(env: Environment) -> tuple[str, ...]:
    hosts = tuple(h.strip().lower() for h in env.text("ALLOWED_HOSTS", "").split(",") if h.strip())
    for host in hosts:
        if not _HOST.fullmatch(host):
            env.check("ALLOWED_HOSTS", f"{host!r} is not the name of a host, without a port")
    return hosts


def _origins(env: Environment) -> tuple[str, ...]:
    origins = tuple(o.strip() for o in env.text("ALLOWED_ORIGINS", "").split(",") if o.strip())
    for origin in origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            env.check("ALLOWED_ORIGINS", f"{origin!r} is not an origin such as https://jennah.example.com")
    return origins
