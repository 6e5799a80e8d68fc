"""Namespaces that are made for one run on a cluster."""

import asyncio
import contextlib

from controller.domain.errors import NotFound
from controller.kube import paths
from controller.kube.client import KubeClient, items_of

PATH = "/api/v1/namespaces"
GONE_WITHIN_SECONDS = 60.0
LOOK_SECONDS = 0.5


async def remove(kube: KubeClient, name: str) -> None:
    """Delete it, with its JennahJobs, whose finalizer no operator takes off any more, and wait until it is gone: a run
    of the same name would find it, and lose it. Raises TimeoutError."""
    for job in items_of(await kube.get(paths.jobs(name))):
        with contextlib.suppress(NotFound):
            await kube.merge_patch(paths.job(name, job["metadata"]["name"]), {"metadata": {"finalizers": None}})
    with contextlib.suppress(NotFound):
        await kube.delete(f"{PATH}/{name}")
        async with asyncio.timeout(GONE_WITHIN_SECONDS):
            while True:
                await kube.get(f"{PATH}/{name}")
                await asyncio.sleep(LOOK_SECONDS)
