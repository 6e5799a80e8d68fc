"""All objects of a kind, listed once and then watched for ever: what client-go calls a reflector.

Whoever uses it says by a type what is needed of an object; the rest is never kept. A watch that breaks is gone on with
from where it was, one that is too old for that is begun anew with a list, and one that only seems to live (nothing
comes, not even a bookmark) is noticed: `fault` says whether what was told can be relied on.
"""

import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec

from controller.backoff import Backoff
from controller.domain.errors import Expired, JennahError, Throttled, Unavailable
from controller.kube.client import KubeClient
from controller.kube.decoding import Decoder
from controller.ports import Clock

log = logging.getLogger(__name__)

PAGE = 500
WATCH_SECONDS = 30
"""The server is asked to end each watch after so long, with a bookmark just before; the next one goes on from there."""
SILENCE_SECONDS = WATCH_SECONDS + 10.0
"""A watch of which nothing was heard for so long has broken and nobody has said so."""
SHORTEST_SECONDS = 1.0
"""A watch that ends sooner by itself is not begun again before."""
BACKOFF = Backoff(first=0.5, cap=10)

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Sink(Protocol[T_contra]):
    """Where the objects go."""

    def replace(self, items: Sequence[T_contra], version: int) -> None:
        """All that there was at that version."""
        ...

    def put(self, item: T_contra) -> None:
        """One is new, or another than before."""
        ...

    def remove(self, item: T_contra) -> None:
        """One is gone; as it was last."""
        ...


class _Version(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct, Generic[T], frozen=True):
    items: list[T] | None
    """Null where there are none; not to be left out, as what is no list is not an empty one."""
    metadata: _Version = _Version()


class _Event(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw


class _Bookmark(msgspec.Struct, frozen=True):
    metadata: _Version


class _Failure(msgspec.Struct, frozen=True):
    code: int = 0
    message: str = ""


_events = Decoder(_Event)
_bookmarks = Decoder(_Bookmark)
_failures = Decoder(_Failure)


def number_of(version: str) -> int:
    """A resourceVersion as the number that it is (since Kubernetes 1.35 by its contract, before that in fact)."""
    return int(version) if version.isdecimal() else 0


class ListWatch(Generic[T]):
    """One kind under one path. `changed` is called after each change, and when the watch breaks or is well again."""

    def __init__(
        self,
        client: KubeClient,
        path: str,
        *,
        selector: str = "",
        fields: str = "",
        kind: type[T],
        sink: Sink[T],
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        """`selector`: of labels; `fields`: of fields."""
        self._client = client
        self._path = path
        self._selection = {"labelSelector": selector, "fieldSelector": fields}
        self._sink = sink
        self._clock = clock
        self._changed = changed
        self._lists = Decoder(_List[kind])  # type: ignore[valid-type]
        self._objects = Decoder(kind)
        self._version = ""
        self._trouble = f"{path} has not been listed yet"
        self._heard = clock.monotonic()
        self.was_tried = False
        """Whether the first list has come, or failed."""

    def fault(self) -> str:
        """Why what was told is not to be relied on now; "" where it is."""
        silent = self._clock.monotonic() - self._heard
        if not self._trouble and silent > SILENCE_SECONDS:
            return f"the watch of {self._path} has been silent for {silent:.0f} s"
        return self._trouble

    async def run(self) -> None:
        """List and watch until it is cancelled."""
        failures = 0
        while True:
            begun = self._clock.monotonic()
            try:
                if not self._version:
                    await self._list()
                await self._watch()
                failures = 0
            except Expired:
                self._version = ""
                failures += 1
            except (JennahError, msgspec.MsgspecError) as error:
                if not isinstance(error, Unavailable | Throttled):
                    self._version = ""
                self._is_well(str(error))
                failures += 1
            except Exception:
                # A surprise in one object must not leave us deaf for good.
                log.exception("unexpected failure of the watch of %s", self._path)
                self._version = ""
                self._is_well(f"unexpected failure of the watch of {self._path}")
                failures += 1
            if failures > 1 or self._trouble:
                await self._clock.sleep(BACKOFF.pause(failures - 1))
            elif self._clock.monotonic() - begun < SHORTEST_SECONDS and not failures:
                await self._clock.sleep(SHORTEST_SECONDS)

    async def _list(self) -> None:
        found: list[T] = []
        query = {**self._selection, "limit": str(PAGE)}
        while True:
            page: _List[T] = self._lists.decode(await self._client.read(self._path, **query))
            found += page.items or ()
            if not page.metadata.continue_:
                break
            query["continue"] = page.metadata.continue_
        self._version = page.metadata.resource_version
        self._sink.replace(found, number_of(self._version))
        self._heard_of()
        self._changed()

    async def _watch(self) -> None:
        lines = self._client.watch(
            self._path,
            silence=SILENCE_SECONDS,
            **self._selection,
            resourceVersion=self._version,
            allowWatchBookmarks="true",
            timeoutSeconds=str(WATCH_SECONDS),
        )
        async with contextlib.aclosing(lines):
            async for line in lines:
                self._heard_of()
                if line.strip():
                    self._take(line)

    def _take(self, line: bytes) -> None:
        event = _events.decode(line)
        if event.type == "ERROR":
            failure = _failures.decode(event.object)
            if failure.code == 410:
                raise Expired(failure.message)
            raise JennahError(f"the watch of {self._path} failed: {failure.code} {failure.message}")
        self._version = _bookmarks.decode(event.object).metadata.resource_version or self._version
        match event.type:
            case "ADDED" | "MODIFIED":
                self._sink.put(self._objects.decode(event.object))
            case "DELETED":
                self._sink.remove(self._objects.decode(event.object))
            case _:
                return
        self._changed()

    def _heard_of(self) -> None:
        self._heard = self._clock.monotonic()
        self._is_well("")

    def _is_well(self, trouble: str) -> None:
        was, self._trouble = self._trouble, trouble
        was_tried, self.was_tried = self.was_tried, True
        if bool(was) != bool(trouble) or not was_tried:
            self._changed()
