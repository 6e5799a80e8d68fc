"""Lists over their pages."""

import os
from datetime import timedelta

import grpc
from google.cloud import spanner_v1 as api
from google.cloud.spanner_v1.services.spanner.transports import SpannerGrpcTransport

from controller.stores import spanner_rows
from controller.stores.spanner import SpannerStore
from tests.contract.databases.spanner import INSTANCE, PROJECT
from tests.controller.stores.spanner.harness import NOON, transition

LISTED_ROWS = int(os.environ.get("DB_TEST_LISTED_ROWS", "2000"))
"""100,000 take the emulator a minute: its queries read whole tables."""


def fill(schema: str, count: int) -> None:
    """Jobs as another client writes them, two of each creation time."""
    channel = grpc.insecure_channel(os.environ["SPANNER_EMULATOR_HOST"])
    client = api.SpannerClient(transport=SpannerGrpcTransport(channel=channel))
    path = f"projects/{PROJECT}/instances/{INSTANCE}/databases/{schema}"
    session = client.create_session(database=path).name
    read_write = api.TransactionOptions(read_write=api.TransactionOptions.ReadWrite())
    jobs = [transition(job=f"job-{n:06}", at=NOON - timedelta(seconds=n // 2)).row for n in range(count)]
    for start in range(0, count, 2000):
        rows = [spanner_rows.job_values(job, NOON) for job in jobs[start : start + 2000]]
        write = api.Mutation.Write(table="Jobs", columns=spanner_rows.JOB_COLUMNS, values=rows)
        begin = client.begin_transaction(session=session, options=read_write).id
        mutations = [api.Mutation(insert=write)]
        client.commit(request=api.CommitRequest(session=session, transaction_id=begin, mutations=mutations))
    channel.close()


async def test_many_jobs_are_listed_in_pages_without_a_gap_or_a_repeat_while_jobs_are_added(schema: str) -> None:
    store = SpannerStore(PROJECT, INSTANCE, schema, call_seconds=60)  # the emulator is slow with many rows
    await store.open()
    await store.record([transition(job="oldest", at=NOON - timedelta(days=365))])
    fill(schema, LISTED_ROWS)
    seen: list[str] = []
    token, pages = "", 0
    while True:
        page = await store.list_jobs("t", page_size=LISTED_ROWS // 10, page_token=token)
        seen += [job.job_id for job in page.jobs]
        await store.record([transition(job=f"new-{pages}", at=NOON + timedelta(seconds=pages))])
        token, pages = page.next_token, pages + 1
        if not token:
            break
    expected = sorted(((NOON - timedelta(seconds=n // 2), f"job-{n:06}") for n in range(LISTED_ROWS)), reverse=True)
    await store.close()
    assert seen == [*(job for _, job in expected), "oldest"]
    assert pages == 11
