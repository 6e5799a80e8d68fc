"""A page of jobs out of the record and the objects that are not in it yet. Pure.

Both are in the record's own order, newest first and then by job id, so that an object without a row has exactly
one page: the one in whose span it lies. It comes on top of page_size.
"""

import base64
import binascii
from collections.abc import Iterable
from datetime import datetime

import msgspec

from controller.domain.errors import Invalid
from controller.domain.records import JobRow
from controller.ports import Page

Key = tuple[datetime, str]


class Token(msgspec.Struct, frozen=True, array_like=True):
    """Where a page begins: the record's own token, and the last row before it."""

    record: str
    created_at: datetime
    job_id: str

    @property
    def key(self) -> Key:
        return (self.created_at, self.job_id)


def encode(token: Token) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(token)).decode("ascii").rstrip("=")


def decode(text: str) -> Token | None:
    """None for the first page. Raises Invalid for what is no token of ours."""
    if not text:
        return None
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        token = msgspec.json.decode(raw, type=Token)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        token = None
    if token is None or token.created_at.tzinfo is None or not token.record:
        raise Invalid("page_token is not a token of an earlier page")
    return token


def merge(page: Page, unrecorded: Iterable[JobRow], *, after: Token | None) -> Page:
    """The record's page with the jobs that it does not have and that belong there; the token of the next one."""
    known = {row.job_id for row in page.jobs}
    missing = [row for row in unrecorded if row.job_id not in known and _is_within(_key(row), page, after)]
    jobs = tuple(newest_first([*page.jobs, *missing])) if missing else page.jobs
    if not page.next_token:
        return Page(jobs=jobs)
    last = page.jobs[-1]
    token = Token(record=page.next_token, created_at=last.created_at, job_id=last.job_id)
    return Page(jobs=jobs, next_token=encode(token))


def newest_first(rows: Iterable[JobRow]) -> list[JobRow]:
    return sorted(rows, key=_key, reverse=True)


def _key(row: JobRow) -> Key:
    return (row.created_at, row.job_id)


def _is_within(key: Key, page: Page, after: Token | None) -> bool:
    """Between the last row of the page before and the last one of this; the last page has no end."""
    if after is not None and key >= after.key:
        return False
    return not page.next_token or key > _key(page.jobs[-1])
