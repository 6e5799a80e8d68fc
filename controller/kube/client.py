"""A thin client over ``kubernetes.aio``: its configuration and connection pool, plain JSON in and out.

The generated API classes build models of every object; at thousands of writes a second that is the larger
part of the work, and custom resources have no model anyway. Used by `kube.resources` and by the API's gateway.
Errors are ours (`domain.errors`); every call has a time limit.
"""

import asyncio
import json
import os
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
import msgspec
from kubernetes.aio import client as kube
from kubernetes.aio import config as kube_config

from controller.domain.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    JennahError,
    NotFound,
    Throttled,
    Unavailable,
)
from controller.kube import fresh_token

METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
MERGE_PATCH = "application/merge-patch+json"
TIMEOUT_SECONDS = 8.0
"""Of one call; shorter than the leader's lease, so that no call of a lost leadership outlives it."""
RETRY_AFTER_MOST_SECONDS = 60.0
"""No server's wish for a pause is followed for longer."""
UNSERVED = "is the JennahJob CRD installed? kubectl apply -f crds/"

Object = dict[str, Any]
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


async def load_configuration() -> kube.Configuration:
    """KUBECONFIG or ~/.kube/config where there is one, else the pod's own service account.

    Raises Unavailable where there is neither.
    """
    configuration = kube.Configuration()
    path = _kubeconfig()
    try:
        if path is not None:
            loader = await kube_config.load_kube_config(config_file=path, client_configuration=configuration)
            fresh_token.keep_fresh(configuration, loader)
        else:
            kube_config.load_incluster_config(client_configuration=configuration)
    except (kube_config.ConfigException, OSError) as error:
        raise Unavailable(
            f"no Kubernetes configuration: KUBECONFIG is not usable and this is no pod ({error})"
        ) from error
    configuration.connection_pool_maxsize = 64
    return configuration


def _kubeconfig() -> str | None:
    """KUBECONFIG (one path, or several as kubectl takes them), else the user's own file where it exists."""
    home = Path("~/.kube/config").expanduser()
    return os.environ.get("KUBECONFIG") or (str(home) if home.exists() else None)


class KubeClient:
    """One connection pool to one API server. Use as ``async with KubeClient(configuration) as client``."""

    def __init__(self, configuration: kube.Configuration) -> None:
        self._configuration = configuration
        self._session: aiohttp.ClientSession | None = None
        self._options: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def get(self, path: str, **query: str) -> Object:
        return await self.call("GET", path, query=query)

    async def get_metadata(self, path: str, *, limit: int, token: str = "") -> Object:
        """A page of a list, of each object the metadata alone. `token`: that of the page before, ``continue``."""
        query = {"limit": str(limit), **({"continue": token} if token else {})}
        return await self.call("GET", path, query=query, accept=METADATA_LIST)

    async def post(self, path: str, body: Object) -> Object:
        return await self.call("POST", path, body=body)

    async def merge_patch(self, path: str, patch: Mapping[str, object]) -> Object:
        return await self.call("PATCH", path, body=dict(patch), content_type=MERGE_PATCH)

    async def delete(self, path: str, *, uid: str | None = None) -> Object:
        """Delete what is at the path; with `uid` only that very object. Raises NotFound, Conflict (another uid)."""
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        return await self.call("DELETE", path, body=options)

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Object | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
        accept: str = "application/json",
    ) -> Object:
        """One call. Raises NotFound, AlreadyExists, Conflict, Invalid, Throttled, Forbidden or Unavailable."""
        url = self._configuration.host + path
        if query:
            url += "?" + urlencode(query)
        headers = {"Accept": accept, "Content-Type": content_type, "User-Agent": "jennah-controller"}
        data = None if body is None else _encode(body)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                token = await self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
                if token:
                    headers["Authorization"] = token
                session = self._session or self._open()
                async with session.request(method, url, headers=headers, data=data, **self._options) as response:
                    data = await response.read()
        except (aiohttp.ClientError, kube_config.ConfigException, TimeoutError, OSError, ssl.SSLError) as error:
            # Without the path: an outage reads the same for every object, and is told once.
            raise Unavailable(f"Kubernetes API: {type(error).__name__}: {error}".rstrip(": ")) from error
        if 200 <= response.status < 300:
            try:
                result: Object = msgspec.json.decode(data)
            except ValueError as error:
                raise Unavailable(f"Kubernetes API: {method} {path}: the reply is no JSON") from error
            return result
        raise _error(method, path, response.status, data, response.headers.get("Retry-After"))

    def _open(self) -> aiohttp.ClientSession:
        """The connection pool; made by the first call, within its event loop."""
        configuration = self._configuration
        self._session = open_session(configuration, limit=configuration.connection_pool_maxsize)
        options = {
            "server_hostname": configuration.tls_server_name,
            "proxy": configuration.proxy,
            "proxy_headers": configuration.proxy_headers,
        }
        self._options = {name: value for name, value in options.items() if value}
        return self._session


def open_session(
    configuration: kube.Configuration,
    *,
    limit: int,
    headers: Mapping[str, str] | None = None,
    proxy: str | None = None,
    traces: Sequence[aiohttp.TraceConfig] = (),
) -> aiohttp.ClientSession:
    """A session with that API server's TLS, for at most so many connections (0: any number), without time limits."""
    rest = kube.rest.RESTClientObject(configuration)  # for its TLS alone
    # aiohttp reads ~/.netrc and the proxies of the environment anew for every request, and keeps cookies that
    # no API server sets: together a tenth of a call's CPU, so only where a proxy is set at all.
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=limit, ssl=rest.ssl_context),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers,
        proxy=proxy,
        timeout=aiohttp.ClientTimeout(),  # none: the call's own is around it
        trust_env=any(os.environ.get(name) for name in _PROXIES),
        read_bufsize=2**21,  # as kubernetes.aio: lists are long
        trace_configs=list(traces),
    )


def _encode(body: Object) -> bytes:
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:  # half a character, in the message of some service: escaped, as Kubernetes takes it
        return json.dumps(body).encode()


def _error(method: str, path: str, status: int, data: bytes, retry_after: str | None) -> JennahError:
    """Our error for a reply: by the Status object's reason where two share an HTTP code."""
    reason, message, named = _status_of(data)
    text = f"Kubernetes API: {method} {path}: {status} {reason}: {message}"
    if status == 404:
        # Only of what is named: that the CRD is not served (now) says of no object that it is gone.
        return NotFound(text) if named else Unavailable(f"Kubernetes API: 404: {message or reason}; {UNSERVED}")
    if status == 409:
        return AlreadyExists(text) if reason == "AlreadyExists" else Conflict(text)
    if status in (400, 422):
        return Invalid(message or text)
    if status == 403:
        return Forbidden(text)
    outage = f"Kubernetes API: {status} {reason}: {message}"  # as where nothing answers: without the path
    if status == 429 or retry_after:
        delay = float(retry_after) if retry_after and retry_after.isdecimal() else 1.0
        return Throttled(outage, delay=min(delay, RETRY_AFTER_MOST_SECONDS))
    if status == 401 or status >= 500:
        return Unavailable(outage)  # a 401 heals as well: the token is renewed
    return JennahError(text)


def _status_of(data: bytes) -> tuple[str, str, bool]:
    """The reason and message of a Status object, and whether it names the object that it is about."""
    try:
        body = json.loads(data)
        named = bool((body.get("details") or {}).get("name"))
        return str(body.get("reason", "")), str(body.get("message", "")), named
    except (ValueError, AttributeError):
        return "", data[:200].decode("utf-8", "replace").strip(), False
