"""A thin client over ``kubernetes.aio``: its configuration and connection pool, plain JSON in and out.

The generated API classes build models of every object; at thousands of writes a second that is the larger
part of the work, and custom resources have no model anyway. Used by `kube.resources` and by the API's gateway.
Errors are ours (`domain.errors`); every call has a time limit.
"""

import asyncio
import functools
import json
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
import msgspec
from kubernetes.aio import client as kube
from kubernetes.aio import config as kube_config
from yarl import URL

from controller import metrics, permission, proxies
from controller.domain.errors import (
    AlreadyExists,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    JennahError,
    NotFound,
    Throttled,
    Unavailable,
)
from controller.kube import fresh_token, kubeconfigs

METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
TIMEOUT_SECONDS = 8.0
"""Of one call; shorter than the leader's lease, so that no call of a lost leadership outlives it."""
RETRY_AFTER_MOST_SECONDS = 60.0
"""No server's wish for a pause is followed for longer."""
UNSERVED = "is the JennahJob CRD installed? kubectl apply -f crds/"


class Unserved(Unavailable):
    """The API server does not serve that kind (now)."""


Object = dict[str, Any]
_calls = functools.cache(metrics.KUBERNETES_CALLS.labels)
_BROKEN = (aiohttp.ClientError, kube_config.ConfigException, TimeoutError, OSError, ssl.SSLError)
"""What a call can meet beside an answer."""


async def load_configuration(kubeconfig: str = "") -> kube.Configuration:
    """That file; without one KUBECONFIG or ~/.kube/config where there is one, else the pod's own service account.

    Raises Unavailable where there is none of them.
    """
    configuration = kube.Configuration()
    path = kubeconfig or kubeconfigs.path()
    try:
        if path is not None:
            loader = await kube_config.load_kube_config(config_file=path, client_configuration=configuration)
            fresh_token.keep_fresh(configuration, loader)
        else:
            kube_config.load_incluster_config(client_configuration=configuration)
    except Exception as error:  # ConfigException, OSError; YAML's own and TypeError for what is no kubeconfig at all
        raise Unavailable(f"no Kubernetes configuration: {kubeconfigs.fault(path, error)}") from error
    configuration.connection_pool_maxsize = 64
    return configuration


class KubeClient:
    """One connection pool to one API server. Use as ``async with KubeClient(configuration) as client``."""

    def __init__(self, configuration: kube.Configuration, *, connections: int | None = None) -> None:
        """`connections`: at most so many at once, 0 for any number; None: as the configuration has it."""
        self._configuration = configuration
        self._connections = configuration.connection_pool_maxsize if connections is None else connections
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

    async def strategic_patch(self, path: str, patch: Mapping[str, object]) -> Object:
        """A patch of a built-in kind that names items of lists by their key, as of `ownerReferences` by uid."""
        return await self.call("PATCH", path, body=dict(patch), content_type=STRATEGIC_PATCH)

    async def delete(
        self, path: str, *, uid: str | None = None, version: str | None = None, propagation: str = "Background"
    ) -> Object:
        """Delete what is at the path; with `uid` only that very object, with `version` only as it was then.

        Raises NotFound, Conflict (another uid or version).
        """
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        asked = {"uid": uid, "resourceVersion": version}
        preconditions = {name: value for name, value in asked.items() if value is not None}
        if preconditions:
            options["preconditions"] = preconditions
        return await self.call("DELETE", path, body=options)

    async def get_text(self, path: str, *, seconds: float = TIMEOUT_SECONDS, **query: str) -> str:
        """What is no JSON: a pod's log. Errors as in `call`."""
        data = await self._send("GET", path, query=query, accept="*/*", seconds=seconds)
        return data.decode("utf-8", "replace")

    async def read(self, path: str, **query: str) -> bytes:
        """The body as it came, for who decodes it to types of its own. Errors as in `call`."""
        return await self._send("GET", path, query=query)

    async def watch(self, path: str, *, silence: float, **query: str) -> AsyncGenerator[bytes, None]:
        """The events of a watch, one line each, until the server ends it. An empty line first: the watch is open.

        Raises as `call` does, and Unavailable where nothing comes for `silence` seconds.
        """
        url = f"{self._configuration.host}{path}?{urlencode({**query, 'watch': 'true'})}"
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                session, headers = await self._prepared("application/json")
                response = await session.get(url, headers=headers, **self._options)
            async with response:
                if response.status != 200:
                    async with asyncio.timeout(TIMEOUT_SECONDS):
                        data = await response.read()
                    raise _error("GET", path, response.status, data, response.headers.get("Retry-After"))
                line = b""
                while True:
                    yield line
                    async with asyncio.timeout(silence):
                        line = await response.content.readline()
                    if not line:
                        return
        except _BROKEN as error:
            raise Unavailable(_outage(error)) from error

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
        """One call. Raises NotFound, AlreadyExists, Conflict, Invalid, Throttled, Forbidden or Unavailable; where
        leadership is asked for (`controller.permission`) and gone, NotLeading: a change is then not sent."""
        data = await self._send(method, path, body=body, content_type=content_type, query=query, accept=accept)
        try:
            result: Object = msgspec.json.decode(data)
        except ValueError as error:
            raise Unavailable(f"Kubernetes API: {method} {path}: the reply is no JSON") from error
        return result

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: Object | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
        accept: str = "application/json",
        seconds: float = TIMEOUT_SECONDS,
    ) -> bytes:
        text = self._configuration.host + path
        if query:
            text += "?" + urlencode(query)
        url = URL(text, encoded=True)  # names of objects need no encoding
        data = None if body is None else _encode(body)
        try:
            async with asyncio.timeout(seconds):
                session, headers = await self._prepared(accept)
                headers["Content-Type"] = content_type
                async with session.request(method, url, headers=headers, data=data, **self._options) as response:
                    data = await response.read()
        except _BROKEN as error:
            _calls(method, 0).inc()
            raise Unavailable(_outage(error)) from error
        _calls(method, response.status).inc()
        if 200 <= response.status < 300:
            return data
        raise _error(method, path, response.status, data, response.headers.get("Retry-After"))

    async def _prepared(self, accept: str) -> tuple[aiohttp.ClientSession, dict[str, str]]:
        """The connection pool, and a call's headers with the token of now."""
        headers = {"Accept": accept, "User-Agent": "jennah-controller"}
        token = await self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        if token:
            headers["Authorization"] = token
        return self._session or self._open(), headers

    def _open(self) -> aiohttp.ClientSession:
        """The connection pool; made by the first call, within its event loop."""
        configuration = self._configuration
        self._session = open_session(configuration, limit=self._connections)
        options = {
            "server_hostname": configuration.tls_server_name,
            "proxy_headers": configuration.proxy_headers,
        }
        self._options = {name: value for name, value in options.items() if value}
        return self._session


