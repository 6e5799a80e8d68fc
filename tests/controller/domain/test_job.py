"""What the API notes on an object is believed only where it can be true."""

from datetime import UTC, datetime

import pytest

from controller.domain import names
from controller.domain.job import Job, parse

CREATED = datetime(2026, 1, 1, 12, 0, 5, tzinfo=UTC)
NOTED = "2026-01-01T12:00:05.250000+00:00"


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        (NOTED, datetime(2026, 1, 1, 12, 0, 5, 250000, tzinfo=UTC)),
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


def submitted(*, name: str = "", job_id: str | None = "j", is_new: str | None = "true", at: str | None = NOTED) -> Job:
    notes = {names.ANNOTATION_NEW_ID: is_new, names.ANNOTATION_SUBMITTED_AT: at}
    annotations = {name: note for name, note in notes.items() if note is not None}
    metadata = {
        "name": name or names.object_name("t", "j", "Nightly"),
        "uid": "u",
        "creationTimestamp": "2026-01-01T12:00:05Z",
        "annotations": annotations,
    }
    spec = {"image": "i", "tenantId": "t", "displayName": "Nightly"} | ({"jobId": job_id} if job_id else {})
    return parse({"metadata": metadata, "spec": spec})


def test_an_id_is_new_where_it_was_made_up_for_this_object() -> None:
    assert submitted().has_new_id
    assert submitted(job_id=None, is_new=None, at=None).has_new_id  # the object's uid is its id


@pytest.mark.parametrize(
    "job",
    [
        submitted(is_new=None),
        submitted(is_new="yes"),
        submitted(job_id="another"),
        submitted(name="a-copy"),
        submitted(name="j"),  # of an earlier release
        submitted(name=names.object_name("u", "j", "Nightly")),
        submitted(at=None),
        submitted(at="2026-01-01T11:00:00Z"),  # a copy of an object of an hour ago
    ],
)
def test_any_other_id_may_have_run_before(job: Job) -> None:
    assert not job.has_new_id
