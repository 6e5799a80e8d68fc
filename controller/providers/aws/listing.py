"""All active jobs in few calls: the lists of the active states, and DescribeJobs only for what they do not tell.

ListJobs says where a job is, not whose it is (tags), how often it was tried and where its log is. So a job is
described when it is seen first, when it begins to run, when it goes back and when it left the active lists.
"""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from controller.cloud_settings import AwsSettings
from controller.domain.errors import JennahError, Unavailable
from controller.ports import Clock, JobRef, Observation
from controller.providers.aws import observation as meaning
from controller.providers.aws import queues, tags
from controller.providers.aws.connection import AwsConnection
from controller.providers.aws.errors import Refused
from controller.providers.aws.observation import ACTIVE, ORDER, NativeState
from controller.providers.aws.wire import Detail, Summary

LIST_PAGE = 1000
NAME_PAGE = 100
"""What the service gives at most in a page, by state and by name."""
DESCRIBE_PAGE = 100
NAMES_A_ROUND = 100
"""Jobs of unknown path that one round looks for by name; those beyond are in doubt, and asked for singly."""
LOG_STREAM_SECONDS = 60.0
"""How long after its start a job without a log stream is described again for it."""


class Known(msgspec.Struct, frozen=True):
    """What was made of a job in the last round."""

    summary: Summary | None
    """As the list had it; None where it was in none."""
    detail: Detail
    seen: Observation | None


