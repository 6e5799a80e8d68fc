"""One version of one stored object: an immutable value that keeps its serialized bytes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .encoding import JsonObject, encode

Key = tuple[str, str]
"""(namespace, name); the namespace of cluster-scoped objects is ''."""


@dataclass(frozen=True, slots=True)
class Stored:
    key: Key
    version: int
    api_version: str
    metadata: Mapping[str, Any]
    """Parsed, because selectors and garbage collection read it; never to be changed."""
    fields: Mapping[str, str]
    """What field selectors compare."""
    body: bytes

    @property
    def name(self) -> str:
        return self.key[1]

    @property
    def uid(self) -> str:
        return str(self.metadata["uid"])

    @property
    def size_in_etcd(self) -> int:
        """Bytes. JSON as Go writes it: six for each of ``< > &``. (Built-in kinds are Protobuf there, and smaller.)"""
        return len(self.body) + 5 * sum(map(self.body.count, (b"<", b">", b"&")))

    @property
    def labels(self) -> Mapping[str, str]:
        labels: Mapping[str, str] = self.metadata.get("labels") or {}
        return labels

    @property
    def is_being_deleted(self) -> bool:
        return "deletionTimestamp" in self.metadata

    def load(self) -> JsonObject:
        """The object, parsed anew: a private copy, and parsing is quicker than copying."""
        obj: JsonObject = json.loads(self.body)
        return obj


def key_of(obj: JsonObject) -> Key:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def stored_from(obj: JsonObject, fields: Mapping[str, str]) -> Stored:
    """Freeze `obj`, which must not be changed any more."""
    metadata = obj["metadata"]
    version = int(metadata.get("resourceVersion") or 0)
    return Stored(key_of(obj), version, obj["apiVersion"], metadata, fields, encode(obj))
