"""The rule that all stores share, held against any history that processes can produce."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.errors import Permanent
from controller.domain.phases import Phase
from controller.domain.records import JobRow, Transition
from controller.stores.merge import FACTS, Stored, merge

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def transition(
    number: int, phase: Phase, uid: str = "u", destination: str | None = None, **facts: object
) -> Transition:
    at = NOON + timedelta(seconds=number)
    row = JobRow(tenant_id="t", job_id="j", status=phase, created_at=at, updated_at=at, **facts)
    return Transition(uid=uid, number=number, from_phase=None, row=row, at=at, reason="r", destination=destination)


TRANSITIONS = st.builds(
    transition,
    st.integers(0, 5),
    st.sampled_from(Phase),
    name=st.none() | st.sampled_from("ab"),
    started_at=st.none() | st.just(NOON),
    destination=st.sampled_from([None, "here", "there"]),
    commands=st.sampled_from([(), ("x",)]),
    retry_count=st.integers(0, 3),
)


def replay(history: list[Transition]) -> list[Stored]:
    states: list[Stored] = []
    for one in history:
        states.append(merge(states[-1] if states else None, one).stored)
    return states


@given(st.lists(TRANSITIONS, min_size=2, max_size=8))
def test_whatever_is_written_nothing_known_is_lost_and_nothing_goes_back(history: list[Transition]) -> None:
    states = replay(history)
    for before, after in pairwise(states):
        assert after.number >= before.number
        assert after.row.created_at == before.row.created_at
        assert after.row.retry_count >= before.row.retry_count
        assert before.destination is None or after.destination == before.destination
        assert not before.row.status.is_terminal or after.row.status is before.row.status
        for field in FACTS:
            assert getattr(before.row, field) in (None, ()) or getattr(after.row, field) not in (None, ())


@given(st.lists(TRANSITIONS, min_size=1, max_size=6))
def test_writing_the_last_applied_transition_again_changes_nothing(history: list[Transition]) -> None:
    state: Stored | None = None
    for one in history:
        state = merge(state, one).stored
        again = merge(state, one)
        assert again.stored == state
        assert not again.is_changed
        assert not again.is_applied


@given(st.lists(TRANSITIONS, min_size=1, max_size=8))
def test_each_number_is_applied_at_most_once_and_at_most_one_end_is(history: list[Transition]) -> None:
    state: Stored | None = None
    applied: list[Transition] = []
    for one in history:
        merged = merge(state, one)
        state = merged.stored
        applied += [one] if merged.is_applied else []
    numbers = [one.number for one in applied]
    assert numbers == sorted(set(numbers))
    assert sum(one.row.status.is_terminal for one in applied) <= 1


@pytest.mark.parametrize("back", [Phase.SCHEDULED, Phase.PENDING])
def test_retries_are_what_the_service_counts_and_going_back_is_none_by_itself(back: Phase) -> None:
    """A machine that was taken back is no failure of the program."""
    running = merge(None, transition(0, Phase.RUNNING, max_retries=3)).stored
    waiting = merge(running, transition(1, back, max_retries=3)).stored
    assert waiting.row.retry_count == 0
    again = merge(waiting, transition(2, Phase.RUNNING, max_retries=3, retry_count=1)).stored
    assert again.row.retry_count == 1
    assert merge(again, transition(3, back, max_retries=3)).stored.row.retry_count == 1, "a count never goes back"


def test_another_objects_transition_is_refused() -> None:
    stored = merge(None, transition(0, Phase.PENDING)).stored
    with pytest.raises(Permanent, match="another JennahJob"):
        merge(stored, transition(1, Phase.RUNNING, uid="other"))
