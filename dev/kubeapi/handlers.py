"""The HTTP handler: who asks, whether they may, then the verb of the request on the resource it names."""

import gzip
import logging
import math
from urllib.parse import parse_qsl

from aiohttp import web

from . import deletes, discovery, lists, openapi, patches, podlogs, requests, routes, status, views, watches
from .access.attributes import Attributes, attributes_of
from .access.audit import AuditLog
from .access.authentication import Authenticator
from .access.rbac import AllowAll, Rbac
from .access.reviews import Reviews
from .access.tokens import ServiceAccountTokens
from .access.users import User
from .admission import WriteOptions
from .deletes import DeleteOptions
from .encoding import JsonObject, encode
from .objects import Stored
from .policies import Policies
from .resources import Registry, Resource
from .routes import Route
from .status import ApiError
from .store import Store
from .writes import Writer, Written

log = logging.getLogger(__name__)

VERSION = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.0+jennah",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "linux/amd64",
}
COMPRESSED_FROM = 128 * 1024
"""Bytes of an answer."""
_JSON_HEADERS = {"Content-Type": "application/json"}


class Handler:
    def __init__(
        self,
        store: Store,
        registry: Registry,
        *,
        token: str,
        tokens: ServiceAccountTokens,
        authorizer: AllowAll | Rbac,
        audit: AuditLog | None = None,
        watches_end_within: float = math.inf,
    ) -> None:
        """`token` is the administrator's, who may do everything. `watches_end_within`: seconds."""
        self._store = store
        self._registry = registry
        self._writer = Writer(store, registry)
        self._policies = Policies(store)
        self._tokens = tokens
        self._authorizer = authorizer
        self._authenticator = Authenticator(token, tokens, authorizer)
        self._reviews = Reviews(self._authenticator, authorizer)
        self._audit = audit
        self._watches_end_within = watches_end_within

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        user: User | None = None
        asked: Attributes | None = None
        try:
            user = self._authenticator.user_of(request.headers, request.path)
            if self._audit is not None or not isinstance(self._authorizer, AllowAll):
                asked = attributes_of(request.method, request.path, request.query)
            response = await self._authorized(request, user, asked)
        except ApiError as e:
            response = _error(e)
        except ConnectionError:
            raise
        except Exception as e:  # the client gets a Status, the log the traceback
            log.exception("%s %s failed", request.method, request.path)
            error = ApiError(500, "InternalError", f"Internal error occurred: {type(e).__name__}: {e}")
            response = _json(error.body(), 500)
        is_written = asked is not None and asked.verb == "watch" and response.status == 200
        if self._audit is not None and asked is not None and user is not None and not is_written:
            self._audit.write(user.name, asked, response.status)
        return response

    async def _authorized(self, request: web.BaseRequest, user: User, asked: Attributes | None) -> web.StreamResponse:
        if asked is not None:
            if not self._authorizer.allows(user, asked):
                raise status.not_authorized(asked.group, asked.resource, asked.name, asked.denial(user.name))
            if self._audit is not None and asked.verb == "watch":
                self._audit.write(user.name, asked, 200)
        return await self._answer(request, user)

    async def _answer(self, request: web.BaseRequest, user: User) -> web.StreamResponse:
        path = request.path
        # Most requests name a resource: what is not one has at most these few forms.
        if not path.startswith(("/api/", "/apis/")) or path.count("/") < 4:
            answer = self._non_resource(request, path)
            if answer is not None:
                return answer
        route = routes.resolve(self._registry, path)
        # Not aiohttp's multidict: parameters do not repeat, and a dict is what the rest works with.
        query = dict(parse_qsl(request.query_string, keep_blank_values=True))
        match request.method:
            case "GET":
                return await self._get(request, route, query)
            case "POST":
                return await self._create(request, route, query, user)
            case "PUT":
                return await self._update(request, route, query, user)
            case "PATCH":
                return await self._patch(request, route, query, user)
            case "DELETE":
                return await self._delete(request, route, query, user)
        raise status.method_not_allowed()

    # --- what is not a resource

    def _non_resource(self, request: web.BaseRequest, path: str) -> web.Response | None:
        accept = request.headers.get("Accept", "")
        match path.strip("/").split("/"):
            case ["version"]:
                return _json(VERSION)
            case ["healthz" | "livez" | "readyz", *_]:
                return web.Response(text="ok")
            case ["api"] if discovery.wants_aggregated(accept):
                return _aggregated(discovery.aggregated(self._registry, lambda group: not group))
            case ["apis"] if discovery.wants_aggregated(accept):
                return _aggregated(discovery.aggregated(self._registry, bool))
            case ["api"]:
                return _json(discovery.core_versions())
            case ["apis"]:
                return _json(discovery.group_list(self._registry))
            case ["api", version]:
                return _json(discovery.resource_list(self._registry, "", version))
            case ["apis", group]:
                return _json(discovery.group(self._registry, group))
            case ["apis", group, version]:
                return _json(discovery.resource_list(self._registry, group, version))
            case ["openapi", "v3"]:
                return _json(openapi.index(self._registry))
            case ["openapi", "v3", *base]:
                return _json(openapi.document(self._registry, "/" + "/".join(base)))
            case ["api" | "apis", *_]:
                return None
        raise status.NoSuchPage()

    # --- reading

    async def _get(self, request: web.BaseRequest, route: Route, query: dict[str, str]) -> web.StreamResponse:
        resource = route.resource
        if resource.is_review or route.subresource in ("token", "finalize"):
            raise status.method_not_allowed()
        view = views.view_for(resource, request.headers.get("Accept", ""), query.get("includeObject", ""))
        if not route.name and self._store.was_initializing(resource.storage):
            raise status.initializing()
        if requests.is_true(query.get("watch")):
            if route.name:
                query["fieldSelector"] = f"metadata.name={route.name}"
            selection = lists.selection_from(resource, route.namespace, query)
            watch = watches.Watch(self._store, resource, selection, view)
            asked = watches.watch_options(query, end_within=self._watches_end_within)
            return await watch.serve(request, asked)
        if route.subresource == "log":
            return web.Response(text=podlogs.text_of(self._find(route).load()))
        if route.name:
            return _read(request, view.one(self._find(route)))
        selection = lists.selection_from(resource, route.namespace, query)
        return _read(request, view.page(lists.list_page(self._store, resource, selection, query)))

    def _find(self, route: Route) -> Stored:
        stored = self._store.get(route.resource.storage, route.key)
        if stored is None:
            raise status.not_found(route.resource.plural, route.resource.group, route.name)
        return stored

    # --- writing

    async def _create(self, request: web.BaseRequest, route: Route, query: dict[str, str], user: User) -> web.Response:
        resource = route.resource
        if route.subresource == "token":
            request_body = await requests.read_object(request, "TokenRequest")
            return _json(self._tokens.request(self._find(route), request_body), 201)
        lacks_namespace = resource.is_namespaced and route.namespace is None
        if route.name or lacks_namespace:
            raise status.method_not_allowed()
        duplicates: list[str] = []
        obj = await requests.read_object(request, route.resource.kind, _wanted(duplicates, query))
        if resource.is_review:
            return _json(self._reviews.answer(resource, route.namespace, obj, user), 201)
        options = requests.write_options(query, duplicates, request.headers.get("User-Agent", ""), user)
        return self._written(request, route, query, self._writer.create(resource, route.key[0], obj, options))

    async def _update(self, request: web.BaseRequest, route: Route, query: dict[str, str], user: User) -> web.Response:
        _require_name(route)
        duplicates: list[str] = []
        obj = await requests.read_object(request, route.resource.kind, _wanted(duplicates, query))
        options = requests.write_options(query, duplicates, request.headers.get("User-Agent", ""), user)
        written = self._writer.update(route.resource, route.key, route.subresource, obj, options)
        return self._written(request, route, query, written)

    async def _patch(self, request: web.BaseRequest, route: Route, query: dict[str, str], user: User) -> web.Response:
        _require_name(route)
        if route.subresource == "finalize":
            raise status.method_not_allowed()
        resource, duplicates = route.resource, list[str]()
        kind, body = await requests.read_patch(request, _wanted(duplicates, query), strategic=not resource.is_custom)
        options = requests.write_options(query, duplicates, request.headers.get("User-Agent", ""), user)
        if kind == patches.APPLY:
            if not query.get("fieldManager"):
                raise status.bad_request("PatchOptions.meta.k8s.io is invalid: fieldManager: Required value")
            written = self._writer.apply(resource, route.key, route.subresource, body, options)
        else:
            change = patches.change_from(kind, body)
            written = self._writer.patch(resource, route.key, route.subresource, change, options)
        return self._written(request, route, query, written)

    def _written(self, request: web.BaseRequest, route: Route, query: dict[str, str], written: Written) -> web.Response:
        view = views.view_for(route.resource, request.headers.get("Accept", ""), query.get("includeObject", ""))
        response = _body(view.one(written.stored), 201 if written.is_new else 200)
        for warning in written.warnings:
            response.headers.add("Warning", f"299 - {encode(warning).decode()}")
        return response

    # --- deleting

    async def _delete(self, request: web.BaseRequest, route: Route, query: dict[str, str], user: User) -> web.Response:
        resource = route.resource
        if resource.is_review or route.subresource:
            raise status.method_not_allowed()
        options = deletes.delete_options(await requests.read_delete_options(request), query)
        if route.name:
            stored = self._find(route)
            self._check_deletion(resource, stored, options, user)
            left = deletes.delete(self._store, resource, stored, options)
            if left is not None:
                return _body(left.body)
            return _json(status.success(stored.name, resource.group, resource.plural, stored.uid))
        if resource.is_namespaced and route.namespace is None:
            raise status.method_not_allowed()
        selection = lists.selection_from(resource, route.namespace, query)
        page = lists.list_page(self._store, resource, selection, query)
        for stored in page.items:
            self._check_deletion(resource, stored, options, user)
            deletes.delete(self._store, resource, stored, options)
        return _body(views.ObjectView(resource).page(page))

    def _check_deletion(self, resource: Resource, stored: Stored, options: DeleteOptions, user: User) -> None:
        written = WriteOptions(dry_run=options.dry_run, user=user)
        self._policies.check(resource, operation="DELETE", obj=None, old=stored.load(), options=written)


