"""What the suite makes on a cluster, and how all of it goes again: the CRD, namespaces, cluster-wide objects.

Works with an API server alone: where nobody empties a namespace that is deleted, it is emptied and finalized here.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from typing import Any

import yaml

from controller.domain import names
from controller.domain.errors import Conflict, NotFound, Throttled, Unavailable
from controller.kube import paths
from controller.kube.client import KubeClient, Object, items_of
from dev.stack import ROOT
from tests.cluster.clusters import Cluster

MANAGER = "jennah-e2e"
LABEL = "app.kubernetes.io/managed-by"
LIMIT_SECONDS = 60.0
_NAMESPACES = "/api/v1/namespaces"
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CRD = f"{_CRDS}/{names.PLURAL}.{names.GROUP}"
TENANT_CRD = f"{_CRDS}/jennahtenants.{names.GROUP}"
APPLY = "application/apply-patch+yaml"


class NotOurs(Exception):
    """The cluster has something of another's that the suite would have to change."""


def manifest(path: str = CRD) -> Object:
    """That CRD of this tree."""
    name = "jennahjob" if path == CRD else "jennahtenant"
    crd: Object = yaml.safe_load((ROOT / "crds" / f"{name}.yaml").read_text())
    return crd


@contextlib.asynccontextmanager
async def crd(cluster: Cluster) -> AsyncIterator[None]:
    """The CRDs of this tree, served. Those that were made here go again, unless others use them by then.

    One that was there is updated where it differs. Raises NotOurs where somebody else manages what differs.
    """
    client = cluster.client
    before = {path: await _find(client, path) for path in (CRD, TENANT_CRD)}
    for path, found in before.items():
        try:
            applied = await _apply(client, path, dryRun="All")
            if found is None or applied["spec"] != found["spec"]:
                await _apply(client, path)
        except Conflict as error:
            raise NotOurs(f"the cluster has another CRD of ours, which the suite may not change: {error}") from error
    await _until_served(client)
    try:
        yield
    finally:
        for path, found in before.items():
            if found is None and not await _is_used(client, path):
                await client.delete(path)
                await until_gone(client, path)


@contextlib.asynccontextmanager
async def namespaces(cluster: Cluster, labels: dict[str, dict[str, str]]) -> AsyncIterator[None]:
    """Namespaces of those names with those labels while the block runs; then they go with all that is in them."""
    client = cluster.client
    made: list[str] = []
    try:
        for name, more in labels.items():
            body = {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": name, "labels": {LABEL: MANAGER} | more},
            }
            await client.post(_NAMESPACES, body)
            made.append(name)
        yield
    finally:
        await remove_namespaces(cluster, made)


async def remove_namespaces(cluster: Cluster, names_: Iterable[str]) -> None:
    """All of them, whatever they hold: who would take off the finalizers of jobs may be gone."""
    client = cluster.client
    for name in names_:
        await _let_go_of_jobs(client, name)
        await remove(client, paths.namespace(name))
        if not cluster.has_controllers:
            await _empty(client, name)
            await _finalize(client, name)
    for name in names_:
        await until_gone(client, paths.namespace(name))


@contextlib.asynccontextmanager
async def objects(cluster: Cluster, manifests: Iterable[Object]) -> AsyncIterator[None]:
    """Those objects while the block runs, as ``kubectl create`` makes them."""
    client = cluster.client
    made: list[str] = []
    try:
        resources = {(r.api_version, r.kind): r for r in await discover(client)}
        for manifest in manifests:
            collection = resources[manifest["apiVersion"], manifest["kind"]].path(manifest["metadata"].get("namespace"))
            await client.post(collection, manifest)
            made.append(f"{collection}/{manifest['metadata']['name']}")
        yield
    finally:
        for path in reversed(made):
            await remove(client, path)


class Resource:
    """A kind that the API server serves."""

    def __init__(self, api_version: str, raw: Any) -> None:
        self.api_version = api_version
        self.kind = str(raw["kind"])
        self.plural = str(raw["name"])
        self.is_namespaced = bool(raw["namespaced"])
        self.verbs = frozenset(raw["verbs"])

    def path(self, namespace: str | None = None) -> str:
        """Of its collection."""
        prefix = f"/api/{self.api_version}" if "/" not in self.api_version else f"/apis/{self.api_version}"
        inside = f"/namespaces/{namespace}" if namespace else ""
        return f"{prefix}{inside}/{self.plural}"


