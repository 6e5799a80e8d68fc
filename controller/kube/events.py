"""Kubernetes events for people: best effort, in the background, and few.

An event is a write to the API server like any other, so under load they are dropped rather than let them
compete with status: a token bucket as in client-go's event broadcaster, and a bounded queue.
"""

import asyncio
import logging
import uuid
from datetime import datetime

from controller.domain import names
from controller.domain.errors import Throttled
from controller.domain.job import Job
from controller.kube import paths
from controller.kube.client import KubeClient, Object
from controller.ports import Clock

log = logging.getLogger(__name__)

COMPONENT = "jennah-controller"
QUEUE_MAX = 200
BURST = 100
PER_SECOND = 10.0
MESSAGE_MAX = 1024


class EventPoster:
    """Posts events one after the other. `post` never waits and never fails."""

    def __init__(self, client: KubeClient, clock: Clock, instance: str) -> None:
        self._client = client
        self._clock = clock
        self._instance = instance
        self._queue: asyncio.Queue[tuple[str, Object]] = asyncio.Queue(QUEUE_MAX)
        self._tokens = float(BURST)
        self._filled_at = clock.monotonic()
        self.dropped = 0

    def post(self, job: Job, *, kind: str, reason: str, message: str) -> None:
        if not self._take_token() or self._queue.full():
            self.dropped += 1
            return
        event = _event(job, kind, reason, message[:MESSAGE_MAX], self._clock.now(), self._instance)
        self._queue.put_nowait((job.metadata.namespace, event))

    async def run(self) -> None:
        """Post what was queued. Runs until it is cancelled."""
        while True:
            namespace, event = await self._queue.get()
            try:
                await self._client.post(paths.events(namespace), event)
            except Exception as error:  # best effort: nothing about an event may end the operator
                self.dropped += 1
                log.debug("event not posted: %s", error)
                if isinstance(error, Throttled):
                    await self._clock.sleep(error.delay)

    def _take_token(self) -> bool:
        now = self._clock.monotonic()
        self._tokens = min(self._tokens + (now - self._filled_at) * PER_SECOND, float(BURST))
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def _event(job: Job, kind: str, reason: str, message: str, now: datetime, instance: str) -> Object:
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{job.metadata.name[:200]}.{uuid.uuid4().hex[:16]}", "namespace": job.metadata.namespace},
        "involvedObject": {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "name": job.metadata.name,
            "namespace": job.metadata.namespace,
            "uid": job.metadata.uid,
            "resourceVersion": job.metadata.resource_version,
        },
        "type": kind,
        "reason": reason,
        "message": message,
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": instance,
    }