class _AskingConnector(aiohttp.TCPConnector):
    """Asks for permission between the wait for a connection and the sending of what changes something."""

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[aiohttp.tracing.Trace], timeout: aiohttp.ClientTimeout
    ) -> aiohttp.connector.Connection:
        connection = await super().connect(req, traces, timeout)
        if req.method != "GET":
            try:
                permission.check()
            except BaseException:
                connection.release()
                raise
        return connection


def items_of(answer: Object) -> list[Object]:
    """The objects of a list. Where there are none kube-apiserver may write null, and does so in lists of metadata.

    Raises Unavailable for what is no list: it does not say that there is nothing.
    """
    if "items" not in answer:
        raise Unavailable("the Kubernetes API answers without the list that it was asked for")
    return answer["items"] or []


def open_session(
    configuration: kube.Configuration,
    *,
    limit: int,
    headers: Mapping[str, str] | None = None,
    traces: Sequence[aiohttp.TraceConfig] = (),
) -> aiohttp.ClientSession:
    """A session with that API server's TLS, for at most so many connections (0: any number), without time limits."""
    rest = kube.rest.RESTClientObject(configuration)  # for its TLS alone
    # aiohttp would read ~/.netrc and the variables of proxies anew for every request, and keep cookies that no API
    # server sets: together a tenth of a call's CPU.
    return aiohttp.ClientSession(
        connector=_AskingConnector(limit=limit, ssl=rest.ssl_context),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers,
        proxy=configuration.proxy or proxies.for_url(configuration.host),
        timeout=aiohttp.ClientTimeout(),  # none: the call's own is around it
        read_bufsize=2**21,  # as kubernetes.aio: lists are long
        trace_configs=list(traces),
    )


def _outage(error: BaseException) -> str:
    # Without the path: an outage reads the same for every object, and is told once.
    return f"Kubernetes API: {type(error).__name__}: {error}".rstrip(": ")


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
        return NotFound(text) if named else Unserved(f"Kubernetes API: 404: {message or reason}; {UNSERVED}")
    if status == 410:
        return Expired(text)
    if status == 409:
        return AlreadyExists(text) if reason == "AlreadyExists" else Conflict(text)
    if status in (400, 422):
        return Invalid(message or text)
    if status == 403:
        return Forbidden(text)
    outage = f"Kubernetes API: {status} {reason}: {message}"  # as where nothing answers: without the path
    told = min(float(retry_after), RETRY_AFTER_MOST_SECONDS) if retry_after and retry_after.isdecimal() else None
    if status == 429:
        return Throttled(outage, delay=1.0 if told is None else told)
    if status == 401 or status >= 500:
        return Unavailable(outage, delay=told or 0.0)  # a 401 heals as well: the token is renewed
    return JennahError(text)


def _status_of(data: bytes) -> tuple[str, str, bool]:
    """The reason and message of a Status object, and whether it names the object that it is about."""
    try:
        body = json.loads(data)
        named = bool((body.get("details") or {}).get("name"))
        return str(body.get("reason", "")), str(body.get("message", "")), named
    except (ValueError, AttributeError):
        return "", data[:200].decode("utf-8", "replace").strip(), False
