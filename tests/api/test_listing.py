"""Pages out of the record and the objects that it does not have: every job once, in one order."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import listing
from controller.domain.errors import Invalid
from controller.domain.phases import Phase
from controller.domain.records import JobRow
from controller.ports import Page
from controller.stores import paging
from tests.controller.fakes import START

keys = st.tuples(st.integers(0, 5), st.sampled_from("abcdefgh"))


def row(second: int, name: str) -> JobRow:
    at = START + timedelta(seconds=second)
    return JobRow(tenant_id="t", job_id=f"{name}{second}", status=Phase.PENDING, created_at=at, updated_at=at)


def record_page(rows: list[JobRow], token: str, size: int) -> Page:
    """A page as every store makes it."""
    after = paging.decode(token) if token else None
    left = [r for r in rows if after is None or (r.created_at, r.job_id) < (after.created_at, after.job_id)]
    if len(left) <= size:
        return Page(jobs=tuple(left))
    last = paging.Position(created_at=left[size - 1].created_at, job_id=left[size - 1].job_id)
    return Page(jobs=tuple(left[:size]), next_token=paging.encode(last))


@given(recorded=st.sets(keys), unrecorded=st.sets(keys), size=st.integers(1, 5))
def test_all_pages_together_are_all_jobs_newest_first(
    recorded: set[tuple[int, str]], unrecorded: set[tuple[int, str]], size: int
) -> None:
    rows = listing.newest_first(row(*key) for key in recorded)
    # A job of the record whose object no controller has taken up yet is among the unrecorded as well.
    objects = [row(*key) for key in unrecorded]
    seen: list[JobRow] = []
    token = ""
    while True:
        after = listing.decode(token)
        page = listing.merge(record_page(rows, after.record if after else "", size), objects, after=after)
        seen += page.jobs
        token = page.next_token
        if not token:
            break
    assert seen == listing.newest_first(row(*key) for key in recorded | unrecorded)


@pytest.mark.parametrize(
    "token", ["x", "ä", "e30", "W10", "bnVsbA", "=" * 5, paging.encode(paging.Position(START, "a"))]
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(Invalid, match="page_token"):
        listing.decode(token)


def test_a_token_without_a_zone_is_refused() -> None:
    token = listing.encode(listing.Token(record="r", created_at=START.replace(tzinfo=None), job_id="a"))
    with pytest.raises(Invalid):
        listing.decode(token)
