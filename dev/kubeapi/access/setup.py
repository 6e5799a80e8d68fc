"""What a cluster with RBAC has from its start: the default roles, and a default service account in each namespace."""

from functools import partial

from ..admission import WriteOptions
from ..history import Event
from ..resources import Registry
from ..store import Store
from ..writes import Writer
from . import bootstrap
from .rbac import GROUP


def install(store: Store, registry: Registry, *, has_accounts: bool) -> None:
    """Create what is missing now, and each namespace's account from now on (a controller's work in a cluster)."""
    writer = Writer(store, registry)
    for plural, objects in (
        ("clusterroles", bootstrap.cluster_roles()),
        ("clusterrolebindings", bootstrap.cluster_role_bindings()),
    ):
        resource = registry.of_storage(f"{plural}.{GROUP}")
        assert resource is not None
        for obj in objects:
            if store.get(resource.storage, ("", obj["metadata"]["name"])) is None:
                writer.create(resource, "", obj, WriteOptions())
    if not has_accounts:
        return
    for namespace in store.objects("namespaces"):
        _ensure_account(store, registry, namespace.name)
    store.listeners.append(partial(_notice, store, registry))


def _notice(store: Store, registry: Registry, storage: str, event: Event) -> None:
    if storage == "namespaces" and event.type == "ADDED":
        _ensure_account(store, registry, event.stored.name)
    elif storage == "serviceaccounts" and event.type == "DELETED" and event.stored.name == "default":
        _ensure_account(store, registry, event.stored.key[0])


def _ensure_account(store: Store, registry: Registry, namespace: str) -> None:
    resource, found = registry.of_storage("serviceaccounts"), store.get("namespaces", ("", namespace))
    if resource is None or found is None or found.is_being_deleted:
        return
    if store.get("serviceaccounts", (namespace, "default")) is None:
        Writer(store, registry).create(resource, namespace, {"metadata": {"name": "default"}}, WriteOptions())
