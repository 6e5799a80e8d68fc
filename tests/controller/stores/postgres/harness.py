"""What the tests of the PostgreSQL store share: transitions, and what is in the tables."""

from datetime import UTC, datetime

import psycopg

from controller.domain.phases import Phase
from controller.domain.records import JobRow, Transition

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SECRET = "p4ssw0rd"


def transition(
    number: int = 0,
    phase: Phase = Phase.PENDING,
    *,
    job_id: str = "j",
    destination: str | None = None,
    **facts: object,
) -> Transition:
    row = JobRow(tenant_id="t", job_id=job_id, status=phase, created_at=NOON, updated_at=NOON, **facts)
    return Transition(
        uid=f"uid of {job_id}",
        number=number,
        from_phase=None,
        row=row,
        at=NOON,
        reason="r",
        destination=destination,
    )


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def counts(url: str) -> list[tuple[object, ...]]:
    """How many rows there are: jobs, audit rows, notifications."""
    return query(
        url,
        "SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM job_state_transitions), "
        "(SELECT count(*) FROM notifications)",
    )
