"""The controllers behind the API: garbage collection, emptying namespaces and CRDs that are deleted.

One task works through a queue of what has changed, as kube-controller-manager does beside the API server.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import partial

from . import crds, deletes
from .deletes import DeleteOptions
from .garbage import GarbageCollector
from .history import Event
from .objects import Key, Stored
from .resources import Registry
from .store import Store

log = logging.getLogger(__name__)

_BACKGROUND = DeleteOptions(policy="Background")
_NAMESPACES = "namespaces"
_ITEMS_PER_TURN = 50


class Cleanup:
    def __init__(self, store: Store, registry: Registry, *, has_controllers: bool = True) -> None:
        """`has_controllers`: whether more is done than kube-apiserver does itself, which is to empty CRDs."""
        self._has_controllers = has_controllers
        self._store = store
        self._registry = registry
        self._collector = GarbageCollector(store, registry)
        self._due: deque[Callable[[], None]] = deque()
        self._wakeup = asyncio.Event()
        store.listeners.append(self._notice)

    async def run(self) -> None:
        """Work until cancelled; begins with what a restart left half done."""
        for storage in self._store.storages():
            for stored in self._store.objects(storage):
                self._notice_object(storage, stored)
        while True:
            # Requests get their turn between the pieces of a large deletion.
            for _ in range(min(_ITEMS_PER_TURN, len(self._due))):
                self._work(self._due.popleft())
            if self._due:
                await asyncio.sleep(0)
            else:
                self._wakeup.clear()
                await self._wakeup.wait()

    def _work(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # one object that cannot be cleaned up must not stop the rest
            log.exception("cleaning up failed")

    def _add(self, work: Callable[[], None]) -> None:
        self._due.append(work)
        self._wakeup.set()

    def _notice(self, storage: str, event: Event) -> None:
        if event.type == "DELETED":
            self._notice_deletion(storage, event.stored)
        else:
            self._notice_object(storage, event.stored)

    def _notice_object(self, storage: str, stored: Stored) -> None:
        if stored.is_being_deleted:
            if storage == _NAMESPACES and self._has_controllers:
                self._add(partial(self._empty_namespace, stored.name))
            elif storage == crds.STORAGE:
                self._add(partial(self._empty_crd, stored.name))
        if self._has_controllers and (stored.metadata.get("ownerReferences") or stored.is_being_deleted):
            self._add(partial(self._collector.examine, (storage, stored.key)))

    def _notice_deletion(self, storage: str, stored: Stored) -> None:
        if self._has_controllers:
            self._notice_dependents(stored)
        crd = self._store.get(crds.STORAGE, ("", storage))
        if crd is not None and crd.is_being_deleted:
            self._add(partial(self._finish_crd, storage))

    def _notice_dependents(self, stored: Stored) -> None:
        for address in self._store.dependents(stored.uid):
            self._add(partial(self._collector.examine, address))
        for reference in stored.metadata.get("ownerReferences", ()):
            owner = self._store.find_uid(reference["uid"])
            if owner is not None:
                self._add(partial(self._collector.examine, owner))
        namespace = self._store.get(_NAMESPACES, ("", stored.key[0]))
        if namespace is not None and namespace.is_being_deleted:
            self._add(partial(self._finish_namespace, stored.key[0]))

    # --- namespaces

    def _empty_namespace(self, name: str) -> None:
        for storage in self._store.storages():
            self._delete_all(storage, name)
        self._finish_namespace(name)

    def _finish_namespace(self, name: str) -> None:
        """Remove a namespace once nothing is left in it."""
        stored = self._store.get(_NAMESPACES, ("", name))
        if stored is None or not stored.is_being_deleted or stored.metadata.get("finalizers"):
            return
        storages = [storage for storage in self._store.storages() if storage != _NAMESPACES]
        if not any(self._store.count(storage, name) for storage in storages):
            self._store.delete(_NAMESPACES, stored)

    # --- CRDs

    def _empty_crd(self, name: str) -> None:
        self._delete_all(name, None)
        self._finish_crd(name)

    def _finish_crd(self, name: str) -> None:
        """Take off the finalizer of a CRD once it has no objects."""
        stored = self._store.get(crds.STORAGE, ("", name))
        resource = self._registry.of_storage(crds.STORAGE)
        if stored is None or resource is None or self._store.count(name):
            return
        obj = stored.load()
        rest = [f for f in obj["metadata"].get("finalizers", []) if f != crds.CLEANUP_FINALIZER]
        if not rest:
            self._store.delete(crds.STORAGE, stored)
        elif rest != obj["metadata"]["finalizers"]:
            obj["metadata"]["finalizers"] = rest
            self._store.put(crds.STORAGE, obj, resource.fields_of(obj))

    def _delete_all(self, storage: str, namespace: str | None) -> None:
        resource = self._registry.of_storage(storage)
        if resource is None:
            return
        for stored in self._store.objects(storage, namespace):
            self._add(partial(self._delete, storage, stored.key))

    def _delete(self, storage: str, key: Key) -> None:
        resource, current = self._registry.of_storage(storage), self._store.get(storage, key)
        if resource is not None and current is not None and not current.is_being_deleted:
            deletes.delete(self._store, resource, current, _BACKGROUND)
