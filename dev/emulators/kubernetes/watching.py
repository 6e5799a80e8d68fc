"""Watching whole objects: all Jobs of a cluster, and their Pods."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from controller.clock import SystemClock
from controller.kube.client import KubeClient
from controller.kube.listwatch import ListWatch
from dev.emulators.kubernetes.objects import Object

log = logging.getLogger(__name__)

JOBS = "/apis/batch/v1/jobs"
PODS = "/api/v1/pods"
OWNED = "batch.kubernetes.io/controller-uid"
"""A label of each Pod of a Job."""


class Sink:
    """`listwatch.Sink` of whole objects."""

    def __init__(self, put: Any, remove: Any, listed: Any = lambda: None) -> None:
        self._put, self._remove, self._listed = put, remove, listed
        self._known: dict[str, Object] = {}

    def replace(self, items: Sequence[Object], version: int) -> None:
        there = {item["metadata"]["uid"] for item in items}
        for uid in self._known.keys() - there:
            self.remove(self._known[uid])
        for item in items:
            self.put(item)
        self._listed()

    def put(self, item: Object) -> None:
        self._known[item["metadata"]["uid"]] = item
        self._put(item)

    def remove(self, item: Object) -> None:
        self._known.pop(item["metadata"]["uid"], None)
        self._remove(item)


def watching(client: KubeClient, path: str, selector: str, sink: Sink) -> ListWatch[dict[str, Any]]:
    """A watch to be run."""
    return ListWatch(
        client,
        path,
        selector=selector,
        kind=dict[str, Any],
        sink=sink,
        clock=SystemClock(),
        changed=lambda: None,
    )


def tell_of_a_failure(task: asyncio.Task[None]) -> None:
    """For tasks that play: one that cannot go on, as the API server refuses what is written, is our fault."""
    if not task.cancelled() and task.exception() is not None:
        log.error("a Job is not played any more", exc_info=task.exception())
