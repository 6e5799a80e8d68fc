"""Keeps what is served in step with the stored CRDs, and their status in step with what is served."""

from . import crds, schema
from .encoding import JsonObject
from .history import Event
from .resources import Registry, Resource
from .store import Store


class CustomKinds:
    def __init__(self, store: Store, registry: Registry) -> None:
        self._store = store
        self._registry = registry
        store.listeners.append(self._notice)

    def _notice(self, storage: str, event: Event) -> None:
        if storage != crds.STORAGE:
            return
        if event.type == "DELETED":
            self._registry.remove_crd(event.stored.name)
            self._store.begin_anew(event.stored.name)
            return
        crd = event.stored.load()
        if event.previous is not None and crd["spec"] == event.previous.load()["spec"]:
            return
        resources = crds.resources_of(crd)
        self._registry.set_crd(event.stored.name, resources)
        self._store.begin_anew(event.stored.name)
        if resources and event.previous is not None:
            self._reread(resources[0])
        self._establish(crd)

    def _establish(self, crd: JsonObject) -> None:
        """A write of its own: who made or changed the CRD is answered before its names are accepted."""
        definitions = self._registry.of_storage(crds.STORAGE)
        assert definitions is not None
        before = crd["status"]
        crds.establish(crd)
        if crd["status"] != before:
            self._store.put(crds.STORAGE, crd, definitions.fields_of(crd))

    def _reread(self, resource: Resource) -> None:
        """Prune and default what is stored by a changed schema, as reading from etcd does."""
        assert resource.validator is not None
        for stored in self._store.objects(resource.storage):
            obj = stored.load()
            schema.prune(resource.validator.node, obj)
            schema.fill_defaults(resource.validator.node, obj)
            self._store.replace_silently(resource.storage, obj, resource.fields_of(obj))
