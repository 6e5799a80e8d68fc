"""kopf on a thread and an event loop of its own, started again whenever it ends.

At its end kopf cancels every task of its loop that was made after its start, and it takes the process's signals
for itself: neither must reach the reconciler. So an error that kopf does not survive (a watch answered with 404 or
410) costs a new list of the objects, and nothing else.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from typing import Any

import kopf
from kubernetes.aio import client as kube

from controller import handlers, shortcut
from controller.backoff import Backoff
from controller.domain.job import Job
from controller.kube.watch_trace import WatchTrace

log = logging.getLogger(__name__)

BACKOFF = Backoff(first=1, cap=30)
"""Before kopf is started again. A watch that worked begins anew with the first pause."""
LIST_WITHIN_SECONDS = 15.0
"""From kopf's start: what it does not list by then it never will, as it looks for the CRD once. Taking in what the list
has may take longer: it comes in pages."""


class Watch:
    """One kopf operator, kept running. Events come out on the loop that made this object."""

    def __init__(
        self,
        configuration: kube.Configuration,
        namespaces: Collection[str],
        *,
        upsert: Callable[[Job], None],
        remove: handlers.Remove,
    ) -> None:
        self._configuration = configuration
        self._namespaces = tuple(namespaces)
        self._home = asyncio.get_running_loop()
        self._upsert, self._remove = upsert, remove
        self._kopfs_loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._said = ""
        """Why the watch ended, as it was told."""
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._keep_running()), name="kopf", daemon=True)
        self.ready = asyncio.Event()
        """Set once a watch is open: what there was before has been listed."""

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """End kopf, and wait for it."""
        await asyncio.to_thread(self._started.wait)
        if self._kopfs_loop is not None and self._end is not None:
            self._kopfs_loop.call_soon_threadsafe(self._end.set)
        await asyncio.to_thread(self._thread.join)

    def _at_home(self, call: Callable[..., None], *arguments: object) -> None:
        """Have that called on the loop that made this object."""
        with contextlib.suppress(RuntimeError):  # that loop has ended: nobody is left to hear it
            self._home.call_soon_threadsafe(call, *arguments)

    async def _keep_running(self) -> None:
        self._kopfs_loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._kopfs_loop.set_exception_handler(_on_leftover)
        self._started.set()
        lists, watches = asyncio.Event(), asyncio.Event()
        trace = WatchTrace(listing=lists.set, watching=watches.set)
        tries = 0
        while not self._end.is_set():
            lists.clear()
            watches.clear()
            error = await self._run(self._end, lists, watches, trace)
            if self._end.is_set():
                return
            tries = 0 if watches.is_set() else tries + 1
            if error != self._said:
                self._said = error
                log.warning("the watch ended and is started again: %s", error)
            await _wait(self._end, BACKOFF.pause(tries))

    async def _run(self, end: asyncio.Event, lists: asyncio.Event, watches: asyncio.Event, trace: WatchTrace) -> str:
        """kopf until it ends, is told to, or turns out to watch nothing; why it did."""

        def take(event: kopf.RawEvent) -> None:
            handlers.take_in(
                event,
                lambda job: self._at_home(self._upsert, job),
                lambda key, last: self._at_home(self._remove, key, last),
            )

        shortcut.take_events(take)
        registry = handlers.registry(self._configuration, take=take, trace=trace)
        operator = asyncio.create_task(
            kopf.operator(
                registry=registry,
                settings=handlers.operator_settings(),
                clusterwide=not self._namespaces,
                namespaces=self._namespaces,
            )
        )
        listed, watched, ended = waits = [asyncio.create_task(event.wait()) for event in (lists, watches, end)]
        try:
            await _first((operator, listed, ended), LIST_WITHIN_SECONDS)
            if lists.is_set():
                await _first((operator, watched, ended))
            if watches.is_set():
                self._at_home(self.ready.set)
                if self._said:
                    self._said = ""
                    log.info("the watch is open again")
                await _first((operator, ended))
        finally:
            for task in waits:
                task.cancel()
        if operator.done():
            failure = None if operator.cancelled() else operator.exception()
            # Its first argument alone: the second one of kopf's errors is the whole answer.
            return f"{type(failure).__name__}: {next(iter(failure.args), '')}" if failure else "kopf stopped"
        # Not by a flag: then it closes its connections, waits for seconds for what still uses them, and a cancellation
        # that meets it there leaves tasks behind.
        operator.cancel()
        await asyncio.wait((operator,))
        return "there is nothing to watch: the JennahJob CRD is not served, or the Kubernetes API does not answer"


async def _first(tasks: Iterable[asyncio.Task[Any]], seconds: float | None = None) -> None:
    """Until one of them is done, or the time is over."""
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)


def _on_leftover(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A task or generator that kopf left behind at an end fails: why kopf ended is told elsewhere."""
    log.debug("left behind by kopf: %s", context.get("message"))


@contextlib.asynccontextmanager
async def watching(watch: Watch) -> AsyncIterator[None]:
    """Watch while the block runs."""
    watch.start()
    try:
        yield
    finally:
        await watch.stop()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
