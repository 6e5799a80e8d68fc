"""What was made other than asked for: kept in a tag, and told from it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain import conditions, reasons
from controller.domain.differences import condition_of
from controller.providers.aws import remarks, tags

NUMBERS = {word: message.count("{}") for word, (_, _, message) in remarks.MEANINGS.items()}
words = st.fixed_dictionaries(
    {},
    optional={
        word: st.tuples(*[st.integers(0, 10**7)] * count)
        for word, count in {**NUMBERS, remarks.COMMAND: 0, remarks.SPOT: 0}.items()
    },
)


@given(words)
def test_words_come_back_from_the_tag_as_remarks_of_their_fields(found: dict[str, tuple[int, ...]]) -> None:
    text = remarks.encode(found)
    assert not tags._NOT_ALLOWED.search(text)
    told = {one.condition: one for one in remarks.decode(text)}
    for word in found.keys() & NUMBERS.keys():
        field, _, message = remarks.MEANINGS[word]
        assert message.format(*found[word]) in told[condition_of(field)].message
    assert (conditions.ENTRYPOINT_REPLACED in told) == (remarks.COMMAND in found)
    assert remarks.is_spot(text) == (remarks.SPOT in found)


def test_all_that_can_be_told_of_one_job_fits_into_a_tag() -> None:
    apart = [  # words that exclude each other, or need another platform
        {"kept", "memory"},
        {"disk", "diskup", "diskown"},
        {"timeout", "longest"},
        {"losses", "retries"},
        {"spotless", "spot"},
        {"shm", "anygpu"},
        {"gcp", "azure", "kubernetes"},
        {"unsized", "kept"},
    ]
    longest = {word: (10**7,) * count for word, count in {**NUMBERS, remarks.COMMAND: 0, remarks.SPOT: 0}.items()}
    for group in apart:
        lengths = sorted(group & longest.keys(), key=lambda word: len(remarks.encode({word: longest[word]})))
        for shorter in lengths[:-1]:
            longest.pop(shorter)
    assert len(remarks.encode(longest)) <= tags.VALUE_MAX


def test_the_tags_of_earlier_releases_are_understood() -> None:
    told = remarks.decode("cpu=500/1000 memory=3000/4096 timeout=10/60 parallelism=4 disk=50 command")
    assert {(one.condition, one.reason) for one in told} == {
        (conditions.RESOURCES_EXACT, reasons.ROUNDED_UP),
        (conditions.DEADLINE_EXACT, reasons.ROUNDED_UP),
        (conditions.PARALLELISM_HONOURED, reasons.NOT_SUPPORTED),
        (conditions.ENTRYPOINT_REPLACED, reasons.NOT_SUPPORTED),
    }


@pytest.mark.parametrize("text", ["cpu", "cpu=1", "cpu=1/2/3", "cpu=a/b", "disk=²", "later=1", "unsized=1", "gcp=/"])
def test_words_that_are_none_of_ours_are_left_out(text: str) -> None:
    assert remarks.decode(text) == ()


@given(st.text())
def test_any_text_in_the_tag_is_survived(text: str) -> None:
    remarks.decode(text)
