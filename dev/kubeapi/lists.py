"""Lists: selection by namespace and selectors, pages that all show one moment."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from . import selectors
from .encoding import JsonObject, MalformedBody, decode_json, encode
from .objects import Key, Stored
from .resources import Resource
from .selectors import Selector
from .status import bad_request, expired
from .store import Store

_COMMON_FIELDS = ("metadata.name", "metadata.namespace")


@dataclass(frozen=True)
class Selection:
    """Which objects of a kind a list, a watch or a deletecollection is about."""

    namespace: str | None
    labels: Selector
    fields: Selector

    @property
    def is_whole_range(self) -> bool:
        return not self.labels.requirements and not self.fields.requirements

    def matches(self, stored: Stored) -> bool:
        if self.namespace is not None and stored.key[0] != self.namespace:
            return False
        return self.is_whole_range or (self.labels.matches(stored.labels) and self.fields.matches(stored.fields))


def selection_from(resource: Resource, namespace: str | None, query: Mapping[str, str]) -> Selection:
    return Selection(
        namespace,
        selectors.parse_labels(query.get("labelSelector", "")),
        selectors.parse_fields(query.get("fieldSelector", ""), {*_COMMON_FIELDS, *resource.selectable}),
    )


@dataclass(frozen=True)
class Page:
    items: list[Stored]
    version: int
    next_token: str = ""
    remaining: int | None = None

    def metadata(self) -> JsonObject:
        metadata: JsonObject = {"resourceVersion": str(self.version)}
        if self.next_token:
            metadata["continue"] = self.next_token
        if self.remaining is not None:
            metadata["remainingItemCount"] = self.remaining
        return metadata


def list_page(store: Store, resource: Resource, selection: Selection, query: Mapping[str, str]) -> Page:
    """One page; the pages that follow show the moment of the first one, whatever was written since."""
    limit = _number(query, "limit")
    token = query.get("continue", "")
    version, after = _read_token(token) if token else (_exact_version(query), ("", ""))
    snapshot = store.snapshot(resource.storage, selection.namespace, after=after, version=version)
    if snapshot is None:
        raise expired(
            "The provided continue parameter is too old to display a consistent list result. You must start a "
            "new list without the continue parameter."
            if token
            else f"The resourceVersion for the provided list is too old: {version}."
        )
    items = snapshot.items
    if not selection.is_whole_range:
        items = filter(selection.matches, items)
    if not limit:
        return Page(list(items), snapshot.version)
    return _cut(items, limit, snapshot.version, snapshot.count if selection.is_whole_range else None)


def _cut(items: Iterator[Stored], limit: int, version: int, count: int | None) -> Page:
    page = list(islice(items, limit))
    is_last = count <= limit if count is not None else next(items, None) is None
    if is_last:
        return Page(page, version)
    # As in kube-apiserver, nobody counts what a selector has still to look through.
    return Page(page, version, _token(version, page[-1].key), None if count is None else count - limit)


def _number(query: Mapping[str, str], name: str) -> int:
    try:
        return max(0, int(query.get(name) or 0))
    except ValueError as e:
        raise bad_request(f"invalid value for {name}: {query[name]}") from e


def _exact_version(query: Mapping[str, str]) -> int | None:
    if query.get("resourceVersionMatch") == "Exact" or (query.get("limit") and "resourceVersionMatch" not in query):
        return _number(query, "resourceVersion") or None
    return None


def _token(version: int, last: Key) -> str:
    return base64.urlsafe_b64encode(encode([version, *last])).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, Key]:
    try:
        version, namespace, name = decode_json(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(version), (str(namespace), str(name))
    except (MalformedBody, ValueError, TypeError) as e:
        raise bad_request("continue key is not valid") from e
