"""Which requests a ValidatingAdmissionPolicy is about: MatchResources, of a policy and of its binding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import selectors
from .access.users import User
from .encoding import JsonObject
from .resources import Resource


@dataclass(frozen=True, kw_only=True)
class Admission:
    """One write, as admission sees it."""

    resource: Resource
    subresource: str
    operation: str
    """CREATE, UPDATE or DELETE."""
    namespace: str
    name: str
    obj: JsonObject | None
    old: JsonObject | None
    namespace_object: JsonObject | None
    """Of namespaced objects: their namespace."""
    user: User
    dry_run: bool


def matches(constraints: JsonObject | None, admission: Admission) -> bool:
    """Whether MatchResources takes the request; without any it takes all."""
    if not constraints:
        return True
    rules = constraints.get("resourceRules")
    if rules and not any(_matches_rule(rule, admission) for rule in rules):
        return False
    if any(_matches_rule(rule, admission) for rule in constraints.get("excludeResourceRules") or ()):
        return False
    return _selects_namespace(constraints.get("namespaceSelector"), admission) and _selects_object(
        constraints.get("objectSelector"), admission
    )


def _matches_rule(rule: Mapping[str, Any], admission: Admission) -> bool:
    resource = admission.resource
    names = rule.get("resourceNames") or ()
    return (
        _has(rule.get("apiGroups"), resource.group)
        and _has(rule.get("apiVersions"), resource.version)
        and _has(rule.get("operations"), admission.operation)
        and any(_matches_resource(wanted, resource.plural, admission.subresource) for wanted in rule["resources"])
        and rule.get("scope", "*") in ("*", "Namespaced" if resource.is_namespaced else "Cluster")
        and (not names or admission.name in names)
    )


def _has(values: Sequence[str] | None, value: str) -> bool:
    return values is not None and ("*" in values or value in values)


def _matches_resource(wanted: str, plural: str, subresource: str) -> bool:
    name, _, sub = wanted.partition("/")
    return name in ("*", plural) and (sub in ("*", subresource) if sub else not subresource)


def _selects_namespace(selector: JsonObject | None, admission: Admission) -> bool:
    # A namespace is judged by its own labels, what has no namespace is always meant.
    holder = admission.namespace_object
    if admission.resource.storage == "namespaces":
        holder = admission.obj or admission.old
    return holder is None or selectors.matches_labels(selector, _labels(holder))


def _selects_object(selector: JsonObject | None, admission: Admission) -> bool:
    objects = [obj for obj in (admission.obj, admission.old) if obj is not None]
    return any(selectors.matches_labels(selector, _labels(obj)) for obj in objects)


def _labels(obj: JsonObject) -> Mapping[str, str]:
    labels: Mapping[str, str] = obj["metadata"].get("labels") or {}
    return labels
