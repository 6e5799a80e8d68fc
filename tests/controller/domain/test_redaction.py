"""Values are kept out of texts that others wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain import redaction
from tests.controller.providers.gcp.samples import words


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("bad value hunter2hunter2 here", "hunter2hunter2", "bad value *** here"),
        ("bad value 'hunter2hun...'", "hunter2hunter2", "bad value '***...'"),
        ('bad "two\\nlines here"', "two\nlines here", 'bad "***"'),
        ("only the second: lines here", "two\nlines here", "only the second: ***"),
        ("A=1 of 10", "1", "A=*** of 10"),
        ("nothing", "", "nothing"),
        ("data: {A: aHVudGVyMmh1bnRlcjI=}", "hunter2hunter2", "data: {A: ***}"),
        ('quoted say \\"hello\\"', 'say "hello"', "quoted ***"),
    ],
)
def test_values_are_cut_out_of_texts(text: str, value: str, expected: str) -> None:
    assert redaction.without_values(text, [value]) == expected


def test_of_a_megabyte_of_lines_only_those_in_the_text_are_looked_for() -> None:
    """A pattern for each took seconds, in which the operator could not renew its lease."""
    value = "\n".join(f"{number:05}" for number in range(100_000))
    text = "no machine type 12345, nor 678901"
    assert sorted(redaction.traces(text, [value])) == ["12345", "67890", "78901"]
    assert redaction.without_values(text, [value]) == "no machine type ***, nor 678901"


@given(st.text(min_size=6, max_size=40).filter(lambda value: len(value.splitlines()) == 1 and value.strip()), words)
def test_no_value_survives(value: str, around: str) -> None:
    assert value not in redaction.without_values(f"{around}{value}{around}", [value]) or value in "***"
