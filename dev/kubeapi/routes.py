"""From a URL path to the resource it names."""

from dataclasses import dataclass

from . import status
from .objects import Key
from .resources import Registry, Resource
from .status import ApiError


@dataclass(frozen=True)
class Route:
    resource: Resource
    namespace: str | None
    """None: cluster-scoped, or all namespaces."""
    name: str
    """Empty for the collection."""
    subresource: str

    @property
    def key(self) -> Key:
        return self.namespace or "", self.name


def resolve(registry: Registry, path: str) -> Route:
    """The route of /api/v1/... or /apis/<group>/<version>/...; a 404 ApiError where there is none."""
    root, *rest = path.strip("/").split("/")
    group = rest.pop(0) if root == "apis" and rest else ""
    if root not in ("api", "apis") or len(rest) < 2 or not all(rest):
        raise nothing_at(registry, group)
    version, *parts = rest
    if parts[0] == "namespaces" and len(parts) >= 3:
        found = registry.find(group, version, parts[2])
        if found is not None and found.is_namespaced:
            return _route(found, parts[1], parts[3:])
    found = registry.find(group, version, parts[0])
    if found is None:
        raise nothing_at(registry, group)
    return _route(found, None, parts[1:])


def nothing_at(registry: Registry, group: str) -> ApiError:
    """What is said of a kind, a version or a group that is not served."""
    return status.no_such_resource() if registry.has_built_in_group(group) else status.NoSuchPage()


def _route(resource: Resource, namespace: str | None, parts: list[str]) -> Route:
    name, subresource = [*parts, "", ""][:2]
    has_subresource = subresource in ("", *resource.subresources)
    lacks_namespace = bool(name) and resource.is_namespaced and namespace is None
    if len(parts) > 2 or not has_subresource or lacks_namespace:
        raise status.no_such_resource()
    return Route(resource, namespace, name, subresource)
