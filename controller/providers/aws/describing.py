"""What DescribeJobs said of each job, kept and brought up to date by the lists; described anew where they do not tell.

ListJobs says where a job is, not whose it is (tags), how often it was tried and where its log is. So a job is
described when it is seen first, when it begins to run, when it goes back and when it left the active lists.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from controller.domain.errors import JennahError, Throttled
from controller.ports import Clock, Observation
from controller.providers.aws import observation as meaning
from controller.providers.aws.connection import AwsConnection
from controller.providers.aws.errors import Refused
from controller.providers.aws.observation import ORDER, NativeState
from controller.providers.aws.wire import Detail, Summary

DESCRIBE_PAGE = 100
"""What the service takes at most in a call."""
CALLS_A_ROUND = 50
"""DescribeJobs of one round; what is beyond has its turn in the next ones."""
AT_ONCE = 4
"""Of a round's calls: the others' calls find a place between them."""
LOG_STREAM_SECONDS = 60.0
"""How long after its start a job without a log stream is described again for it."""
WAITING_SECONDS = 300.0
"""How often a job that waits for a machine is described, where the list does not say why it waits."""
TASKS_ASKED = 100
"""Failed tasks that are asked for of a failed array: one of them may tell why, or that we ended it, where others do
not."""


class Known(msgspec.Struct, frozen=True):
    """What was made of a job in the last round."""

    summary: Summary | None
    """As the list had it; None where it was in none."""
    detail: Detail
    seen: Observation | None
    described_at: float
    """By the monotonic clock."""


class Describing:
    """The details of jobs, by id."""

    def __init__(self, connection: AwsConnection, region: str, clock: Clock) -> None:
        self._connection = connection
        self._region = region
        self._clock = clock
        self._known: dict[str, Known] = {}
        self._unknown: set[str] = set()
        """Ids that the service did not know."""
        self._turns: dict[str, int] = {}
        """By id, in which call it was asked for last."""
        self._calls = 0

    def known(self, job_id: str) -> Known | None:
        return self._known.get(job_id)

    def is_unknown(self, job_id: str) -> bool:
        """Whether the service was asked for that job, and did not know it."""
        return job_id in self._unknown

    def keep(self, ids: Collection[str]) -> None:
        """Forget all jobs but these."""
        self._known = {job_id: self._known[job_id] for job_id in ids if job_id in self._known}
        self._turns = {job_id: self._turns[job_id] for job_id in ids if job_id in self._turns}
        self._unknown.intersection_update(ids)

    async def describe(self, ids: Collection[str], until: float | None = None) -> dict[str, Detail]:
        """The details of these jobs by id; those that the service does not know are left out."""
        chunks = list(_chunks(sorted(set(ids)), DESCRIBE_PAGE))
        replies = await asyncio.gather(
            *(self._connection.read("DescribeJobs", {"jobs": chunk}, until=until) for chunk in chunks)
        )
        return {job.job_id: job for reply in replies for job in reply.jobs}

    async def meaning_of(self, job: Detail, until: float | None = None) -> Observation | None:
        """What a job's details mean; of a failed array some failed tasks are asked why."""
        if not _is_failed_array(job):
            return meaning.observation(job, self._region)
        wanted = {"arrayJobId": job.job_id, "jobStatus": NativeState.FAILED.value, "maxResults": TASKS_ASKED}
        try:
            tasks = (await self._connection.read("ListJobs", wanted, until=until)).job_summary_list
        except Refused:
            tasks = ()  # the service has forgotten the array since; that it failed is known
        return meaning.observation(job, self._region, tasks)

    async def look(self, ids: Iterable[str], active: Mapping[str, Summary], until: float) -> None:
        """Bring what is known of these jobs up to date, by the lists and by `CALLS_A_ROUND` calls begun before `until`.

        What was told is kept, whatever fails later; what was not is as it was, and first in the next round. Raises
        what `AwsConnection.read` raises, but for a Throttled after part of it was told.
        """
        stale = [job_id for job_id in ids if not self._is_told(job_id, active.get(job_id))]
        stale.sort(key=lambda job_id: self._turns.get(job_id, -1))
        chunks = deque(_chunks(stale[: CALLS_A_ROUND * DESCRIBE_PAGE], DESCRIBE_PAGE))
        failures: list[JennahError] = []
        told: list[int] = []

        async def work() -> None:
            while chunks and not failures and self._clock.monotonic() < until:
                try:
                    found = await self._ask(chunks.popleft(), until)
                    told.append(len(found))
                    await self._take_in(found, active, until)
                except JennahError as error:
                    failures.append(error)

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        for error in failures:
            if not (told and isinstance(error, Throttled)):
                raise error

    async def _ask(self, ids: list[str], until: float) -> list[Detail]:
        self._calls += 1
        self._turns.update(dict.fromkeys(ids, self._calls))  # also where it fails: others have their turn then
        reply = await self._connection.read("DescribeJobs", {"jobs": ids}, until=until)
        found: dict[str, Detail] = {job.job_id: job for job in reply.jobs}
        unknown = set(ids) - found.keys()
        self._unknown = (self._unknown - found.keys()) | unknown
        for job_id in unknown:
            self._known.pop(job_id, None)
        return list(found.values())

    async def _take_in(self, jobs: list[Detail], active: Mapping[str, Summary], until: float) -> None:
        """Keep what these mean; of failed arrays, which come last, it takes a call each."""
        for job in sorted(jobs, key=_is_failed_array):
            if _is_failed_array(job) and self._clock.monotonic() >= until:
                return
            seen = await self.meaning_of(job, until)
            self._known[job.job_id] = Known(active.get(job.job_id), job, seen, self._clock.monotonic())

    def _is_told(self, job_id: str, summary: Summary | None) -> bool:
        """Whether what is known of that job is, with what the list says, all there is to know."""
        before = self._known.get(job_id)
        now = self._told_by_list(before, summary) if before is not None else None
        if now is not None:
            self._known[job_id] = now
        return now is not None

    def _told_by_list(self, before: Known, summary: Summary | None) -> Known | None:
        """What the list says of a job that was described before. None: it has to be described again."""
        if before.seen is not None and before.seen.has_ended:
            return before  # the list is older
        if summary is None or self._is_silent(before, summary):
            return None
        if before.summary == summary and not self._lacks_log(before):
            return before
        if _needs_details(before, summary):
            return None
        detail = _updated(before.detail, summary)
        return Known(summary, detail, meaning.observation(detail, self._region), before.described_at)

    def _is_silent(self, before: Known, summary: Summary) -> bool:
        """Whether the list, changed or not, lacks what DescribeJobs may have news of."""
        if meaning.is_array(before.detail):
            return summary.array_properties is None or summary.array_properties.status_summary is None
        if summary.status != NativeState.RUNNABLE or summary.status_reason:
            return False
        return self._clock.monotonic() - before.described_at >= WAITING_SECONDS

    def _lacks_log(self, known: Known) -> bool:
        """The name of a log stream comes with RUNNING, or a little later."""
        started = known.seen.started_at if known.seen and known.detail.status == NativeState.RUNNING else None
        if started is None or known.seen is None or known.seen.logs_url or meaning.is_array(known.detail):
            return False
        return (self._clock.now() - started).total_seconds() < LOG_STREAM_SECONDS


def _needs_details(before: Known, summary: Summary) -> bool:
    if before.summary is None or before.detail.status not in ORDER or summary.status not in ORDER:
        return True
    if meaning.is_array(before.detail):
        return False
    has_gone_back = ORDER[NativeState(summary.status)] < ORDER[NativeState(before.detail.status)]
    begins = summary.status == NativeState.RUNNING
    return has_gone_back or begins


def _updated(detail: Detail, summary: Summary) -> Detail:
    """The details, as far as the list has newer ones."""
    has_moved = summary.status != detail.status
    return msgspec.structs.replace(
        detail,
        status=summary.status,
        status_reason=summary.status_reason or (None if has_moved else detail.status_reason),
        started_at=summary.started_at,
        array_properties=summary.array_properties or detail.array_properties,
        is_cancelled=summary.is_cancelled,
        is_terminated=summary.is_terminated,
    )


def _is_failed_array(job: Summary) -> bool:
    return job.status == NativeState.FAILED and meaning.is_array(job)


def _chunks(items: Sequence[str], size: int) -> Iterable[list[str]]:
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk
