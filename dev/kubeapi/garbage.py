"""Garbage collection by ownerReferences, as the garbage collector of kube-controller-manager does it.

An object all of whose owners are gone is deleted. An owner with the finalizer foregroundDeletion waits for
its dependents, one with the finalizer orphan lets go of them first.
"""

from . import deletes
from .deletes import FOREGROUND, ORPHAN, DeleteOptions
from .encoding import JsonObject
from .objects import Stored
from .resources import Registry, Resource
from .store import Address, Store

_BACKGROUND = DeleteOptions(policy="Background")


class GarbageCollector:
    """Looks at single objects when it is told to; cleanup.py tells it."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store = store
        self._registry = registry

    def examine(self, address: Address) -> None:
        """Do what this object's owners and finalizers call for now."""
        storage, key = address
        stored, resource = self._store.get(storage, key), self._registry.of_storage(storage)
        if stored is None or resource is None:
            return
        if stored.is_being_deleted:
            finalizers = stored.metadata.get("finalizers", ())
            if ORPHAN in finalizers:
                self._orphan_dependents(resource, stored)
            elif FOREGROUND in finalizers:
                self._delete_dependents(resource, stored)
        elif stored.metadata.get("ownerReferences"):
            self._check_owners(resource, stored)

    def _check_owners(self, resource: Resource, stored: Stored) -> None:
        references = stored.metadata["ownerReferences"]
        present = [reference for reference in references if self._is_present(stored, reference)]
        if not present:
            deletes.delete(self._store, resource, stored, _BACKGROUND)
        elif len(present) < len(references):
            self._change(resource, stored, owners=present)

    def _is_present(self, stored: Stored, reference: JsonObject) -> bool:
        address = self._store.find_uid(reference["uid"])
        if address is None:
            # Of a kind that is not served nobody can say whether it is gone.
            return not self._registry.serves(reference["apiVersion"], reference["kind"])
        # An owner is cluster-scoped or in the same namespace, and is looked up by its name; any other does not count.
        return address[1] in (("", reference["name"]), (stored.key[0], reference["name"]))

    def _orphan_dependents(self, resource: Resource, owner: Stored) -> None:
        for storage, key in self._store.dependents(owner.uid):
            dependent, kind = self._store.get(storage, key), self._registry.of_storage(storage)
            if dependent is not None and kind is not None:
                rest = [r for r in dependent.metadata["ownerReferences"] if r["uid"] != owner.uid]
                self._change(kind, dependent, owners=rest)
        self._change(resource, owner, without_finalizer=ORPHAN)

    def _delete_dependents(self, resource: Resource, owner: Stored) -> None:
        is_blocked = False
        for storage, key in self._store.dependents(owner.uid):
            dependent, kind = self._store.get(storage, key), self._registry.of_storage(storage)
            if dependent is None or kind is None:
                continue
            references = dependent.metadata["ownerReferences"]
            others = [r for r in references if r["uid"] != owner.uid and self._is_present(dependent, r)]
            if others:
                self._change(kind, dependent, owners=others)
                continue
            policy = "Foreground" if self._store.dependents(dependent.uid) else "Background"
            left: Stored | None = dependent
            if not dependent.is_being_deleted:
                left = deletes.delete(self._store, kind, dependent, DeleteOptions(policy=policy))
            is_blocking = any(r["uid"] == owner.uid and r.get("blockOwnerDeletion") for r in references)
            is_blocked = is_blocked or (left is not None and is_blocking)
        if not is_blocked:
            self._change(resource, owner, without_finalizer=FOREGROUND)

    def _change(
        self,
        resource: Resource,
        stored: Stored,
        *,
        owners: list[JsonObject] | None = None,
        without_finalizer: str = "",
    ) -> None:
        obj = stored.load()
        metadata = obj["metadata"]
        if owners is not None:
            metadata["ownerReferences"] = owners
        if without_finalizer:
            metadata["finalizers"] = [name for name in metadata["finalizers"] if name != without_finalizer]
        for name in ("ownerReferences", "finalizers"):
            if metadata.get(name) == []:
                del metadata[name]
        if stored.is_being_deleted and "finalizers" not in metadata:
            self._store.delete(resource.storage, stored)
        else:
            self._store.put(resource.storage, obj, resource.fields_of(obj))
