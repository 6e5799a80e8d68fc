"""Bulk observation: all jobs that are asked for, in as few ListJobs calls as the service has (providers.md §1b).

The list goes from the newest job back, and ends as soon as every job was found or only a few are left, which are got
singly: a job that runs for weeks does not have all those finished since then read in every round.
"""

import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from controller.domain.errors import Forbidden, Retryable, Throttled, Unavailable
from controller.ports import Clock, JobRef
from controller.providers.gcp import labels
from controller.providers.gcp.calls import Refused, TimedOut
from controller.providers.gcp.observation import uid_of
from controller.providers.gcp.places import Place, external_name

log = logging.getLogger(__name__)

PAGE_SIZE = 1000
MIN_PAGE_SIZE = 50
"""Pages that take too long are halved down to this."""
GROW_AFTER = 50
"""So many pages in time, and the next one is twice as large again: finding out that it is too large costs 8 s."""
REPEATS = 3
"""How often a page is asked for again before the round fails, and with it all pages before that one."""
REPEAT_SECONDS = 0.5
"""The pause before the first repeat; each one is twice as long. A throttled call waits for its place instead."""
FEW = 10
"""As many jobs, when no more are missing, are got singly and not sought in further pages."""
SKEW = timedelta(minutes=10)
"""How much a known submission time (which may be by our clock) may be after the service's creation time."""

MASK = ",".join(
    (
        *(f"jobs.{field}" for field in ("name", "uid", "labels", "createTime", "updateTime", "status")),
        "nextPageToken",
        "unreachable",
    )
)
"""What is needed of a job, about a third of it: task specs with their environments stay at the service. Whether Batch
honours such a mask is UNCONFIRMED: see `Bulk`."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of ListJobs. The jobs are plain protobuf messages."""

    jobs: Collection[Any]
    next_token: str
    unreachable: Collection[str]


ListPage = Callable[[str, str, int, str], Awaitable[Page]]
"""One call: filter, page token, page size, field mask ("" for none)."""


