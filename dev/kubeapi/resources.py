"""What the server serves: Resource describes one kind in one version, Registry finds it by its path."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import jsonpath
from .columns import Column
from .encoding import JsonObject
from .status import qualified
from .validation import Validator

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One kind in one version, with all that sets it apart from other kinds."""

    group: str
    version: str
    plural: str
    kind: str
    is_namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    singular: str = ""
    has_status: bool = False
    """Whether status is a subresource of its own."""
    has_token: bool = False
    """Whether tokens are asked for at its subresource (service accounts)."""
    has_generation: bool = False
    is_review: bool = False
    """Only created, answered at once, never stored (SelfSubjectAccessReview)."""
    may_update_unconditionally: bool = True
    """Whether a PUT without resourceVersion is taken as it comes."""
    is_created_by_update: bool = False
    """Whether a PUT of what does not exist creates it."""
    is_custom: bool = False
    name_rule: str = "subdomain"
    """subdomain, label (namespaces) or path (RBAC)."""
    default_propagation: str = "Background"
    selectable: Mapping[str, str] = field(default_factory=dict)
    """Selectable field to JSONPath, beside metadata.name and metadata.namespace."""
    columns: tuple[Column, ...] = ()
    validator: Validator | None = None
    openapi: JsonObject | None = None
    """The structural schema as the CRD has it."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def storage(self) -> str:
        """The name under which objects are stored: the same for all versions of a kind."""
        return qualified(self.plural, self.group)

    @property
    def list_kind(self) -> str:
        return f"{self.kind}List"

    @property
    def verbs(self) -> tuple[str, ...]:
        return ("create",) if self.is_review else ALL_VERBS

    @property
    def subresources(self) -> tuple[str, ...]:
        has = {
            "status": self.has_status,
            "log": self.storage == "pods",
            "token": self.has_token,
            "finalize": self.storage == "namespaces",
        }
        return tuple(name for name in has if has[name])

    @property
    def base_path(self) -> str:
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def fields_of(self, obj: JsonObject) -> dict[str, str]:
        """The values that field selectors compare."""
        metadata = obj["metadata"]
        fields = {"metadata.name": metadata["name"], "metadata.namespace": metadata.get("namespace", "")}
        for name, path in self.selectable.items():
            found = jsonpath.find(path, obj)
            if found:
                fields[name] = _field_text(found[0])
        return fields


def _field_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Registry:
    """Every resource that is served now; those of CRDs come and go."""

    def __init__(self, built_in: Iterable[Resource]) -> None:
        self._built_in = {(r.group, r.version, r.plural): r for r in built_in}
        self._of_crd: dict[str, list[Resource]] = {}
        self._rebuild()

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        return self._by_path.get((group, version, plural))

    def serves(self, api_version: str, kind: str) -> bool:
        return any(r.kind == kind and r.api_version == api_version for r in self)

    def has_built_in_group(self, group: str) -> bool:
        """Whether that group is the server's own, whatever CRDs there are."""
        return any(built_in == group for built_in, _, _ in self._built_in)

    def of_storage(self, storage: str) -> Resource | None:
        """The preferred version of what is stored under this name."""
        return self._by_storage.get(storage)

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._by_path.values())

    def groups(self) -> dict[str, list[str]]:
        """Group to its versions, the preferred one first; the core group is ''."""
        groups: dict[str, list[str]] = {}
        for resource in self:
            versions = groups.setdefault(resource.group, [])
            if resource.version not in versions:
                versions.append(resource.version)
        return groups

    def set_crd(self, name: str, resources: list[Resource]) -> None:
        self._of_crd[name] = resources
        self._rebuild()

    def remove_crd(self, name: str) -> None:
        if self._of_crd.pop(name, None) is not None:
            self._rebuild()

    def of_crd(self, name: str) -> list[Resource]:
        return self._of_crd.get(name, [])

    def _rebuild(self) -> None:
        custom = [resource for resources in self._of_crd.values() for resource in resources]
        self._by_path = self._built_in | {(r.group, r.version, r.plural): r for r in custom}
        self._by_storage: dict[str, Resource] = {}
        for resource in self:
            self._by_storage.setdefault(resource.storage, resource)
