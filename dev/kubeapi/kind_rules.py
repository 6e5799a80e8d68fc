"""What kube-apiserver does for single built-in kinds on top of what it does for all."""

import base64
import binascii
from typing import Any

from . import crds, job_rules, policies, status, value_rules, zero_values
from .encoding import JsonObject
from .resources import Resource
from .status import FieldError, bad_request

NAMESPACE_LABEL = "kubernetes.io/metadata.name"


def prepare(resource: Resource, obj: JsonObject, old: JsonObject | None) -> list[FieldError]:
    """Fill in and check `obj`, in place; `old` is None for a new object."""
    match resource.storage:
        case "namespaces":
            _prepare_namespace(obj, old)
        case "secrets":
            return _prepare_secret(obj, old)
        case "events":
            return value_rules.core_event(obj)
        case "jobs.batch":
            return _prepare_job(obj, old)
        case "leases.coordination.k8s.io":
            return value_rules.lease(obj)
        case "pods":
            if old is None:
                obj["status"] = {"phase": "Pending"}
        case policies.STORAGE:
            _prepare_policy(obj)
            return policies.check(obj)
        case crds.STORAGE:
            return _prepare_crd(obj, old)
    return []


def complete(resource: Resource, obj: JsonObject) -> None:
    """Fill in what kube-apiserver writes of an object though nothing was given, in place."""
    if not resource.is_custom:
        zero_values.fill(obj)


def check_status(resource: Resource, obj: JsonObject, old: JsonObject) -> list[FieldError]:
    """What is wrong with a status that was written by itself."""
    return job_rules.check_status(obj, old) if resource.storage == "jobs.batch" else []


def _prepare_job(obj: JsonObject, old: JsonObject | None) -> list[FieldError]:
    if "template" not in (obj.get("spec") or {}):
        return []  # told by who looks for fields that must be there
    if old is None:
        job_rules.fill_defaults(obj)
    return job_rules.check(obj, old)


def _prepare_namespace(obj: JsonObject, old: JsonObject | None) -> None:
    obj["metadata"].setdefault("labels", {})[NAMESPACE_LABEL] = obj["metadata"]["name"]
    if old is None:
        obj["spec"] = {"finalizers": ["kubernetes"]}
        obj["status"] = {"phase": "Active"}
    else:  # its finalizers change at namespaces/finalize
        obj["spec"] = old["spec"]


def _prepare_secret(obj: JsonObject, old: JsonObject | None) -> list[FieldError]:
    data: dict[str, Any] = obj.get("data") or {}
    for value in data.values():
        try:
            base64.b64decode(value or "", validate=True)
        except (binascii.Error, ValueError, TypeError) as e:
            message = 'Secret in version "v1" cannot be handled as a Secret: illegal base64 data'
            raise bad_request(f"{message}: {e}") from e
    for key, value in (obj.pop("stringData", None) or {}).items():
        data[key] = base64.b64encode(str(value).encode()).decode()
    obj.pop("data", None)
    if data:
        obj["data"] = data
    obj["type"] = obj.get("type") or "Opaque"
    if old is not None and obj["type"] != old.get("type"):
        return [status.invalid_value("type", obj["type"], "field is immutable")]
    return value_rules.secret(obj, old)


def _prepare_policy(obj: JsonObject) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("failurePolicy", "Fail")
    constraints = spec.setdefault("matchConstraints", {})
    for name, default in (("matchPolicy", "Equivalent"), ("namespaceSelector", {}), ("objectSelector", {})):
        constraints.setdefault(name, default)


def _prepare_crd(obj: JsonObject, old: JsonObject | None) -> list[FieldError]:
    crds.fill_defaults(obj)
    errors = crds.check(obj)
    if errors:
        return errors
    if old is not None:
        for field in ("group", "scope"):
            if obj["spec"][field] != old["spec"][field]:
                errors.append(status.invalid_value(f"spec.{field}", obj["spec"][field], "field is immutable"))
    return errors
