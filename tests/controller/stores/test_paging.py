"""Page tokens come from outside: whatever they are, they are a token of ours or refused."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.errors import Invalid
from controller.stores.paging import Position, decode, encode


@given(st.datetimes(timezones=st.just(UTC)), st.text(max_size=40))
def test_a_token_is_the_position_it_was_made_from(created_at: datetime, job_id: str) -> None:
    position = Position(created_at=created_at, job_id=job_id)
    assert decode(encode(position)) == position


@pytest.mark.parametrize("content", ["[]", '["2026-01-01T00:00:00","j"]', '["0001-01-01T00:00:00+14:00","j"]', "{}"])
def test_forged_tokens_are_refused(content: str) -> None:
    with pytest.raises(Invalid):
        decode(base64.urlsafe_b64encode(content.encode()).decode())


@given(st.text())
def test_any_text_is_a_token_or_refused(token: str) -> None:
    try:
        decode(token)
    except Invalid:
        pass
