"""The forms in which a client may ask for objects: whole, as a Table, or their metadata only."""

from collections.abc import Iterable
from typing import Protocol

from . import tables
from .encoding import JsonObject, encode
from .lists import Page
from .objects import Stored
from .resources import Resource


class View(Protocol):
    """How single objects, pages and the objects in watch events become bytes."""

    def one(self, stored: Stored) -> bytes: ...

    def page(self, page: Page) -> bytes: ...

    def bookmark(self, metadata: JsonObject) -> bytes: ...


class ObjectView:
    """The whole object: the bytes that are stored, unless another version is asked for."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._api_version = resource.api_version

    def one(self, stored: Stored) -> bytes:
        if stored.api_version == self._api_version:
            return stored.body
        return encode({**stored.load(), "apiVersion": self._api_version})

    def page(self, page: Page) -> bytes:
        if self._resource.is_custom:
            metadata = {"continue": "", **page.metadata()}
            return _list(self._resource.list_kind, self._api_version, metadata, map(self.one, page.items))
        return _list(self._resource.list_kind, self._api_version, page.metadata(), map(_untyped, page.items))

    def bookmark(self, metadata: JsonObject) -> bytes:
        return encode({"kind": self._resource.kind, "apiVersion": self._api_version, "metadata": metadata})


class MetadataView:
    """PartialObjectMetadata."""

    def one(self, stored: Stored) -> bytes:
        return encode(tables.partial(stored.metadata))

    def page(self, page: Page) -> bytes:
        return _list(
            "PartialObjectMetadataList", tables.META_VERSION, page.metadata(), map(self.one, page.items), none=b"null"
        )

    def bookmark(self, metadata: JsonObject) -> bytes:
        return encode(tables.partial(metadata))


class TableView:
    """Rows and columns for kubectl get."""

    def __init__(self, resource: Resource, included: str) -> None:
        self._resource = resource
        self._included = included
        self._has_sent_columns = False

    def one(self, stored: Stored) -> bytes:
        # In a watch only the first table names the columns.
        columns = [] if self._has_sent_columns else tables.column_definitions(self._resource)
        self._has_sent_columns = True
        metadata = {"resourceVersion": str(stored.version)}
        return encode(tables.table(columns, [tables.row(self._resource, stored, self._included)], metadata))

    def page(self, page: Page) -> bytes:
        rows = [tables.row(self._resource, stored, self._included) for stored in page.items]
        return encode(tables.table(tables.column_definitions(self._resource), rows, page.metadata()))

    def bookmark(self, metadata: JsonObject) -> bytes:
        return encode(tables.table([], [], metadata))


def view_for(resource: Resource, accept: str, include_object: str) -> View:
    """The first form in the Accept header that the server knows."""
    for media_type in accept.split(","):
        parameters = {parameter.strip() for parameter in media_type.split(";")[1:]}
        if "as=Table" in parameters and "v=v1" in parameters:
            return TableView(resource, include_object or "Metadata")
        if parameters & {"as=PartialObjectMetadata", "as=PartialObjectMetadataList"}:
            return MetadataView()
        if not any(parameter.startswith("as=") for parameter in parameters):
            break
    return ObjectView(resource)


def _untyped(stored: Stored) -> bytes:
    """An object of a built-in kind as it is in lists: what is said of the whole list is not said of each."""
    return encode({name: value for name, value in stored.load().items() if name not in ("kind", "apiVersion")})


def _list(kind: str, api_version: str, metadata: JsonObject, items: Iterable[bytes], *, none: bytes = b"[]") -> bytes:
    """`none`: what kube-apiserver writes where there are no items."""
    head = encode({"kind": kind, "apiVersion": api_version, "metadata": metadata})
    written = b",".join(items)
    return b"".join((head[:-1], b',"items":', b"[" + written + b"]" if written else none, b"}"))
