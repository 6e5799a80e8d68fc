"""kopf's watch without what kopf does for each event: the events go straight to `handlers.take_in`.

For every event kopf finds the object's own task and queue, or makes them, wraps the object, its loggers and its
patch, and looks for the handlers that are due: 300 µs of CPU, of which our handler has 20, three times in a job's life.
That was two fifths of the operator (bench/results/profile.txt), and kopf has no setting for it. So the one function
that begins it, ``kopf._core.reactor.queueing.watcher``, is replaced here, for the operators that `take_events` was
called for. The rest stays kopf's: login, discovery, lists, watches, and what becomes of their errors.

It is none of kopf's public functions, so pyproject.toml names the versions that have it as it is called here.
"""

import contextlib
import logging
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import kopf
from kopf._cogs.clients import watching
from kopf._core.reactor import queueing

log = logging.getLogger(__name__)

_whole = queueing.watcher
_take: ContextVar[Callable[[kopf.RawEvent], None] | None] = ContextVar("take", default=None)
"""By context, because tasks take it over from who made them: each operator of a process has its own."""


def take_events(take: Callable[[kopf.RawEvent], None]) -> None:
    """Have the events of the operators that are begun from this context (task) go to `take`.

    It is for operators whose only handlers are ``on.event`` of one kind.
    """
    _take.set(take)


async def _watcher(*, settings: Any, resource: Any, namespace: Any, operator_paused: Any = None, **others: Any) -> None:
    take = _take.get()
    how = {"settings": settings, "resource": resource, "namespace": namespace, "operator_paused": operator_paused}
    if take is None:
        await _whole(**how, **others)
        return
    stream = watching.infinite_watch(**how)
    async with contextlib.aclosing(stream) as events:  # type: ignore[type-var]  # a generator, which kopf does not say
        async for event in events:
            if not isinstance(event, watching.Bookmark) and event["type"] != "BOOKMARK":
                _hand_on(event, take)


def _hand_on(event: kopf.RawEvent, take: Callable[[kopf.RawEvent], None]) -> None:
    try:
        take(event)
    except Exception:  # as kopf does: a surprise in one object must not make us deaf to all others
        log.exception("unexpected failure at an event")


queueing.watcher = _watcher
