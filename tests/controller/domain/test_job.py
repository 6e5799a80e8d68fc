"""When a job was created: the API's finer note is believed only where it can be true."""

from datetime import UTC, datetime

import pytest

from controller.domain import names
from controller.domain.job import parse

CREATED = datetime(2026, 1, 1, 12, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        ("2026-01-01T12:00:05.250000+00:00", datetime(2026, 1, 1, 12, 0, 5, 250000, tzinfo=UTC)),
        ("2026-01-01T12:00:04.900000Z", datetime(2026, 1, 1, 12, 0, 4, 900000, tzinfo=UTC)),
        ("1999-01-01T00:00:00Z", CREATED),
        ("2026-01-01T12:00:05", CREATED),
        ("yesterday", CREATED),
        (None, CREATED),
    ],
)
def test_the_note_is_believed_within_a_minute(note: str | None, expected: datetime) -> None:
    annotations = {names.ANNOTATION_SUBMITTED_AT: note} if note else {}
    metadata = {"name": "j", "uid": "u", "creationTimestamp": "2026-01-01T12:00:05Z", "annotations": annotations}
    assert parse({"metadata": metadata, "spec": {"image": "i"}}).created_at == expected
