"""What the tests of the Spanner store share: transitions, a schema, and another client on the same tables."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime

import grpc
from google.cloud import spanner_v1 as api
from google.cloud.spanner_v1.services.spanner.transports import SpannerGrpcTransport
from google.cloud.spanner_v1.streamed import StreamedResultSet

from controller.domain.phases import Phase
from controller.domain.records import JobRow, Transition
from controller.stores.spanner_schema import SpannerMigrations
from tests.contract.databases.spanner import INSTANCE, PROJECT

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def transition(
    number: int = 0,
    phase: Phase = Phase.PENDING,
    *,
    job: str = "j",
    uid: str = "",
    at: datetime = NOON,
    destination: str | None = None,
    **facts: object,
) -> Transition:
    row = JobRow(tenant_id="t", job_id=job, status=phase, created_at=at, updated_at=at, **facts)
    return Transition(
        uid=uid or f"uid-{job}",
        number=number,
        from_phase=None,
        row=row,
        at=at,
        reason="r",
        destination=destination,
    )


async def migrate(database: str) -> Sequence[str]:
    migrations = SpannerMigrations(PROJECT, INSTANCE, database)
    try:
        return await migrations.apply()
    finally:
        await migrations.close()


class Gateway:
    """Another client, as the Gateway is one: plain statements by contract §2, nothing of ours."""

    def __init__(self, database: str) -> None:
        self._channel = grpc.insecure_channel(os.environ["SPANNER_EMULATOR_HOST"])
        self._client = api.SpannerClient(transport=SpannerGrpcTransport(channel=self._channel))
        path = f"projects/{PROJECT}/instances/{INSTANCE}/databases/{database}"
        self._session = self._client.create_session(database=path).name

    def select(self, sql: str) -> list[list[object]]:
        parts = self._client.execute_streaming_sql(request=api.ExecuteSqlRequest(session=self._session, sql=sql))
        return list(StreamedResultSet(parts))

    def write(self, sql: str) -> None:
        read_write = api.TransactionOptions(read_write=api.TransactionOptions.ReadWrite())
        begin = self._client.begin_transaction(session=self._session, options=read_write).id
        selector = api.TransactionSelector(id=begin)
        request = api.ExecuteSqlRequest(session=self._session, sql=sql, transaction=selector, seqno=1)
        self._client.execute_sql(request=request)
        self._client.commit(request=api.CommitRequest(session=self._session, transaction_id=begin))

    def close(self) -> None:
        self._channel.close()
