"""Watches: what there is, what follows, bookmarks, and an end.

A watch reads the history of its kind at its own pace; one that falls behind the kept history gets 410.
"""

import asyncio
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from aiohttp import web

from .encoding import JsonObject, encode
from .history import Event, History
from .lists import Selection
from .objects import Stored, stored_from
from .requests import is_true
from .resources import Resource
from .status import ApiError, bad_request, expired, invalid_value
from .status import invalid as invalid_error
from .store import Store
from .views import View

BOOKMARK_SECONDS = 60
_LINES_PER_WRITE = 500


@dataclass(frozen=True, kw_only=True)
class WatchOptions:
    version: str = ""
    timeout_seconds: float
    wants_bookmarks: bool
    wants_initial_events: bool
    """sendInitialEvents: what there is first, then a bookmark that marks its end."""


def watch_options(query: Mapping[str, str], *, end_within: float = math.inf) -> WatchOptions:
    """`end_within`: the watch ends at any time in so many seconds, whatever the client asks."""
    sends_initial = query.get("sendInitialEvents")
    match = query.get("resourceVersionMatch")
    if sends_initial is not None and match != "NotOlderThan":
        detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        error = invalid_value("resourceVersionMatch", match or "", detail)
        raise invalid_error("ListOptions", "meta.k8s.io", "", [error])
    try:
        # Without a wish a watch lives 30 to 60 minutes, so that not all of them end at once.
        timeout = float(query.get("timeoutSeconds") or 0) or random.uniform(1800, 3600)
    except ValueError as e:
        raise bad_request(f"invalid timeoutSeconds: {query['timeoutSeconds']}") from e
    if end_within < math.inf:
        timeout = min(timeout, random.uniform(0, end_within))
    return WatchOptions(
        version=query.get("resourceVersion", ""),
        timeout_seconds=timeout,
        wants_bookmarks=is_true(query.get("allowWatchBookmarks")),
        wants_initial_events=is_true(sends_initial),
    )


class Watch:
    """One watch on one connection."""

    def __init__(self, store: Store, resource: Resource, selection: Selection, view: View) -> None:
        self._store = store
        self._history: History = store.history(resource.storage)
        self._storage = resource.storage
        self._selection = selection
        self._view = view
        self._wakeup = asyncio.Event()

    async def serve(self, request: web.BaseRequest, options: WatchOptions) -> web.StreamResponse:
        """Answer `request` until the time is over, the client leaves or the server stops."""
        lines, position = self._start(options)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        loop = asyncio.get_running_loop()
        deadline = loop.time() + options.timeout_seconds
        bookmark_at = loop.time() + BOOKMARK_SECONDS if options.wants_bookmarks else math.inf
        beginnings = self._history.beginnings

        def goes_on() -> bool:
            return not self._store.is_closed and self._history.beginnings == beginnings

        self._history.add_wakeup(self._wakeup)
        try:
            await response.prepare(request)
            await _write(response, lines)
            while position is not None and goes_on() and loop.time() < deadline:
                self._wakeup.clear()
                events = self._history.since(position)
                if events is None:
                    await response.write(_line(b"ERROR", encode(_too_old().body())))
                    break
                position += len(events)
                await _write(response, self._lines(events))
                # A bookmark says that everything up to it was sent, so it waits until that is true.
                if loop.time() >= bookmark_at and self._history.end == position:
                    bookmark_at = loop.time() + BOOKMARK_SECONDS
                    await response.write(self._bookmark())
                if self._history.end == position:
                    await self._wait(min(deadline, bookmark_at))
            if options.wants_bookmarks and goes_on() and self._history.end == position:
                await response.write(self._bookmark())
            await response.write_eof()
        except ConnectionResetError:
            pass  # the client left while it was written to: nothing that anybody need hear of
        finally:
            self._history.remove_wakeup(self._wakeup)
        return response

    async def _wait(self, until: float) -> None:
        timer = asyncio.get_running_loop().call_at(until, self._wakeup.set)
        try:
            await self._wakeup.wait()
        finally:
            timer.cancel()

    def _start(self, options: WatchOptions) -> tuple[Iterator[bytes], int | None]:
        """The first lines, and the position in the history that they lead up to; None where they are the last."""
        if options.version in ("", "0") or options.wants_initial_events:
            now = self._history.end
            # A list, not a generator over the store: this is one moment, though it is sent over time.
            objects = self._store.objects(self._storage, self._selection.namespace)
            lines: Iterator[bytes] = (_line(b"ADDED", self._view.one(s)) for s in objects if self._selection.matches(s))
            if options.wants_initial_events and options.wants_bookmarks:
                lines = chain(lines, [self._bookmark({"annotations": {"k8s.io/initial-events-end": "true"}})])
            return lines, now
        if not options.version.isdigit():
            raise bad_request(f"invalid resourceVersion: {options.version}")
        position = self._history.position_after(int(options.version))
        if position is None:
            # An event, as all that goes wrong once the request is understood (apiserver's cacher).
            return iter([_line(b"ERROR", encode(_too_old(options.version).body()))]), None
        return iter(()), position

    def _bookmark(self, more: JsonObject | None = None) -> bytes:
        metadata = {"resourceVersion": str(self._store.version), "creationTimestamp": None, **(more or {})}
        return _line(b"BOOKMARK", self._view.bookmark(metadata))

    def _lines(self, events: list[Event]) -> Iterator[bytes]:
        for event in events:
            was_in = event.previous is not None and self._selection.matches(event.previous)
            is_in = event.type != "DELETED" and self._selection.matches(event.stored)
            if is_in:
                yield _line(b"MODIFIED" if was_in else b"ADDED", self._view.one(event.stored))
            elif was_in and event.previous is not None:
                yield _line(b"DELETED", self._view.one(_last_seen(event, event.previous)))


def _last_seen(event: Event, previous: Stored) -> Stored:
    """What a watcher is told of an object that leaves: its last state, with the version of the leaving."""
    if event.type == "DELETED":
        return event.stored
    obj = previous.load()
    obj["metadata"]["resourceVersion"] = str(event.version)
    return stored_from(obj, previous.fields)


def _too_old(version: str = "") -> ApiError:
    return expired(f"too old resource version: {version}".rstrip(": "))


def _line(kind: bytes, body: bytes) -> bytes:
    return b"".join((b'{"type":"', kind, b'","object":', body, b"}\n"))


async def _write(response: web.StreamResponse, lines: Iterator[bytes]) -> None:
    batch = []
    for line in lines:
        batch.append(line)
        if len(batch) == _LINES_PER_WRITE:
            await response.write(b"".join(batch))
            batch.clear()
    if batch:
        await response.write(b"".join(batch))
