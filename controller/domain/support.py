"""What a service makes of a field of the spec: the declaration behind the table of docs/jennahjob.md. Pure data.

Each provider declares a cell for every field in its `support` module. A test maps every field through every adapter
and compares; the table, the CRD's descriptions and the chart's documentation are generated from it.
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from controller.domain.differences import condition_of


class Support(StrEnum):
    """The kinds of cells."""

    HONOURED = "honoured"
    ROUNDED = "rounded"
    """The service has other sizes or limits; a condition has both numbers where they differ."""
    PER_ATTEMPT = "per attempt"
    NOT_HONOURED = "not honoured"
    """It changes nothing, and a condition says so."""
    REFUSED = "refused"
    """The job fails with InvalidSpec before anything is sent."""
    BY_OPERATOR = "by the operator"
    """The service does not see it: the operator does it, alike on all services."""


class Cell(msgspec.Struct, frozen=True):
    """One cell: the kind, and how it is rounded, what it becomes or why it is refused."""

    support: Support
    how: str = ""
    """A few words without a full stop. "" where there is nothing to add."""
    condition: str = ""
    """The type of the condition that tells a difference; "" where there is none to tell."""

    @property
    def text(self) -> str:
        """As the table has it."""
        told = f" (condition `{self.condition}`)" if self.condition else ""
        return f"{self.support.value}{': ' + self.how if self.how else ''}{told}"


Column = Mapping[str, Cell]
"""Cells by field, such as ``resources.gpu``."""


def honoured(how: str = "") -> Cell:
    """The service does what the field says."""
    return Cell(Support.HONOURED, how)


def per_attempt(how: str = "") -> Cell:
    """It holds for each attempt of each task."""
    return Cell(Support.PER_ATTEMPT, how)


def rounded(field: str, how: str) -> Cell:
    """The service has only some values; a condition tells where the job's is none of them."""
    return Cell(Support.ROUNDED, how, condition_of(field))


def not_honoured(field: str, how: str = "", *, condition: str = "") -> Cell:
    """It changes nothing there; a condition says so."""
    return Cell(Support.NOT_HONOURED, how, condition or condition_of(field))


def refused(why: str) -> Cell:
    """A job with that field is refused."""
    return Cell(Support.REFUSED, why)


def by_operator(how: str = "") -> Cell:
    """The operator does it."""
    return Cell(Support.BY_OPERATOR, how)
