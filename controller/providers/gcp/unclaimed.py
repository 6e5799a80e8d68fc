"""The jobs of this installation that nobody claims, by the list that observation reads as well.

The service has ended jobs for 60 days and no filter for the others that is documented. So all of them are read once in
a process; after that only those that were created since the last look, or since the oldest that was unclaimed then.
"""

from collections.abc import Callable, Set
from datetime import datetime
from typing import Any

from controller.ports import Clock, Observation, OwnedJob
from controller.providers.gcp import labels, observation
from controller.providers.gcp.bulk import Bulk
from controller.providers.gcp.events import moment

Meaning = Callable[[Any], Observation]
"""What a job of the service means."""


class Unclaimed:
    """Looks for them."""

    def __init__(self, bulk: Bulk, instance: str, clock: Clock, meaning: Meaning) -> None:
        self._instance = instance
        self._bulk = bulk
        self._clock = clock
        self._meaning = meaning
        self._since: datetime | None = None

    async def look(self, claimed: Set[str], ended_since: datetime | None) -> list[OwnedJob]:
        """See `ports.BatchProvider.unclaimed`."""
        begun = self._clock.now()
        found: list[OwnedJob] = []
        oldest = begun
        async for job in self._bulk.since(self._since):
            uid = observation.uid_of(job)
            # The filter has said so already; a job of another installation must not be ended for a filter's fault.
            is_ours = job.labels.get(labels.INSTANCE) == self._instance
            if not uid or not is_ours or uid in claimed:
                continue
            has_ended = _has_ended(job)
            if not has_ended:
                oldest = min(oldest, observation.created_at(job) or oldest)
            elif ended_since is None or not job.HasField("update_time") or moment(job.update_time) < ended_since:
                continue
            found.append(
                OwnedJob(
                    seen=self._meaning(job),
                    has_ended=has_ended,
                    namespace=job.labels.get(labels.NAMESPACE, ""),
                    tenant_id=labels.exact(job.labels, labels.TENANT),
                    job_id=labels.exact(job.labels, labels.JOB_ID),
                    is_left_alone=job.labels.get(labels.DELETION_POLICY) == labels.ORPHAN,
                )
            )
        self._since = oldest
        return found


def _has_ended(job: Any) -> bool:
    phase = observation.PHASES.get(job.status.state)
    return phase is not None and phase.is_terminal
