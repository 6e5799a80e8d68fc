"""What the tests on the stand-in share: a key, and transitions."""

from datetime import UTC, datetime

from controller.domain.phases import Phase
from controller.domain.records import JobRow, Transition

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
KEY = "c2VjcmV0LWtleS1zZWNyZXQ="


def transition(
    number: int = 0, phase: Phase = Phase.PENDING, *, job: str = "j", tenant: str = "t", **facts: object
) -> Transition:
    row = JobRow(tenant_id=tenant, job_id=job, status=phase, created_at=NOON, updated_at=NOON, **facts)
    return Transition(uid=f"u-{tenant}-{job}", number=number, from_phase=None, row=row, at=NOON, reason="r")


def jobs(count: int) -> list[Transition]:
    return [transition(job=f"j{n}") for n in range(count)]
