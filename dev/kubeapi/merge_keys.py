"""How lists merge: by the schema of a CRD, or by what is known of the lists of built-in kinds.

Lists that are not named here are replaced as a whole. One name stands for one kind of list throughout the
built-in kinds, but for `ports`, which are told apart by what their items hold.
"""

from typing import Any

from . import schema
from .encoding import encode
from .schema import Node

_KEYS_OF_LISTS = {
    "conditions": ("type",),
    "containers": ("name",),
    "env": ("name",),
    "ephemeralContainers": ("name",),
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "ownerReferences": ("uid",),
    "resourceClaims": ("name",),
    "secrets": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
_SETS = {"finalizers"}


def keys_of_list(node: Node | None, name: str, items: list[Any]) -> tuple[str, ...]:
    """The fields that identify an item of a map list; empty for other lists."""
    if node is not None:
        return node.list_keys if node.list_type == "map" else ()
    if name == "ports":
        first = items[0] if items and isinstance(items[0], dict) else {}
        return ("containerPort", "protocol") if "containerPort" in first else ("port", "protocol")
    return _KEYS_OF_LISTS.get(name, ())


def is_set(node: Node | None, name: str) -> bool:
    return node.list_type == "set" if node is not None else name in _SETS


def child(node: Node | None, name: str) -> Node | None:
    if node is None:
        return None
    return node.properties.get(name) or node.values


def item_key(node: Node | None, keys: tuple[str, ...], item: Any) -> str:
    """The key of a map list's item as fieldsV1 writes it: {"name":"a"}."""
    fields = item if isinstance(item, dict) else {}
    return encode({key: fields.get(key, _default(node, key)) for key in sorted(keys)}).decode()


def _default(node: Node | None, key: str) -> Any:
    if node is not None:
        return schema.default_of(node, key)
    return "TCP" if key == "protocol" else None
