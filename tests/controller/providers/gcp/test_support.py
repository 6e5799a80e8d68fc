"""The column of the table of fields names every field of the spec and of this service's own block."""

import msgspec

from controller.domain.job import GcpOptions, JobSpec
from controller.providers.gcp.support import COLUMN


def test_every_field_has_a_cell() -> None:
    fields = {field.encode_name for field in msgspec.structs.fields(JobSpec)}
    block = {f"gcp.{field.encode_name}" for field in msgspec.structs.fields(GcpOptions)}
    assert block <= set(COLUMN)
    assert fields - set(COLUMN) == {"resources"}, "which is a field for each of its parts"
    known = {field.partition(".")[0] for field in COLUMN}
    assert known == fields


def test_texts_are_short_and_no_sentences() -> None:
    for cell in COLUMN.values():
        assert len(cell.how) <= 140
        assert not cell.how.endswith(".")
