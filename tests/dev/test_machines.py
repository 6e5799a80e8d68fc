"""The tables of machine types are those that their series make."""

import pytest

from dev.machines import files
from dev.machines.series import Series, table


def test_the_tables_are_current() -> None:
    assert files.stale(writes=False) == [], "python -m dev.machines"


def test_a_series() -> None:
    assert table([Series("e", "s ds", 8, "2 8-4 64=432 96-24=24/672")]) == {
        "e2s": (2, 16384), "e2ds": (2, 16384),
        "e8-4s": (4, 65536), "e8-4ds": (4, 65536),
        "e64s": (64, 442368), "e64ds": (64, 442368),
        "e96-24s": (24, 688128), "e96-24ds": (24, 688128),
    }  # fmt: skip
    assert table([Series("g-", "", 0, "1g=12/85.5/1", "a100")]) == {"g-1g": (12, 87552, 1, "a100")}


@pytest.mark.parametrize(
    "series",
    [
        [Series("m-", "", 4, "small")],
        [Series("g-", "", 0, "1g=12/85/1")],
        [Series("g-", "", 0, "1g=12/85", "a100")],
        [Series("a", "", 4, "2"), Series("a", "", 8, "2")],
    ],
)
def test_a_series_that_says_too_little_or_a_name_twice_is_refused(series: list[Series]) -> None:
    with pytest.raises(ValueError, match=r"does not say|two series"):
        table(series)
