"""Which proxy the way to a server leads through, by the rules of kubectl and Helm (Go's ``net/http``).

HTTPS_PROXY is for https and HTTP_PROXY for http, each in lower case too; NO_PROXY has hosts, domains, networks and
ports. Loopback addresses are never sent to a proxy. ALL_PROXY is not used.

Libraries read the variables by rules of their own: `settle` makes them come to the same, `agree` does so for a server
that the settings name. Where we make the connection ourselves, the library is told the answer of `for_url`.
"""

import ipaddress
import os
from collections.abc import MutableMapping
from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1", "[::1]")
_UNUSED = ("ALL_PROXY", "all_proxy")


def settle(variables: MutableMapping[str, str] = os.environ) -> None:
    """Write the variables so that each library reads the same in them. Called once, before any connection is made."""
    for name in _UNUSED:
        variables.pop(name, None)
    for name in ("HTTPS_PROXY", "HTTP_PROXY"):
        _set(variables, name, _proxy(_read(variables, name)))
    if _is_any_set(variables):
        _except(variables, *LOOPBACK)


def agree(url: str | None, variables: MutableMapping[str, str] = os.environ) -> None:
    """Let libraries reach that server directly where `for_url` does: they know neither networks nor 127.0.0.2."""
    host, _ = _host_and_port(url or "")
    if host and _is_any_set(variables) and for_url(url or "", variables) is None:
        _except(variables, *((host, f"[{host}]") if ":" in host else (host,)))


def for_url(url: str, variables: MutableMapping[str, str] = os.environ) -> str | None:
    """The URL of the proxy for that http or https URL; None: none."""
    host, port = _host_and_port(url)
    proxy = _proxy(_read(variables, "HTTPS_PROXY" if url.startswith("https:") else "HTTP_PROXY"))
    if not proxy or not host or is_loopback(host):
        return None
    entries = _read(variables, "NO_PROXY").lower().split(",")
    return None if any(_matches(entry.strip(), host, port) for entry in entries) else proxy


def for_grpc(target: str, variables: MutableMapping[str, str] = os.environ) -> tuple[tuple[str, str | int], ...]:
    """The options of a gRPC channel to that host or host:port: the library reads lower case alone."""
    proxy = for_url(f"https://{target}", variables)
    return (("grpc.enable_http_proxy", 0),) if proxy is None else (("grpc.http_proxy", proxy),)


def _host_and_port(url: str) -> tuple[str, str]:
    """Both are "" for what is no URL: that is for the client to tell."""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "").rstrip("."), str(parts.port or (443 if parts.scheme == "https" else 80))
    except ValueError:
        return "", ""


def _matches(entry: str, host: str, port: str) -> bool:
    """Whether that entry of NO_PROXY is meant for the host and port."""
    if entry == "*":
        return True
    address = _address(host)
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    if _address(entry.strip("[]")) is None and ":" in entry:
        entry, _, wanted = entry.rpartition(":")
        if wanted != port:
            return False
    entry = entry.strip("[]")
    if address is not None:
        return _address(entry) == address
    domain = entry.removeprefix("*").removeprefix(".")
    is_itself = entry == domain and host == domain
    return bool(domain) and (is_itself or host.endswith(f".{domain}"))


def is_loopback(host: str) -> bool:
    """Whether that name or address is this machine's own: ``localhost``, 127.0.0.0/8 or ::1."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _proxy(value: str) -> str:
    return f"http://{value}" if value and "://" not in value else value


def _is_any_set(variables: MutableMapping[str, str]) -> bool:
    return any(_read(variables, name) for name in ("HTTPS_PROXY", "HTTP_PROXY"))


def _read(variables: MutableMapping[str, str], name: str) -> str:
    return (variables.get(name) or variables.get(name.lower()) or "").strip()


def _except(variables: MutableMapping[str, str], *hosts: str) -> None:
    known = [entry for entry in _read(variables, "NO_PROXY").split(",") if entry]
    _set(variables, "NO_PROXY", ",".join((*known, *(host for host in hosts if host not in known))))


def _set(variables: MutableMapping[str, str], name: str, value: str) -> None:
    for spelling in (name, name.lower()):
        if value:
            variables[spelling] = value
        else:
            variables.pop(spelling, None)
