"""Namespaces that are made for one run on a cluster."""

import contextlib

from controller.domain.errors import NotFound
from controller.kube import paths
from controller.kube.client import KubeClient, items_of

PATH = "/api/v1/namespaces"


async def remove(kube: KubeClient, name: str) -> None:
    """Delete it, with its JennahJobs, whose finalizer no operator takes off any more."""
    for job in items_of(await kube.get(paths.jobs(name))):
        with contextlib.suppress(NotFound):
            await kube.merge_patch(paths.job(name, job["metadata"]["name"]), {"metadata": {"finalizers": None}})
    with contextlib.suppress(NotFound):
        await kube.delete(f"{PATH}/{name}")