class Listing:
    """The jobs of the configured queues, and of the queues that specs name."""

    def __init__(self, connection: AwsConnection, settings: AwsSettings, clock: Clock) -> None:
        self._connection = connection
        self._settings = settings
        self._clock = clock
        self._known: dict[str, Known] = {}
        self._ids: dict[str, str] = {}
        """By name, those of the last round: a name that was looked for once is not looked for again."""

    async def observe(self, refs: Collection[JobRef], ids: Mapping[str, str]) -> dict[str, Observation]:
        """How these jobs stand, by name; `ids` are job ids by name, as far as they are known.

        A name without an id is looked for among the active jobs, then by itself.
        """
        if not refs:
            self._known, self._ids = {}, {}
            return {}
        names = {queue for ref in refs for queue in queues.possible(ref.spec, self._settings)}
        active = await self._active(sorted(names))
        ids = {**self._ids, **ids}
        wanted = {ref.external_name: ids[ref.external_name] for ref in refs if ref.external_name in ids}
        nameless = {ref.external_name: ref for ref in refs if ref.external_name not in ids}
        wanted |= await self._by_name(nameless, active)
        self._ids = wanted
        self._known = await self._look(wanted.values(), active)
        return {
            name: known.seen
            for name, job_id in wanted.items()
            if (known := self._known.get(job_id)) is not None and known.seen is not None
        }

    async def named(self, name: str, uid: str, in_queues: Iterable[str]) -> list[tuple[Detail, Observation]]:
        """Every job of that name that carries that uid, the oldest first. Raises Unavailable where one of them is
        listed and not described: the service is not of one mind yet.
        """
        pages = await asyncio.gather(*(self._named_in(queue, name) for queue in in_queues))
        listed = [job for page in pages for job in page if job.job_name == name]
        details = await self.describe([job.job_id for job in listed])
        if any(job.job_id not in details for job in listed):
            raise Unavailable(f"AWS Batch in {self._settings.region} lists a job that it does not describe yet")
        ours = [job for job in details.values() if (job.tags or {}).get(tags.UID) == uid]
        ours.sort(key=lambda job: (job.created_at or 0.0, job.job_id))
        seen = [(job, await self.meaning_of(job)) for job in ours]
        return [(job, one) for job, one in seen if one is not None]

    async def describe(self, ids: Collection[str]) -> dict[str, Detail]:
        """The details of these jobs by id; those that the service does not know are left out."""
        chunks = list(_chunks(sorted(set(ids)), DESCRIBE_PAGE))
        replies = await asyncio.gather(*(self._connection.read("DescribeJobs", {"jobs": chunk}) for chunk in chunks))
        return {job.job_id: job for reply in replies for job in reply.jobs}

    async def meaning_of(self, job: Detail) -> Observation | None:
        """What a job's details mean; of a failed array one failed task is asked why."""
        task = None
        if job.status == NativeState.FAILED and meaning.is_array(job):
            wanted = {"arrayJobId": job.job_id, "jobStatus": NativeState.FAILED.value, "maxResults": 1}
            page = await self._connection.read("ListJobs", wanted)
            task = page.job_summary_list[0] if page.job_summary_list else None
        return meaning.observation(job, self._settings.region, task)

    async def _active(self, names: Sequence[str]) -> dict[str, Summary]:
        """The active jobs of these queues by id; of a job that was seen twice the later."""
        found: dict[str, Summary] = {}
        for jobs in await asyncio.gather(*(self._active_in(queue) for queue in names)):
            found.update(jobs)
        return found

    async def _active_in(self, queue: str) -> dict[str, Summary]:
        """In the order of a job's life: one that moves on meanwhile is seen twice, not missed (providers.md §2b)."""
        found: dict[str, Summary] = {}
        for state in ACTIVE:
            wanted = {"jobQueue": queue, "jobStatus": state.value, "maxResults": LIST_PAGE}
            for job in await self._pages(queue, wanted):
                found[job.job_id] = job
        return found

    async def _named_in(self, queue: str, name: str) -> list[Summary]:
        """Jobs of that name in every state; the filter takes other capitals for the same, so others can be there."""
        filters = [{"name": "JOB_NAME", "values": [name]}]
        return await self._pages(queue, {"jobQueue": queue, "filters": filters, "maxResults": NAME_PAGE})

    async def _pages(self, queue: str, wanted: Mapping[str, Any]) -> list[Summary]:
        found: list[Summary] = []
        token: str | None = None
        while True:
            more = {"nextToken": token} if token else {}
            try:
                page = await self._connection.read("ListJobs", {**wanted, **more})
            except Refused as refused:
                words = refused.failure.words.lower()
                if queue not in queues.configured(self._settings) and "does not exist" in words:
                    return []  # a queue of a spec that was removed: it had to be empty for that
                raise
            found += page.job_summary_list
            token = page.next_token
            if not token:
                return found

    async def _by_name(self, refs: Mapping[str, JobRef], active: Mapping[str, Summary]) -> dict[str, str]:
        """Job ids of jobs whose path is not known."""
        candidates: dict[str, list[Summary]] = defaultdict(list)
        for job in active.values() if refs else ():
            if job.job_name in refs:
                candidates[job.job_name].append(job)
        new = {job.job_id: job for jobs in candidates.values() for job in jobs if job.job_id not in self._known}
        for detail in (await self.describe(new)).values():
            self._known[detail.job_id] = Known(new[detail.job_id], detail, await self.meaning_of(detail))
        found: dict[str, str] = {}
        missing: list[JobRef] = []
        for name, ref in refs.items():
            of_us = [job for job in candidates[name] if self._is_known_as(job.job_id, ref.uid)]
            if of_us:
                found[name] = min(of_us, key=lambda job: (job.created_at or 0.0, job.job_id)).job_id
            else:
                missing.append(ref)
        looked = await asyncio.gather(*(self._by_name_alone(ref) for ref in missing[:NAMES_A_ROUND]))
        return found | {name: job_id for name, job_id in looked if job_id}

    def _is_known_as(self, job_id: str, uid: str) -> bool:
        known = self._known.get(job_id)
        return known is not None and (known.detail.tags or {}).get(tags.UID) == uid

    async def _by_name_alone(self, ref: JobRef) -> tuple[str, str | None]:
        try:
            ours = await self.named(ref.external_name, ref.uid, queues.possible(ref.spec, self._settings))
        except Refused:
            raise
        except JennahError:
            return ref.external_name, None  # in doubt
        return ref.external_name, ours[0][0].job_id if ours else None

    async def _look(self, ids: Iterable[str], active: Mapping[str, Summary]) -> dict[str, Known]:
        """What is known of each now, described where the lists do not tell it."""
        known: dict[str, Known] = {}
        stale: list[str] = []
        for job_id in ids:
            before, summary = self._known.get(job_id), active.get(job_id)
            now = self._told_by_list(before, summary) if before is not None else None
            if now is not None:
                known[job_id] = now
            else:
                stale.append(job_id)
        details = await self.describe(stale)
        meanings = await asyncio.gather(*(self.meaning_of(job) for job in details.values()))
        for job, seen in zip(details.values(), meanings, strict=True):
            known[job.job_id] = Known(active.get(job.job_id), job, seen)
        return known

    def _told_by_list(self, before: Known, summary: Summary | None) -> Known | None:
        """What the list says of a job that was described before. None: it has to be described again."""
        if summary is None:
            has_ended = before.seen is not None and before.seen.has_ended
            return before if has_ended else None
        if before.seen is not None and before.seen.has_ended:
            return before  # the list is older
        if before.summary == summary and not self._lacks_log(before):
            return before
        if self._needs_details(before, summary):
            return None
        detail = msgspec.structs.replace(
            before.detail,
            status=summary.status,
            status_reason=summary.status_reason,
            started_at=summary.started_at,
            array_properties=summary.array_properties or before.detail.array_properties,
            is_cancelled=summary.is_cancelled,
            is_terminated=summary.is_terminated,
        )
        return Known(summary, detail, meaning.observation(detail, self._settings.region))

    def _needs_details(self, before: Known, summary: Summary) -> bool:
        if before.summary is None or before.detail.status not in ORDER or summary.status not in ORDER:
            return True
        if meaning.is_array(summary):
            return summary.array_properties is None or summary.array_properties.status_summary is None
        has_gone_back = ORDER[NativeState(summary.status)] < ORDER[NativeState(before.detail.status)]
        begins = summary.status == NativeState.RUNNING
        return has_gone_back or begins

    def _lacks_log(self, known: Known) -> bool:
        """The name of a log stream comes with RUNNING, or a little later."""
        started = known.seen.started_at if known.seen and known.detail.status == NativeState.RUNNING else None
        if started is None or known.seen is None or known.seen.logs_url or meaning.is_array(known.detail):
            return False
        return (self._clock.now() - started).total_seconds() < LOG_STREAM_SECONDS


def _chunks(items: Sequence[str], size: int) -> Iterable[list[str]]:
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk
