"""All objects, their resourceVersions and recent history, and the indexes for garbage collection.

A write is one synchronous call: it takes the next resourceVersion, is on disk when it returns, and is
in the history for watchers. What may be written is decided in writes.py.
"""

import json
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .database import Database
from .encoding import JsonObject
from .history import Event, History
from .objects import Key, Stored, stored_from
from .status import ApiError

Fields = Mapping[str, str]
Address = tuple[str, Key]
"""(storage name of the resource, key of the object)."""

_FIRST: Key = ("", "")

MAX_BYTES = 1536 * 1024
"""Of an object in etcd (--max-request-bytes)."""


@dataclass(frozen=True)
class Snapshot:
    """A range of objects in key order, as they were at `version`."""

    version: int
    items: Iterator[Stored]
    count: int


class Store:
    def __init__(self, path: Path, *, history_limit: int) -> None:
        self._database = Database(path)
        self._history_limit = history_limit
        self._objects: dict[str, dict[Key, Stored]] = {}
        self._keys: dict[str, list[Key]] = {}
        self._histories: dict[str, History] = {}
        self._by_uid: dict[str, Address] = {}
        self._dependents: dict[str, set[Address]] = {}
        self.listeners: list[Callable[[str, Event], None]] = []
        self.version = max(1, self._database.version())
        self._loaded_version = self.version
        """Of what was on disk. No kind has changed since but by what its history has, whenever that was begun."""
        self.is_closed = False
        self._initializing: set[str] = set()

    def stored_resources(self) -> list[str]:
        """The storage names of everything on disk."""
        return self._database.resources()

    def load(self, storage: str, fields_of: Callable[[JsonObject], Fields]) -> None:
        """Read one resource from disk; no history comes back, so older watches have to list again."""
        objects = self._objects.setdefault(storage, {})
        for body in self._database.load(storage):
            obj = json.loads(body)
            stored = stored_from(obj, fields_of(obj))
            objects[stored.key] = stored
            self._index(storage, None, stored)
            self.version = max(self.version, stored.version)
        self._loaded_version = self.version
        self._keys[storage] = sorted(objects)

    def end_watches(self) -> None:
        self.is_closed = True
        for history in self._histories.values():
            history.wake_all()

    def close(self) -> None:
        self._database.close()

    # --- reading

    def get(self, storage: str, key: Key) -> Stored | None:
        return self._objects.get(storage, {}).get(key)

    def history(self, storage: str) -> History:
        if storage not in self._histories:
            self._histories[storage] = History(self._loaded_version, self._history_limit)
        return self._histories[storage]

    def begin_anew(self, storage: str) -> None:
        """The kind is served for the first time or in another way: its watches end, older versions are too old, and the
        first who lists or watches it comes too early, as with kube-apiserver's cache of watches."""
        self.history(storage).begin_anew(self.version)
        self._initializing.add(storage)

    def was_initializing(self, storage: str) -> bool:
        """Whether that kind could not be listed or watched until now."""
        try:
            self._initializing.remove(storage)
        except KeyError:
            return False
        return True

    def storages(self) -> list[str]:
        return list(self._objects)

    def objects(self, storage: str, namespace: str | None = None) -> list[Stored]:
        """Everything there is now, in key order; of one namespace, or of all."""
        start, end = self._range(storage, namespace, _FIRST)
        objects = self._objects.get(storage, {})
        return [objects[key] for key in self._keys.get(storage, [])[start:end]]

    def count(self, storage: str, namespace: str | None = None) -> int:
        start, end = self._range(storage, namespace, _FIRST)
        return end - start

    def find_uid(self, uid: str) -> Address | None:
        return self._by_uid.get(uid)

    def dependents(self, uid: str) -> list[Address]:
        return list(self._dependents.get(uid, ()))

    def snapshot(
        self, storage: str, namespace: str | None, *, after: Key = _FIRST, version: int | None = None
    ) -> Snapshot | None:
        """What there was at `version` (default: now) behind the key `after`; None where that is not known."""
        objects, keys = self._objects.get(storage, {}), self._keys.get(storage, [])
        start, end = self._range(storage, namespace, after)
        if version is None or version >= self.version:
            return Snapshot(self.version, (objects[key] for key in keys[start:end]), end - start)
        changed = self.history(storage).before_changes_since(version)
        if changed is None:
            return None
        changed = {key: then for key, then in changed.items() if key > after and namespace in (None, key[0])}
        keys_then = [key for key in keys[start:end] if key not in changed]
        keys_then += [key for key, then in changed.items() if then is not None]
        # Two sorted runs: sorting them again is one merge.
        keys_then.sort()
        items = (changed.get(key) or objects[key] for key in keys_then)
        return Snapshot(version, items, len(keys_then))

    def _range(self, storage: str, namespace: str | None, after: Key) -> tuple[int, int]:
        keys = self._keys.get(storage, [])
        if namespace is None:
            start, end = 0, len(keys)
        else:
            start, end = bisect_left(keys, (namespace, "")), bisect_left(keys, (namespace + "\0", ""))
        if after != _FIRST:
            start = max(start, bisect_left(keys, (after[0], after[1] + "\0")))
        return start, end

    # --- writing

    def put(self, storage: str, obj: JsonObject, fields: Fields) -> Stored:
        """Store a new version of `obj`, which must not be changed any more. An ApiError for one that is too large."""
        version = self.version + 1
        obj["metadata"]["resourceVersion"] = str(version)
        stored = stored_from(obj, fields)
        if len(stored.body) > MAX_BYTES // 6 and stored.size_in_etcd > MAX_BYTES:
            raise ApiError(500, "", "etcdserver: request is too large")
        namespace, name = stored.key
        self._database.put(storage, namespace, name, stored.body)
        history = self.history(storage)
        self.version = version
        objects = self._objects.setdefault(storage, {})
        previous = objects.get(stored.key)
        objects[stored.key] = stored
        if previous is None:
            insort(self._keys.setdefault(storage, []), stored.key)
        self._index(storage, previous, stored)
        kind = "ADDED" if previous is None else "MODIFIED"
        self._publish(storage, history, Event(kind, version, stored, previous))
        return stored

    def delete(self, storage: str, stored: Stored) -> Stored:
        """Remove an object; returns its last state, with the deletion's resourceVersion."""
        version = self.version + 1
        namespace, name = stored.key
        self._database.delete(storage, namespace, name, version)
        history = self.history(storage)
        self.version = version
        del self._objects[storage][stored.key]
        keys = self._keys[storage]
        del keys[bisect_left(keys, stored.key)]
        self._index(storage, stored, None)
        obj = stored.load()
        obj["metadata"]["resourceVersion"] = str(version)
        last = stored_from(obj, stored.fields)
        self._publish(storage, history, Event("DELETED", version, last, stored))
        return last

    def replace_silently(self, storage: str, obj: JsonObject, fields: Fields) -> None:
        """Store `obj` as a changed schema now reads it: no new version, no event."""
        stored = stored_from(obj, fields)
        self._database.put(storage, *stored.key, stored.body)
        self._objects[storage][stored.key] = stored

    def _publish(self, storage: str, history: History, event: Event) -> None:
        history.append(event)
        for listener in self.listeners:
            listener(storage, event)

    def _index(self, storage: str, previous: Stored | None, stored: Stored | None) -> None:
        address = (storage, (stored or previous).key)  # type: ignore[union-attr]
        before, now = _owners(previous), _owners(stored)
        for uid in before - now:
            self._dependents[uid].discard(address)
            if not self._dependents[uid]:
                del self._dependents[uid]
        for uid in now - before:
            self._dependents.setdefault(uid, set()).add(address)
        if stored is None and previous is not None:
            self._by_uid.pop(previous.uid, None)
        elif stored is not None and previous is None:
            self._by_uid[stored.uid] = address


def _owners(stored: Stored | None) -> set[str]:
    references = stored.metadata.get("ownerReferences") if stored else None
    return {reference["uid"] for reference in references or ()}
