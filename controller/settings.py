"""Settings from the environment: read here and nowhere else, all of them checked before anything starts.

The names are the original worker's (contract §3). A fault is one line that names the variable; all faults
are reported together, and the program ends with exit code 2.
"""

import socket
from collections.abc import Mapping
from pathlib import Path

import msgspec

from controller.cloud_settings import (
    AwsSettings,
    AzureSettings,
    GcpSettings,
    KubernetesSettings,
    read_aws,
    read_azure,
    read_gcp,
    read_kubernetes,
)
from controller.domain import names
from controller.domain.resources import Profiles
from controller.lease_settings import LeaseSettings, read_lease, read_own_namespace
from controller.variables import Environment

PROVIDERS = ("gcp", "aws", "azure", "kubernetes", "local")
DATABASES = ("spanner", "dynamodb", "postgres", "cosmosdb", "sqlite")


CloudSettings = GcpSettings | AwsSettings | AzureSettings | KubernetesSettings | None


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the record is kept."""

    kind: str
    """DB_PROVIDER: one of `DATABASES`."""
    redact_env: bool = True
    """DB_REDACT_ENV: the record keeps, and the API shows, the names of environment variables with empty values. false:
    their values too, as the original does."""
    tombstone_ttl_seconds: int = 30 * 86400
    """TOMBSTONE_TTL_SECONDS: how long the record remembers which jobs were deleted; 0: not at all. Longer than backups
    of etcd are kept."""
    endpoint: str = ""
    """DB_ENDPOINT: sqlite: the file's path; postgres: URL; cosmosdb: the account's URL; dynamodb: only for emulators.

    It may hold a password: never log it.
    """
    project: str = ""
    """DB_PROJECT_ID: spanner."""
    instance: str = ""
    """DB_INSTANCE: spanner."""
    database: str = ""
    """DB_DATABASE: spanner and cosmosdb: the database; dynamodb: the table."""
    region: str = ""
    """DB_REGION: dynamodb."""
    key: str = ""
    """DB_KEY: cosmosdb: the account's key; empty means the default Azure credentials. Never log it."""

    def __repr__(self) -> str:
        return f"DatabaseSettings({self.kind})"


class CommonSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator and the API both need."""

    worker_id: str
    """WORKER_ID: this replica's identity; the host name by default."""
    data_dir: Path
    """JENNAH_DATA_DIR: state of the local provider and SQLite; .jennah by default."""
    database: DatabaseSettings
    profiles: Profiles
    """JOB_CONFIG_PATH: resource profiles; the built-in ones by default."""
    log_format: str
    """LOG_FORMAT: text or json."""
    log_level: str
    """LOG_LEVEL: debug, info, warning or error."""


class OperatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of ``jennah operator``."""

    common: CommonSettings
    provider: str
    """BATCH_PROVIDER: which service jobs go to unless their spec says otherwise."""
    region: str
    """BATCH_REGION: the service's region; "local" for the local provider, "cluster" for Kubernetes."""
    cloud: CloudSettings
    """What the chosen cloud needs; None for the local provider."""
    lease: LeaseSettings
    """What operators elect their leader by."""
    watch_namespaces: tuple[str, ...]
    """WATCH_NAMESPACES: comma-separated; empty means all."""
    default_service_account: str = ""
    """DEFAULT_SERVICE_ACCOUNT: what jobs run as that name no serviceAccount, unless their JennahTenant says otherwise;
    empty leaves it to the service."""
    api_namespace: str
    """JENNAH_NAMESPACE: where the API creates jobs, whose tenants it names; as the API has it."""
    workers: int
    """RECONCILE_WORKERS: how many objects are reconciled at once."""
    observe_min_seconds: float
    """OBSERVE_MIN_SECONDS: the observation interval while jobs move."""
    observe_max_seconds: float
    """OBSERVE_MAX_SECONDS: the observation interval while nothing does."""
    missing_grace_seconds: float
    """MISSING_GRACE_SECONDS: how long a job that the service does not know is looked for."""
    submit_settle_seconds: float
    """SUBMIT_SETTLE_SECONDS: from the end of a submission whose outcome is unknown until the service must show its
    job; nothing for the local provider, which shows it at once."""
    duplicate_watch_seconds: float
    """DUPLICATE_WATCH_SECONDS: how long after such a submission its duplicates are looked for (AWS only). A signed
    request is good for five minutes there, so a shorter time can miss one."""
    ends_orphans: bool
    """ORPHANS: whether a cloud job whose object is gone is ended (cancel) or only reported (report)."""
    orphan_sweep_seconds: float
    """ORPHAN_SWEEP_SECONDS: how often such jobs are looked for."""
    unscheduled_after_seconds: float
    """UNSCHEDULED_AFTER_SECONDS: how long a job waits for a machine before the condition Scheduled says why."""
    env_wait_seconds: float
    """ENV_WAIT_SECONDS: how long a job waits for the Secrets and ConfigMaps it refers to."""
    health_port: int
    """HEALTH_PORT: /livez, /readyz and /metrics of the operator; 0 means none."""


