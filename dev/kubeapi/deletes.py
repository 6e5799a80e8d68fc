"""Deletion: preconditions, finalizers, propagation to dependents, and the deletion of collections."""

from dataclasses import dataclass
from typing import Any

from . import crds, status
from .encoding import JsonObject
from .metadata import now
from .objects import Stored, stored_from
from .requests import is_true
from .resources import Resource
from .status import ApiError, bad_request
from .store import Store

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
_FINALIZER_OF_POLICY = {"Orphan": ORPHAN, "Foreground": FOREGROUND}


@dataclass(frozen=True, kw_only=True)
class DeleteOptions:
    uid: str | None = None
    resource_version: str | None = None
    policy: str | None = None
    """Background, Foreground or Orphan; None: as is usual for the kind."""
    dry_run: bool = False


def delete_options(body: JsonObject, query: dict[str, str]) -> DeleteOptions:
    """Read DeleteOptions from the body, or from the query where there is no body."""
    preconditions = body.get("preconditions") or {}
    policy = body.get("propagationPolicy") or query.get("propagationPolicy") or None
    orphans: Any = body.get("orphanDependents", query.get("orphanDependents"))
    if policy is None and orphans is not None:
        policy = "Orphan" if is_true(orphans) else "Background"
    if policy not in (None, "Background", "Foreground", "Orphan"):
        raise bad_request(f'invalid propagationPolicy "{policy}"')
    return DeleteOptions(
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
        policy=policy,
        dry_run=bool(body.get("dryRun") or query.get("dryRun")),
    )


def delete(store: Store, resource: Resource, stored: Stored, options: DeleteOptions) -> Stored | None:
    """Delete one object; returns it where finalizers still hold it, None where it is gone."""
    _check_preconditions(resource, stored, options)
    obj = stored.load()
    metadata = obj["metadata"]
    _set_finalizers(metadata, options.policy, resource.default_propagation)
    if resource.storage == crds.STORAGE and not stored.is_being_deleted:
        metadata["finalizers"] = [*metadata.get("finalizers", ()), crds.CLEANUP_FINALIZER]
    if not metadata.get("finalizers") and resource.storage != "namespaces":
        if not options.dry_run:
            store.delete(resource.storage, stored)
        return None
    if not stored.is_being_deleted:
        metadata["deletionTimestamp"] = now()
        metadata["deletionGracePeriodSeconds"] = 0
        if "generation" in metadata:
            metadata["generation"] += 1
        if resource.storage == "namespaces":
            obj["status"] = {**obj.get("status", {}), "phase": "Terminating"}
    if obj == stored.load():
        return stored
    if options.dry_run:
        return stored_from(obj, resource.fields_of(obj))
    return store.put(resource.storage, obj, resource.fields_of(obj))


def _check_preconditions(resource: Resource, stored: Stored, options: DeleteOptions) -> None:
    if options.uid is not None and options.uid != stored.uid:
        raise _precondition_failed(resource, stored, "UID", options.uid, stored.uid, "deleted and then recreated")
    if options.resource_version is not None and options.resource_version != str(stored.version):
        wanted, actual = options.resource_version, str(stored.version)
        raise _precondition_failed(resource, stored, "ResourceVersion", wanted, actual, "modified")


def _precondition_failed(
    resource: Resource, stored: Stored, what: str, wanted: str, actual: str, done: str
) -> ApiError:
    why = f"the {what} in the precondition ({wanted}) does not match the {what} in record ({actual})."
    # Here, and nowhere else, the server names the kind in place of the resource.
    return status.conflict(resource.kind, resource.group, stored.name, f"{why} The object might have been {done}")


def _set_finalizers(metadata: JsonObject, policy: str | None, default: str) -> None:
    """Leave it to the garbage collector to orphan or delete dependents first, where that is asked for."""
    before = metadata.get("finalizers", [])
    earlier = [name for name in before if name in (ORPHAN, FOREGROUND)]
    if policy is None and earlier:
        return
    wanted = _FINALIZER_OF_POLICY.get(policy or default)
    finalizers = [name for name in before if name not in earlier] + ([wanted] if wanted else [])
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
