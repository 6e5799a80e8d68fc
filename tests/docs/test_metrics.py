"""The table of metrics in docs/operations.md: all that the programs export, whose they are, their labels; no others."""

import re

from tests.docs.test_links import ROOT
from tests.exported_metrics import LABELS, REGISTRIES, documented_names

PAGE = (ROOT / "docs" / "operations.md").read_text()
ROWS = [
    tuple(cell.strip(" `") for cell in row.split("|")[1:4]) for row in re.findall(r"^\| `jennah_\w+`.*\|$", PAGE, re.M)
]
"""Name, labels, program."""


def test_each_metric_has_a_line_that_says_whose_it_is_and_there_are_no_others() -> None:
    exported = {program: documented_names(registry) for program, registry in REGISTRIES.items()}
    from_whom = {
        name: "both" if all(name in names for names in exported.values()) else program
        for program, names in exported.items()
        for name in names
    }
    assert len(ROWS) == len({name for name, _, _ in ROWS}) >= 16
    assert {name: program for name, _, program in ROWS} == from_whom


def test_each_line_names_the_labels() -> None:
    documented = {name: {label for label in labels.split(", ") if label} for name, labels, _ in ROWS}
    assert documented == {name: LABELS.get(name, LABELS.get(f"{name}_count")) for name in documented}
