"""RBAC: what the stored roles and bindings let a user do.

The right to give rights (the verbs bind and escalate) is not checked: who may write roles may write any.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import selectors
from ..encoding import JsonObject
from ..history import Event
from ..objects import Stored
from ..store import Store
from .attributes import Attributes
from .users import MASTERS, User, account_of

GROUP = "rbac.authorization.k8s.io"
_ROLES, _CLUSTER_ROLES = f"roles.{GROUP}", f"clusterroles.{GROUP}"
_BINDINGS, _CLUSTER_BINDINGS = f"rolebindings.{GROUP}", f"clusterrolebindings.{GROUP}"
_STORAGES = {_ROLES, _CLUSTER_ROLES, _BINDINGS, _CLUSTER_BINDINGS}
_EVERYTHING: tuple[JsonObject, ...] = (
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
)

Rule = Mapping[str, Any]
"""A PolicyRule as JSON has it."""


@dataclass(frozen=True)
class Rights:
    everywhere: list[Rule] = field(default_factory=list)
    in_namespace: dict[str, list[Rule]] = field(default_factory=dict)


class AllowAll:
    """Without RBAC: whoever is known may do everything."""

    def allows(self, user: User, attributes: Attributes) -> bool:
        return True

    def rules(self, user: User, namespace: str) -> Sequence[Rule]:
        return _EVERYTHING


class Rbac:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._rights: dict[tuple[str, tuple[str, ...]], Rights] = {}
        store.listeners.append(self._notice)

    def allows(self, user: User, attributes: Attributes) -> bool:
        if MASTERS in user.groups:
            return True
        rules = self.rules(user, attributes.namespace)
        return any(_covers(rule, attributes) for rule in rules)

    def rules(self, user: User, namespace: str) -> Sequence[Rule]:
        """All that holds for the user in a namespace ('': what holds everywhere)."""
        if MASTERS in user.groups:
            return _EVERYTHING
        rights = self._rights_of(user)
        return [*rights.everywhere, *rights.in_namespace.get(namespace, ())]

    def _notice(self, storage: str, event: Event) -> None:
        if storage in _STORAGES:
            self._rights.clear()

    def _rights_of(self, user: User) -> Rights:
        key = user.name, user.groups
        if key not in self._rights:
            rights = Rights()
            for _, binding in self._bindings_of(user, _CLUSTER_BINDINGS):
                rights.everywhere.extend(self._rules_of(binding["roleRef"], ""))
            for namespace, binding in self._bindings_of(user, _BINDINGS):
                rules = self._rules_of(binding["roleRef"], namespace)
                rights.in_namespace.setdefault(namespace, []).extend(rules)
            self._rights[key] = rights
        return self._rights[key]

    def _bindings_of(self, user: User, storage: str) -> Iterator[tuple[str, JsonObject]]:
        for stored in self._store.objects(storage):
            binding, namespace = stored.load(), stored.key[0]
            if any(_is_subject(user, subject, namespace) for subject in binding.get("subjects") or ()):
                yield namespace, binding

    def _rules_of(self, reference: JsonObject, namespace: str) -> list[Rule]:
        is_role = reference.get("kind") == "Role"
        storage, key = (_ROLES, namespace) if is_role else (_CLUSTER_ROLES, "")
        stored = self._store.get(storage, (key, reference.get("name", "")))
        return [] if stored is None else self._rules_in(stored, set())

    def _rules_in(self, stored: Stored, seen: set[str]) -> list[Rule]:
        role = stored.load()
        label_selectors = (role.get("aggregationRule") or {}).get("clusterRoleSelectors")
        if label_selectors is None:
            return role.get("rules") or []
        # The real server's controller writes the rules of others into the role; here they are looked up.
        seen.add(stored.name)
        return [
            rule
            for other in self._store.objects(_CLUSTER_ROLES)
            if other.name not in seen and any(selectors.matches_labels(s, other.labels) for s in label_selectors)
            for rule in self._rules_in(other, seen)
        ]


def _is_subject(user: User, subject: JsonObject, namespace: str) -> bool:
    match subject.get("kind"):
        case "User":
            return bool(user.name == subject.get("name"))
        case "Group":
            return subject.get("name") in user.groups
        case "ServiceAccount":
            return account_of(user.name) == (subject.get("namespace") or namespace, subject.get("name"))
    return False


def _covers(rule: Rule, asked: Attributes) -> bool:
    if not _has(rule.get("verbs"), asked.verb):
        return False
    if not asked.resource:
        return any(_covers_url(url, asked.path) for url in rule.get("nonResourceURLs") or ())
    names = rule.get("resourceNames") or ()
    return (
        _has(rule.get("apiGroups"), asked.group)
        and any(_covers_resource(resource, asked) for resource in rule.get("resources") or ())
        and (not names or asked.name in names)
    )


def _has(values: Sequence[str] | None, value: str) -> bool:
    return values is not None and ("*" in values or value in values)


def _covers_resource(resource: str, asked: Attributes) -> bool:
    return resource in ("*", asked.full_resource) or bool(asked.subresource and resource == f"*/{asked.subresource}")


def _covers_url(url: str, path: str) -> bool:
    return url in ("*", path) or (url.endswith("*") and path.startswith(url.rstrip("*")))