def read_common(env: Environment) -> CommonSettings:
    """The common part; faults stay in `env`."""
    data_dir = read_data_dir(env)
    return CommonSettings(
        worker_id=env.text("WORKER_ID", socket.gethostname()),
        data_dir=data_dir,
        database=read_database(env, data_dir),
        profiles=_profiles(env),
        log_format=env.choice("LOG_FORMAT", ("text", "json"), "text"),
        log_level=env.choice("LOG_LEVEL", ("debug", "info", "warning", "error"), "info"),
    )


def read_data_dir(env: Environment) -> Path:
    """JENNAH_DATA_DIR, as `CommonSettings.data_dir` says."""
    return Path(env.text("JENNAH_DATA_DIR", ".jennah"))


def read_database(env: Environment, data_dir: Path) -> DatabaseSettings:
    """What the chosen database needs, and nothing that another would."""
    kind = env.choice("DB_PROVIDER", DATABASES)
    settings = DatabaseSettings(
        kind=kind,
        redact_env=env.flag("DB_REDACT_ENV", default=True),
        tombstone_ttl_seconds=env.integer("TOMBSTONE_TTL_SECONDS", 30 * 86400, least=0, most=10 * 365 * 86400),
    )
    found: dict[str, str] = {}
    match kind:
        case "sqlite":
            found["endpoint"] = env.text("DB_ENDPOINT", str(data_dir / "jennah.db")).removeprefix("sqlite://")
        case "postgres":
            found["endpoint"] = env.text("DB_ENDPOINT")
            if found["endpoint"] and not found["endpoint"].startswith(("postgres://", "postgresql://")):
                env.faults.append("DB_ENDPOINT is no PostgreSQL URL: postgresql://user:password@host:5432/database")
        case "spanner":
            found["project"] = env.text("DB_PROJECT_ID")
            found["instance"] = env.text("DB_INSTANCE")
            found["database"] = env.text("DB_DATABASE")
        case "dynamodb":
            found["region"] = env.text("DB_REGION")
            found["database"] = env.text("DB_DATABASE", "jennah")
            found["endpoint"] = env.text("DB_ENDPOINT", "")
        case "cosmosdb":
            found["endpoint"] = env.text("DB_ENDPOINT")
            found["database"] = env.text("DB_DATABASE", "jennah")
            found["key"] = env.text("DB_KEY", "")
            if found["endpoint"] and not found["endpoint"].startswith(("https://", "http://")):
                env.faults.append("DB_ENDPOINT is no Cosmos DB endpoint: https://account.documents.azure.com:443/")
    return msgspec.structs.replace(settings, **found)


def read_operator(variables: Mapping[str, str] | None = None) -> OperatorSettings:
    """The operator's settings. Raises ConfigError with every fault."""
    env = Environment(variables)
    common = read_common(env)
    provider = env.choice("BATCH_PROVIDER", PROVIDERS)
    allow_local(env, provider)
    namespaces = read_watch_namespaces(env)
    api_namespace = read_api_namespace(env)
    region = read_region(env, provider)
    settings = OperatorSettings(
        common=common,
        provider=provider,
        region=region,
        cloud=read_cloud(env, provider, region, namespaces),
        lease=read_lease(env),
        watch_namespaces=namespaces,
        default_service_account=_default_service_account(env, provider),
        api_namespace=api_namespace,
        workers=env.integer("RECONCILE_WORKERS", 32, least=1, most=1024),
        observe_min_seconds=env.number("OBSERVE_MIN_SECONDS", _default_observe_min(provider), least=0.05, most=3600),
        observe_max_seconds=env.number("OBSERVE_MAX_SECONDS", _default_observe_max(provider), least=0.05, most=3600),
        missing_grace_seconds=env.number("MISSING_GRACE_SECONDS", 300, least=0, most=86400),
        submit_settle_seconds=env.number("SUBMIT_SETTLE_SECONDS", 30, least=0, most=3600),
        duplicate_watch_seconds=env.number("DUPLICATE_WATCH_SECONDS", 330, least=0, most=86400),
        ends_orphans=_ends_orphans(env, provider),
        orphan_sweep_seconds=env.number("ORPHAN_SWEEP_SECONDS", 300, least=1, most=86400),
        unscheduled_after_seconds=env.number("UNSCHEDULED_AFTER_SECONDS", 120, least=0, most=86400),
        env_wait_seconds=env.number("ENV_WAIT_SECONDS", 60, least=5, most=3600),
        health_port=env.integer("HEALTH_PORT", 0, least=0, most=65535),
    )
    if settings.observe_min_seconds > settings.observe_max_seconds:
        env.faults.append("OBSERVE_MIN_SECONDS is greater than OBSERVE_MAX_SECONDS")
    env.done()
    return settings