class Bulk:
    """Lists jobs. A field mask that is refused, or that drops what is needed, is not sent again in this process."""

    def __init__(self, place: Place, list_page: ListPage, clock: Clock) -> None:
        self._place = place
        self._list_page = list_page
        self._clock = clock
        self._halvings = 0
        self._in_time = 0
        self._mask = MASK
        self._mask_keeps_tokens = False
        self._takes_filters = True

    @property
    def sends_mask(self) -> bool:
        return bool(self._mask)

    @property
    def page_size(self) -> int:
        """Jobs that the next page may have."""
        return min(PAGE_SIZE, max(MIN_PAGE_SIZE, PAGE_SIZE >> self._halvings))

    async def find(self, refs: Collection[JobRef]) -> tuple[dict[str, Any], list[JobRef]]:
        """The jobs that are there, by external name; and the few that were not looked for to the end.

        Raises Unavailable where some are missing and the service could not read all of its places.
        """
        found, left = await self._search(refs)
        missing = [ref for ref in refs if ref.external_name not in found]
        if self._mask and not self._mask_keeps_tokens and not left and len(missing) > FEW:
            # So many are hardly gone: a mask that also dropped the page token would look the same. Find out, once.
            more, left = await self._search(missing, mask="")
            if more:
                self._give_up_mask("it drops the page token")
            self._mask_keeps_tokens = not more
            found |= more
        return found, left

    async def since(self, time: datetime | None) -> AsyncIterator[Any]:
        """All jobs of this installation that were created since then; None: all that the service still has.

        Page by page: those of two months do not fit into memory together. Raises Unavailable where the service could
        not read all of its places.
        """
        text, token = _filter(self._place.instance, time), ""
        while True:
            page = await self._page(text, token, self._mask)
            if page.unreachable:  # what is not told now is older than what is asked for next
                raise Unavailable(f"the service could not read {', '.join(sorted(page.unreachable))}")
            for job in page.jobs:
                yield job
            token = page.next_token
            if not token:
                return

    async def _search(self, refs: Collection[JobRef], mask: str | None = None) -> tuple[dict[str, Any], list[JobRef]]:
        wanted = {ref.external_name: ref for ref in refs}
        found: dict[str, Any] = {}
        unreachable: set[str] = set()
        text, token = query(self._place.instance, refs), ""
        while wanted:
            page = await self._page(text, token, self._mask if mask is None else mask)
            unreachable.update(page.unreachable)
            for job in page.jobs:
                name = external_name(job.name)
                ref = wanted.get(name)
                if ref is not None and uid_of(job) == ref.uid:
                    found[name] = job
                    del wanted[name]
            token = page.next_token
            if not token:
                if wanted and unreachable:
                    raise Unavailable(f"the service could not read {', '.join(sorted(unreachable))}")
                return found, []
            if len(wanted) <= FEW:
                break
        return found, list(wanted.values())

    async def _page(self, text: str, token: str, mask: str) -> Page:
        """One page, without the mask where that does harm."""
        if not mask or not self._mask:
            return await self._call(text, token, "")
        try:
            page = await self._call(text, token, mask)
        except Refused as refused:
            page = await self._call(text, token, "")
            self._give_up_mask(str(refused))
            return page
        if all(_is_complete(job) for job in page.jobs):
            self._mask_keeps_tokens = self._mask_keeps_tokens or bool(page.next_token)
            return page
        page = await self._call(text, token, "")
        self._give_up_mask("it drops fields that are needed")
        return page

    async def _call(self, text: str, token: str, mask: str) -> Page:
        """One page, without the filter where that is refused: callers know their own jobs."""
        if not self._takes_filters:
            text = ""
        try:
            return await self._repeated(text, token, mask)
        except Refused as refused:
            if token or not text:
                raise
            page = await self._repeated("", token, mask)
            self._takes_filters = False
            log.warning("jobs are listed without a filter, the service does not take it: %s", refused)
            return page

    async def _repeated(self, text: str, token: str, mask: str) -> Page:
        """One page, asked for again where it failed for the moment. Sizes may differ from page to page (AIP-158)."""
        for repeat in itertools.count():
            try:
                page = await self._list_page(text, token, self.page_size, mask)
                break
            except Retryable as error:
                if isinstance(error, TimedOut):
                    self._took_too_long()
                if isinstance(error, Forbidden) or repeat == REPEATS:
                    raise
                if not isinstance(error, Throttled | TimedOut):  # throttled calls wait for their place in the limit
                    await self._clock.sleep(REPEAT_SECONDS * 2**repeat)
        self._came_in_time()
        return page

    def _came_in_time(self) -> None:
        self._in_time += 1
        if self._in_time >= GROW_AFTER and self._halvings:
            self._halvings, self._in_time = self._halvings - 1, 0

    def _took_too_long(self) -> None:
        self._in_time = 0
        if self.page_size > MIN_PAGE_SIZE:
            self._halvings += 1

    def _give_up_mask(self, why: str) -> None:
        if self._mask:
            self._mask = ""
            log.info("jobs are listed in full: the service does not take the field mask (%s)", why)


def query(instance: str, refs: Iterable[JobRef]) -> str:
    """The filter: jobs of this installation, as old as the oldest that is asked for. Without a lower bound where the
    age of one is not known: then every finished job may be read as well (the service keeps them for 60 days)."""
    times = [ref.submitted_at for ref in refs]
    known = [time for time in times if time is not None]
    return _filter(instance, min(known) if known and len(known) == len(times) else None)


def _filter(instance: str, since: datetime | None) -> str:
    ours = f'labels."{labels.INSTANCE}" = "{instance}"'
    return ours if since is None else f'{ours} AND createTime >= "{_rfc3339(since - SKEW)}"'


def _rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_complete(job: Any) -> bool:
    return bool(job.name and job.uid and job.labels and job.HasField("create_time") and job.status.state)