async def discover(client: KubeClient) -> list[Resource]:
    """Each kind in its group's preferred version; without groups of servers behind this one that do not answer."""
    groups = (await client.get("/apis"))["groups"]
    versions = ["v1", *(group["preferredVersion"]["groupVersion"] for group in groups)]
    found: list[Resource] = []
    for version in versions:
        try:
            listed = await client.get(f"/api/{version}" if version == "v1" else f"/apis/{version}")
        except Unavailable:
            continue
        found += [Resource(version, raw) for raw in listed["resources"] if "/" not in raw["name"]]
    return found


async def _apply(client: KubeClient, path: str, **query: str) -> Object:
    """Server-side apply, without force."""
    query["fieldManager"] = MANAGER
    return await client.call("PATCH", path, body=manifest(path), content_type=APPLY, query=query)


async def everything(client: KubeClient) -> set[str]:
    """All objects of the cluster, by kind, namespace and name; but for events, which go by themselves."""
    found: set[str] = set()
    for resource in await discover(client):
        if "list" in resource.verbs and resource.kind != "Event":
            for item in items_of(await _once_ready(partial(client.get, resource.path()))):
                metadata = item["metadata"]
                found.add(f"{resource.kind} {metadata.get('namespace', '')}/{metadata['name']}")
    return found


async def _until_served(client: KubeClient) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            try:
                await client.get(paths.jobs(), limit="1")
                await client.get(paths.tenants(), limit="1")
                return
            except Throttled as error:
                await asyncio.sleep(error.delay)
            except Unavailable as error:
                if not _is_unserved(error):
                    raise
                await asyncio.sleep(0.1)


async def _is_used(client: KubeClient, path: str) -> bool:
    """That CRD: by objects that are left, which are not ours, or by another run of the suite."""
    if items_of(await client.get(paths.jobs() if path == CRD else paths.tenants(), limit="1")):
        return True
    others = items_of(await client.get(_NAMESPACES, labelSelector=f"{LABEL}={MANAGER}"))
    return any(not other["metadata"].get("deletionTimestamp") for other in others)


async def _let_go_of_jobs(client: KubeClient, namespace: str) -> None:
    try:
        jobs = items_of(await _once_ready(lambda: client.get(paths.jobs(namespace))))
    except Unavailable as error:
        if not _is_unserved(error):
            raise
        return  # no CRD, no jobs
    for job in jobs:
        path = paths.job(namespace, job["metadata"]["name"])
        with contextlib.suppress(NotFound):
            await client.delete(path)
            if job["metadata"].get("finalizers"):
                await client.merge_patch(path, {"metadata": {"finalizers": None}})


def _is_unserved(error: Unavailable) -> bool:
    """Whether it is no outage: the kind's CRD is gone, or not there yet."""
    return "404" in str(error)


async def _once_ready(call: Callable[[], Awaitable[Object]]) -> Object:
    """A list's answer. One of a kind whose CRD has just come or changed is refused: 429, storage is initializing."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            try:
                return await call()
            except Throttled as error:
                await asyncio.sleep(error.delay)


async def _empty(client: KubeClient, namespace: str) -> None:
    """What a namespace controller would do: delete all that is in it; and what the owners of finalizers would."""
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
    for resource in await discover(client):
        if resource.is_namespaced and {"deletecollection", "list"} <= resource.verbs:
            collection = resource.path(namespace)
            try:
                await _once_ready(partial(client.call, "DELETE", collection, body=options))
                there = items_of(await _once_ready(partial(client.get, collection)))
            except Unavailable as error:
                if not _is_unserved(error):
                    raise
                continue  # its CRD has gone since the kinds were listed, and all objects with it
            for left in there:
                with contextlib.suppress(NotFound):
                    path = f"{collection}/{left['metadata']['name']}"
                    await client.merge_patch(path, {"metadata": {"finalizers": None}})


async def _finalize(client: KubeClient, name: str) -> None:
    """Say of a namespace that is being deleted that it is empty."""
    namespace = await _find(client, paths.namespace(name))
    if namespace is not None:
        namespace["spec"] = {"finalizers": []}
        with contextlib.suppress(NotFound):
            await client.call("PUT", f"{paths.namespace(name)}/finalize", body=namespace)


async def _find(client: KubeClient, path: str) -> Object | None:
    try:
        return await client.get(path)
    except NotFound:
        return None


async def remove(client: KubeClient, path: str) -> None:
    """Delete what is at that path, if anything is."""
    with contextlib.suppress(NotFound):
        await client.delete(path)


async def until_gone(client: KubeClient, path: str) -> None:
    """Until nothing is at that path."""
    end = time.monotonic() + LIMIT_SECONDS
    while await _find(client, path) is not None:
        assert time.monotonic() < end, f"{path} does not go"
        await asyncio.sleep(0.1)
