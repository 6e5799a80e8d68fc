"""What a request asks for, in the words of authorization: read from its path, whether or not that is served.

After k8s.io/apiserver's RequestInfoFactory.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ..requests import is_true
from ..status import qualified

_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_NAMESPACE_SUBRESOURCES = ("status", "finalize")


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """A verb on a resource, or on a path that is none (`resource` is empty then)."""

    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def is_read_only(self) -> bool:
        return self.verb in ("get", "list", "watch")

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    def denial(self, user: str) -> str:
        """Why `user` is refused, as kube-apiserver says it."""
        if not self.resource:
            return f'User "{user}" cannot {self.verb} path "{self.path}"'
        where = f'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        what = f'cannot {self.verb} resource "{self.full_resource}" in API group "{self.group}"'
        return f'User "{user}" {what} {where}'

    def __str__(self) -> str:
        return f"{self.verb} {qualified(self.full_resource, self.group)}"


def attributes_of(method: str, path: str, query: Mapping[str, str]) -> Attributes:
    parts = [part for part in path.split("/") if part]
    prefix = 3 if parts[:1] == ["apis"] else 2
    if parts[:1] not in (["api"], ["apis"]) or len(parts) <= prefix or len(parts) < 3:
        return Attributes(verb=method.lower(), path=path)
    group, version = (parts[1], parts[2]) if prefix == 3 else ("", parts[1])
    rest = parts[prefix:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in _NAMESPACE_SUBRESOURCES:
            rest = rest[2:]
    resource, name, subresource = [*rest, "", ""][:3]
    verb = _VERBS.get(method, "")
    if not name:
        if verb == "get":
            verb = "watch" if is_true(query.get("watch")) else "list"
        elif verb == "delete":
            verb = "deletecollection"
        if verb != "create":
            name = _selected_name(query.get("fieldSelector", ""))
    return Attributes(
        verb=verb,
        group=group,
        version=version,
        resource=resource,
        subresource=subresource,
        namespace=namespace,
        name=name,
        path=path,
    )


def _selected_name(field_selector: str) -> str:
    for requirement in field_selector.split(","):
        field, _, value = requirement.partition("=")
        if field == "metadata.name":
            return value.removeprefix("=")
    return ""
