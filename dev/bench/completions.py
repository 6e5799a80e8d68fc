"""Waits until jobs are Completed in Kubernetes, and notes when each was: one list-watch that tells nothing else."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence

import msgspec

from controller.clock import SystemClock
from controller.kube import paths
from controller.kube.client import KubeClient, load_configuration
from controller.kube.listwatch import ListWatch
from dev.bench.installation import Installation

PATIENCE_SECONDS = 600.0


class _Metadata(msgspec.Struct):
    name: str


class _Object(msgspec.Struct):
    metadata: _Metadata


class Completions:
    """The jobs that were seen as Completed since the watch began: `at` has the wall clock's time by name.

    One that ended while the watch was made again, as the API server ended it, has the time at which that was seen.
    """

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self.news = asyncio.Event()
        self._before: frozenset[str] | None = None
        """The jobs that were Completed when the watch began."""

    async def wait_for(self, count: int, patience: float = PATIENCE_SECONDS) -> None:
        """Until so many are. Raises TimeoutError."""
        async with asyncio.timeout(patience):
            while len(self.at) < count:
                self.news.clear()
                await self.news.wait()

    # --- as a sink of `ListWatch`

    def replace(self, items: Sequence[_Object], version: int) -> None:
        if self._before is None:
            self._before = frozenset(item.metadata.name for item in items)
        for item in items:
            self.put(item)

    def put(self, item: _Object) -> None:
        if item.metadata.name not in (self._before or ()):
            self.at.setdefault(item.metadata.name, time.time())

    def remove(self, item: _Object) -> None:
        """It was Completed."""


@contextlib.asynccontextmanager
async def watching(made: Installation) -> AsyncIterator[Completions]:
    """Watch from now on."""
    found = Completions()
    async with KubeClient(await load_configuration(str(made.kubeconfig)), connections=0) as client:
        watch = ListWatch(
            client,
            paths.jobs(made.namespace),
            fields="status.phase=Completed",
            kind=_Object,
            sink=found,
            clock=SystemClock(),
            changed=found.news.set,
        )
        reading = asyncio.create_task(watch.run())
        try:
            while not watch.was_tried:
                found.news.clear()
                await found.news.wait()
            yield found
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