def read_region(env: Environment, provider: str) -> str:
    """BATCH_REGION, as `OperatorSettings.region` says."""
    return env.text("BATCH_REGION", {"local": "local", "kubernetes": "cluster"}.get(provider))


def allow_local(env: Environment, provider: str) -> None:
    """Note a fault where jobs would run as local processes and nothing says that this is meant."""
    if provider == "local" and not env.flag("JENNAH_ALLOW_LOCAL_PROVIDER"):
        env.faults.append(
            "BATCH_PROVIDER=local runs jobs as processes beside the controller and is only for trying Jennah out; "
            "set JENNAH_ALLOW_LOCAL_PROVIDER=true if you mean it"
        )


def read_cloud(
    env: Environment, provider: str, region: str, namespaces: tuple[str, ...], *, takes_new_jobs: bool = True
) -> CloudSettings:
    """What that provider needs; faults stay in `env`. A place of earlier settings takes no new jobs."""
    match provider:
        case "gcp":
            return read_gcp(env, region)
        case "aws":
            return read_aws(env, region, takes_new_jobs=takes_new_jobs)
        case "azure":
            return read_azure(env, region, takes_new_jobs=takes_new_jobs)
        case "kubernetes":
            own = read_own_namespace(env)
            return read_kubernetes(env, region, namespaces, own_namespace=own, takes_new_jobs=takes_new_jobs)
        case _:
            return None


def read_api_namespace(env: Environment) -> str:
    """JENNAH_NAMESPACE: the API creates jobs in it, and the operator knows it for that."""
    namespace = env.text("JENNAH_NAMESPACE", "default")
    env.check("JENNAH_NAMESPACE", names.namespace_fault(namespace))
    return namespace


def read_watch_namespaces(env: Environment) -> tuple[str, ...]:
    """WATCH_NAMESPACES: whose JennahJobs the operator runs and the API shows; none means all."""
    namespaces = tuple(n.strip() for n in env.text("WATCH_NAMESPACES", "").split(",") if n.strip())
    for namespace in namespaces:
        env.check("WATCH_NAMESPACES", names.namespace_fault(namespace))
    return namespaces


def read_for_migration(variables: Mapping[str, str] | None = None) -> CommonSettings:
    """The settings of ``jennah migrate``. Raises ConfigError with every fault."""
    env = Environment(variables)
    common = read_common(env)
    env.done()
    return common


def _default_service_account(env: Environment, provider: str) -> str:
    account = env.text("DEFAULT_SERVICE_ACCOUNT", "")
    if account and provider in ("azure", "local"):
        fault = f"is for Google Cloud, AWS and Kubernetes: jobs of {provider} have no identity"
        env.check("DEFAULT_SERVICE_ACCOUNT", fault)
    return account


def read_profiles(variables: Mapping[str, str] | None = None) -> Profiles:
    """JOB_CONFIG_PATH alone. Raises ConfigError."""
    env = Environment(variables)
    found = _profiles(env)
    env.done()
    return found


def _ends_orphans(env: Environment, provider: str) -> bool:
    ends = env.choice("ORPHANS", ("report", "cancel"), "report") == "cancel"
    if ends and provider != "local" and not env.text("JENNAH_INSTANCE", ""):
        env.faults.append(
            "ORPHANS=cancel needs JENNAH_INSTANCE: a name that no other installation in the project or account has, "
            "or its jobs would be ended"
        )
    return ends


def _default_observe_min(provider: str) -> float:
    # The local provider reads files, Kubernetes is watched: looking is free. A cloud's list calls are not.
    return {"local": 0.2, "kubernetes": 0.1}.get(provider, 5)


def _default_observe_max(provider: str) -> float:
    return 2 if provider == "local" else 30


def _profiles(env: Environment) -> Profiles:
    path = env.text("JOB_CONFIG_PATH", "")
    if not path:
        return Profiles()
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=Profiles)
    except OSError as error:
        env.faults.append(f"JOB_CONFIG_PATH={path!r} cannot be read: {error.strerror}")
    except msgspec.MsgspecError as error:
        env.faults.append(f"JOB_CONFIG_PATH={path!r} is not a profile file: {error}")
    return Profiles()