def _require_name(route: Route) -> None:
    if not route.name or route.resource.is_review or route.subresource in ("token", "log"):
        raise status.method_not_allowed()


def _wanted(duplicates: list[str], query: dict[str, str]) -> list[str] | None:
    # Looking for duplicate fields makes parsing slow, so only clients that ask pay for it.
    return duplicates if query.get("fieldValidation") in ("Strict", "Warn") else None


def _read(request: web.BaseRequest, body: bytes) -> web.Response:
    """What was read; compressed where it is large, as the real server does."""
    if len(body) <= COMPRESSED_FROM or "gzip" not in request.headers.get("Accept-Encoding", ""):
        return _body(body)
    response = _body(gzip.compress(body, 1))
    response.headers.update({"Content-Encoding": "gzip", "Vary": "Accept-Encoding"})
    return response


def _error(error: ApiError) -> web.Response:
    if isinstance(error, status.NoSuchPage):
        return web.Response(text=f"{error}\n", status=error.code)
    response = _json(error.body(), error.code)
    if error.details and "retryAfterSeconds" in error.details:
        response.headers["Retry-After"] = str(error.details["retryAfterSeconds"])
    return response


def _json(body: JsonObject, code: int = 200) -> web.Response:
    return _body(encode(body), code)


def _aggregated(body: JsonObject) -> web.Response:
    return web.Response(body=encode(body), headers={"Content-Type": discovery.AGGREGATED_TYPE})


def _body(body: bytes, code: int = 200) -> web.Response:
    return web.Response(body=body, status=code, headers=_JSON_HEADERS)
