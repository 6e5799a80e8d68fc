"""kopf on a thread and an event loop of its own, started again whenever it ends.

At its end kopf cancels every task of its loop that was made after its start, and it takes the process's signals
for itself: neither must reach the reconciler. So an error that kopf does not survive (a watch answered with 401 or
410) costs a new list of the objects, and nothing else.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Collection

import kopf
from kubernetes.aio import client as kube

from controller import handlers
from controller.domain.job import Job

log = logging.getLogger(__name__)

PAUSES_SECONDS = (1, 2, 5, 10, 30)
"""Before kopf is started again; the last one repeats. A watch that worked begins anew with the first."""


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
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._keep_running()), name="kopf", daemon=True)
        self.ready = asyncio.Event()
        """Set once kopf watches."""

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
        self._started.set()
        tries, said = 0, ""
        while not self._end.is_set():
            worked = asyncio.Event()
            error = await self._run(self._end, worked)
            if self._end.is_set():
                return
            tries = 0 if worked.is_set() else tries + 1
            if error != said:
                said = error
                log.warning("the watch ended and is started again: %s", error)
            await _wait(self._end, PAUSES_SECONDS[min(tries, len(PAUSES_SECONDS) - 1)])

    async def _run(self, end: asyncio.Event, worked: asyncio.Event) -> str:
        """kopf until it ends; why it did."""
        registry = handlers.registry(
            self._configuration,
            upsert=lambda job: self._at_home(self._upsert, job),
            remove=lambda key, last: self._at_home(self._remove, key, last),
        )
        operator = asyncio.create_task(
            kopf.operator(
                registry=registry,
                settings=handlers.operator_settings(),
                clusterwide=not self._namespaces,
                namespaces=self._namespaces,
                ready_flag=worked,
                stop_flag=end,
            )
        )
        is_ready = asyncio.create_task(worked.wait())
        await asyncio.wait((operator, is_ready), return_when=asyncio.FIRST_COMPLETED)
        is_ready.cancel()
        if worked.is_set():
            self._at_home(self.ready.set)
        await asyncio.wait((operator,))
        failure = None if operator.cancelled() else operator.exception()
        return f"{type(failure).__name__}: {failure}" if failure else "kopf stopped"


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
