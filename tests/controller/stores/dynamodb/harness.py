"""What the tests of the DynamoDB store share: transitions, jobs, and what must have been written of them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from controller.domain.phases import Phase
from controller.domain.records import JobRow, Recorded, Transition
from controller.ports import RecordFailure
from controller.stores.dynamodb import DynamoStore

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
LIFE = (Phase.PENDING, Phase.RUNNING, Phase.COMPLETED)


def transition(
    number: int = 0, phase: Phase = Phase.PENDING, *, job_id: str = "j", destination: str | None = None, **facts: Any
) -> Transition:
    row = JobRow(**{"tenant_id": "t", "created_at": NOON, "updated_at": NOON, **facts}, job_id=job_id, status=phase)
    return Transition(
        uid=f"uid-{job_id}",
        number=number,
        from_phase=None,
        row=row,
        at=NOON,
        reason="r",
        destination=destination,
    )


def jobs(count: int, number: int = 0, phase: Phase = Phase.PENDING) -> list[Transition]:
    """One transition of each of these jobs, a second between their creation."""
    return [
        transition(number, phase, job_id=f"job-{n:04}", created_at=NOON + timedelta(seconds=n)) for n in range(count)
    ]


async def assert_written_once(store: DynamoStore, count: int = 1) -> None:
    """All transitions of `LIFE`, of that many jobs: one row, one audit row each, one notification, one entry."""
    listed = (await store.list_jobs("t")).jobs
    assert [job.status for job in listed] == [Phase.COMPLETED] * count
    for job in listed:
        audit = await store.transitions("t", job.job_id)
        assert [step.to_status for step in audit] == [phase.wire for phase in LIFE]
    assert await store.count_unread("t") == len(await store.list_notifications("t", limit=1000)) == count


def failures(results: Sequence[Recorded | RecordFailure]) -> dict[int, Exception]:
    return {n: result.error for n, result in enumerate(results) if isinstance(result, RecordFailure)}
