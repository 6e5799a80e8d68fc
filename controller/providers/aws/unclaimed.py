"""The jobs of this installation that nobody claims: from the lists of active jobs, which observation reads as well.

The lists have names only, and a name ends with its JennahJob's uid: what is claimed, or has another name, is passed
over. Of the others the tags are asked for, once: they do not change.
"""

from collections.abc import Set
from datetime import datetime

import msgspec

from controller.domain import names
from controller.ports import OwnedJob
from controller.providers.aws import observation, tags
from controller.providers.aws.listing import Listing
from controller.providers.aws.wire import Detail, Summary


class Unclaimed:
    """Looks for them."""

    def __init__(self, listing: Listing, instance: str, region: str) -> None:
        self._listing = listing
        self._instance = instance
        self._region = region
        self._details: dict[str, Detail] = {}

    async def look(self, claimed: Set[str], ended_since: datetime | None) -> list[OwnedJob]:
        """See `ports.BatchProvider.unclaimed`."""
        active = await self._listing.active()
        ended = await self._listing.ended(ended_since) if ended_since else {}  # afterwards, or one could slip through
        listed = {**ended, **active}
        others = [job for job in listed.values() if _is_other(job, claimed)]
        known = {job.job_id: self._details[job.job_id] for job in others if job.job_id in self._details}
        known |= await self._listing.describe([job.job_id for job in others if job.job_id not in known])
        self._details = known
        found = (self._owned(job, known[job.job_id], claimed) for job in others if job.job_id in known)
        return [job for job in found if job is not None]

    def _owned(self, job: Summary, detail: Detail, claimed: Set[str]) -> OwnedJob | None:
        marks = detail.tags or {}
        uid = marks.get(tags.UID)
        if marks.get(tags.INSTANCE) != self._instance or not uid or uid in claimed:
            return None
        seen = observation.observation(msgspec.structs.replace(detail, status=job.status), self._region)
        if seen is None:
            return None
        return OwnedJob(
            seen=seen,
            has_ended=seen.has_ended,
            namespace=marks.get(tags.NAMESPACE, ""),
            tenant_id=marks.get(tags.TENANT, ""),
            job_id=marks.get(tags.JOB_ID, ""),
            is_left_alone=marks.get(tags.DELETION_POLICY) == tags.ORPHAN,
        )


def _is_other(job: Summary, claimed: Set[str]) -> bool:
    uid = names.uid_in(job.job_name)
    return uid is not None and uid not in claimed
