"""Discovery: which groups, versions and resources there are, as lists and in the aggregated form."""

from collections.abc import Callable

from . import routes
from .encoding import JsonObject
from .resources import Registry, Resource

AGGREGATED_TYPE = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_TOKEN_REQUEST = {"group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest"}
_STATUS_VERBS = ["get", "patch", "update"]


def wants_aggregated(accept: str) -> bool:
    return any(
        {"g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"} <= set(media_type.strip().split(";"))
        for media_type in accept.split(",")
    )


def core_versions() -> JsonObject:
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def group_list(registry: Registry) -> JsonObject:
    groups = [_group(group, versions) for group, versions in registry.groups().items() if group]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group(registry: Registry, name: str) -> JsonObject:
    versions = registry.groups().get(name)
    if not name or versions is None:
        raise routes.nothing_at(registry, name)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}


def _group(name: str, versions: list[str]) -> JsonObject:
    entries = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": entries, "preferredVersion": entries[0]}


def resource_list(registry: Registry, group_name: str, version: str) -> JsonObject:
    found = [r for r in registry if (r.group, r.version) == (group_name, version)]
    if not found:
        raise routes.nothing_at(registry, group_name)
    resources = []
    for resource in found:
        resources.append(_api_resource(resource))
        if resource.has_status:
            resources.append(_status_resource(resource))
        if resource.has_token:
            resources.append(_token_resource(resource))
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": found[0].api_version,
        "resources": resources,
    }


def _api_resource(resource: Resource) -> JsonObject:
    entry: JsonObject = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.is_namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    return entry


def _status_resource(resource: Resource) -> JsonObject:
    return {
        "name": f"{resource.plural}/status",
        "singularName": "",
        "namespaced": resource.is_namespaced,
        "kind": resource.kind,
        "verbs": _STATUS_VERBS,
    }


def _token_resource(resource: Resource) -> JsonObject:
    return {
        "name": f"{resource.plural}/token",
        "singularName": "",
        "namespaced": True,
        **_TOKEN_REQUEST,
        "verbs": ["create"],
    }


def aggregated(registry: Registry, includes: Callable[[str], bool]) -> JsonObject:
    """All groups whose name `includes` takes, in one document."""
    items = []
    for name, versions in registry.groups().items():
        if includes(name):
            entries = [
                {
                    "version": version,
                    "freshness": "Current",
                    "resources": [_aggregated_resource(r) for r in registry if (r.group, r.version) == (name, version)],
                }
                for version in versions
            ]
            metadata = {"name": name} if name else {}
            items.append({"metadata": metadata, "versions": entries})
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _aggregated_resource(resource: Resource) -> JsonObject:
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    entry: JsonObject = {
        "resource": resource.plural,
        "responseKind": kind,
        "scope": "Namespaced" if resource.is_namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
        "shortNames": list(resource.short_names),
        "categories": list(resource.categories),
    }
    if resource.has_status:
        entry["subresources"] = [{"subresource": "status", "responseKind": kind, "verbs": _STATUS_VERBS}]
    if resource.has_token:
        entry["subresources"] = [{"subresource": "token", "responseKind": _TOKEN_REQUEST, "verbs": ["create"]}]
    return entry
