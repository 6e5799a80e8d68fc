"""Waits until jobs are Completed in Kubernetes, and notes when each was: one watch that tells nothing else."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import aiohttp
import msgspec

from controller.kube import paths
from controller.kube.client import load_configuration, open_session
from dev.bench.installation import Installation

PATIENCE_SECONDS = 600.0


class _Metadata(msgspec.Struct):
    name: str


class _Object(msgspec.Struct):
    metadata: _Metadata


class _Event(msgspec.Struct):
    type: str
    object: _Object


class Completions:
    """The jobs that were seen as Completed since the watch began: `at` has the wall clock's time by name."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self._news = asyncio.Event()

    async def wait_for(self, count: int, patience: float = PATIENCE_SECONDS) -> None:
        """Until so many are. Raises TimeoutError."""
        async with asyncio.timeout(patience):
            while len(self.at) < count:
                self._news.clear()
                await self._news.wait()

    async def _read(self, answer: aiohttp.ClientResponse) -> None:
        decoder = msgspec.json.Decoder(_Event)
        async for line in answer.content:
            event = decoder.decode(line)
            if event.type in ("ADDED", "MODIFIED"):
                self.at.setdefault(event.object.metadata.name, time.time())
                self._news.set()


@contextlib.asynccontextmanager
async def watching(made: Installation) -> AsyncIterator[Completions]:
    """Watch from now on."""
    configuration = await load_configuration(str(made.kubeconfig))
    token = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
    query = {"watch": "true", "resourceVersion": str(await made.version()), "fieldSelector": "status.phase=Completed"}
    url = f"{configuration.host}{paths.jobs(made.namespace)}?{urlencode(query)}"
    headers = {"Authorization": token} if token else {}
    found = Completions()
    async with (
        open_session(configuration, limit=0, headers=headers) as session,
        session.get(url) as answer,
    ):
        answer.raise_for_status()
        reading = asyncio.create_task(found._read(answer))
        try:
            yield found
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
