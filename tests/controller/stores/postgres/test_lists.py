"""Lists and round trips of many rows."""

import time

from controller.domain.phases import Phase
from controller.domain.records import Recorded
from controller.stores.postgres import PostgresStore
from tests.controller.stores.postgres.harness import query, transition
from tests.controller.stores.postgres.relay import Relay


async def test_a_full_group_takes_two_round_trips(relay: Relay, distant: PostgresStore) -> None:
    await distant.get_job("t", "j")
    before = relay.questions
    results = await distant.record([transition(0, Phase.COMPLETED, job_id=f"job-{n}") for n in range(200)])
    assert results == [Recorded(number=0, phase=Phase.COMPLETED)] * 200
    assert relay.questions - before == 2


def fill(url: str, count: int) -> None:
    """That many jobs, of which always seven have the same creation time."""
    query(
        url,
        "INSERT INTO tenants VALUES ('t', '', '', '', now(), now()); "
        "INSERT INTO jobs (tenant_id, job_id, status, created_at, updated_at, name, uid, transition) "
        "SELECT 't', 'job-' || n, 'RUNNING', timestamptz '2026-05-01' + n / 7 * interval '1 second', now(), "
        f"'name', 'uid', 0 FROM generate_series(1, {count}) AS n; ANALYZE jobs",
    )


async def test_a_hundred_thousand_jobs_are_listed_in_pages_while_jobs_are_added(url: str, store: PostgresStore) -> None:
    fill(url, 100_000)
    seen: list[str] = []
    token, pages = "", 0
    while True:
        page = await store.list_jobs("t", page_size=1000, page_token=token)
        seen += [job.job_id for job in page.jobs]
        added = [
            transition(job_id=f"new-{pages}-{n}", name="new") for n in range(3)
        ]  # at noon: in the middle of the list
        await store.record(added)
        token, pages = page.next_token, pages + 1
        if not token:
            break
    assert len(seen) == len(set(seen))
    assert {job_id for job_id in seen if job_id.startswith("job-")} == {f"job-{n}" for n in range(1, 100_001)}


async def test_ten_thousand_jobs_are_listed_at_once_in_well_under_a_second(url: str, store: PostgresStore) -> None:
    fill(url, 10_000)
    start = time.monotonic()
    page = await store.list_jobs("t")
    assert len(page.jobs) == 10_000
    assert time.monotonic() - start < 1
