"""What is read in lists: jobs, audit rows, notifications. Called by `dynamodb` only."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from controller.domain.errors import Invalid, Permanent
from controller.domain.phases import Phase
from controller.domain.records import JobRow
from controller.ports import Page
from controller.stores import dynamodb_keys as keys
from controller.stores import dynamodb_rows as rows
from controller.stores import paging
from controller.stores.dynamodb_calls import Calls
from controller.stores.dynamodb_keys import Item

_FILTERED_CHUNK = 500
"""Rows read at a time where a filter may drop most of them."""
_FIRST, _LAST = "0", ":"
"""Before and after every time."""


class Span(NamedTuple):
    """A stretch of a tenant's list."""

    tenant_id: str
    low: str
    """At least this sort key."""
    high: str
    """Before this sort key."""


def span(tenant_id: str, page_token: str, created_after: datetime | None) -> Span:
    """From the newest job, or the token's, down to that time. Raises Invalid for a bad token."""
    low, high = _FIRST, _LAST
    if created_after is not None:
        low = keys.time_text(created_after) + "$"  # "$" comes after "#": after all jobs of that moment
    if page_token:
        last = paging.decode(page_token)
        try:
            high = keys.entry(tenant_id, last.created_at, last.job_id).sk
        except Permanent as error:  # no time of ours
            raise Invalid("page_token is not a token of an earlier page") from error
    return Span(tenant_id, low, high)


async def page(calls: Calls, within: Span, *, page_size: int | None, status: Phase | None) -> Page:
    """The newest jobs of that stretch; all of them where page_size is None."""
    chunk = page_size
    if page_size is not None and status is not None:
        chunk = max(page_size, _FILTERED_CHUNK)
    jobs: list[JobRow] = []
    while True:
        entries, is_end = await _entries(calls, within, chunk)
        jobs += [job for job in await _jobs(calls, within.tenant_id, entries) if status in (None, job.status)]
        # One more than asked for tells that there is a next page.
        if is_end or (page_size is not None and len(jobs) > page_size):
            break
        within = within._replace(high=entries[-1]["sk"]["S"])
    if page_size is None or len(jobs) <= page_size:
        return Page(jobs=tuple(jobs))
    last = jobs[page_size - 1]
    token = paging.encode(paging.Position(created_at=last.created_at, job_id=last.job_id))
    return Page(jobs=tuple(jobs[:page_size]), next_token=token)


async def transitions(calls: Calls, pk: str) -> list[Item]:
    """The audit rows beside a job's row, oldest first."""
    return await calls.query(pk, sk=_prefixed(keys.TRANSITION))


async def notifications(calls: Calls, tenant_id: str, limit: int) -> list[Item]:
    """The tenant's newest notifications."""
    pk = keys.notifications_pk(tenant_id)
    return await calls.query(pk, sk=_prefixed(keys.NOTIFICATION), most=limit, ScanIndexForward=False)


async def count_unread(calls: Calls, tenant_id: str) -> int:
    """The tenant's pointers that stand under UNREAD: 150 bytes a notification are read."""
    return len(await calls.query(keys.notifications_pk(tenant_id), sk=_prefixed(keys.UNREAD)))


async def _entries(calls: Calls, within: Span, chunk: int | None) -> tuple[list[Item], bool]:
    """At least chunk + 1 entries of the list, all where chunk is None; whether they were the last ones."""
    if within.low > within.high:  # DynamoDB refuses such a question
        return [], True
    # Two more: one tells that there are more, one may be the entry that the stretch ends before.
    most = None if chunk is None else chunk + 2
    found = await calls.query(
        keys.list_pk(within.tenant_id), sk=(within.low, within.high), most=most, ScanIndexForward=False
    )
    return [entry for entry in found if entry["sk"]["S"] != within.high], most is None or len(found) < most


async def _jobs(calls: Calls, tenant_id: str, entries: Sequence[Item]) -> list[JobRow]:
    """Their rows, in their order. One that was deleted meanwhile is left out."""
    wanted = keys.listed_rows(tenant_id, entries)
    found = await calls.get_all(wanted)
    return [rows.job_row(found[key]) for key in wanted if rows.has_row(found.get(key))]


def _prefixed(prefix: str) -> tuple[str, str]:
    """The sort keys that begin so: what follows are digits and letters, all before "~"."""
    return prefix, prefix + "~"
