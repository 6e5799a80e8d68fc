"""Whether a database is on another machine: ``make run`` wants a word before it writes there."""

from collections.abc import Iterator, Mapping
from urllib.parse import parse_qs, unquote, urlsplit

from controller import proxies

ALLOWED = "JENNAH_ALLOW_REMOTE_DATABASE"


def fault(variables: Mapping[str, str]) -> str:
    """Why the database of these settings may not be written to by ``make run``; "" where it may."""
    kind = variables.get("DB_PROVIDER", "").strip() or "sqlite"
    if variables.get(ALLOWED, "").strip().lower() in ("true", "1"):
        return ""
    elsewhere = next((host for host in _hosts(kind, variables) if not _is_here(host)), None)
    if elsewhere is None:
        return ""
    return (
        f"DB_PROVIDER={kind}: the database ({elsewhere}) is not on this machine, and `make run` would write its jobs "
        f"there; say {ALLOWED}=true if you mean that"
    )


def _hosts(kind: str, variables: Mapping[str, str]) -> Iterator[str]:
    """Where the database may be; a name of the service where no host is set."""
    endpoint = variables.get("DB_ENDPOINT", "").strip()
    match kind:
        case "postgres":
            yield from _postgres_hosts(endpoint, variables)
        case "cosmosdb":
            yield _host(endpoint) or "Azure Cosmos DB"
        case "dynamodb":
            yield _host(endpoint) or "Amazon DynamoDB"
        case "spanner":
            emulator = variables.get("SPANNER_EMULATOR_HOST", "").removeprefix("http://")
            yield _host(f"//{emulator}") or "Cloud Spanner"


def _postgres_hosts(url: str, variables: Mapping[str, str]) -> Iterator[str]:
    """As libpq finds them: of the URL, several with commas between, of its options, and of libpq's own variables."""
    _, _, rest = url.partition("://")
    authority, _, query = rest.partition("?")
    named = authority.partition("/")[0].rpartition("@")[2]
    options = {name: values[-1] for name, values in parse_qs(query).items()}
    hosts = options.get("host") or named
    service = options.get("service") or ("" if hosts else variables.get("PGSERVICE", ""))
    if service:
        yield f"service {service}"
    address = options.get("hostaddr") or variables.get("PGHOSTADDR", "")
    for one in f"{hosts or variables.get('PGHOST', '')},{address}".split(","):
        if one:
            yield _host(f"//{one}") if one.startswith("[") or one.count(":") == 1 else unquote(one)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return url


def _is_here(host: str) -> bool:
    return host.startswith(("/", "@")) or proxies.is_loopback(host)
