"""One attempt at a read-write transaction, its requests and their time. Made by `spanner_sessions`."""

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, cast

from google.api_core import exceptions as google
from google.cloud import spanner_v1 as api
from google.protobuf.struct_pb2 import ListValue

from controller import permission
from controller.stores import spanner_errors
from controller.stores import spanner_values as values
from controller.stores.spanner_values import Row, Statement

CALL_SECONDS = 7.0
"""A whole call of the store with all its retries: shorter than the leader's lease."""
ATTEMPT_SECONDS = 3.0
"""One request inside a transaction, so that a reply that got lost leaves time to do it again."""
_ROLLBACK_SECONDS = 1.0


class Deadline:
    """When a call has to be over."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds. Raises DeadlineExceeded where none are left."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise google.DeadlineExceeded("the call's time is over")  # type: ignore[no-untyped-call]
        return left

    def sleep(self, seconds: float) -> bool:
        """False, at once, where the time would be over before."""
        if time.monotonic() + seconds >= self._end:
            return False
        time.sleep(seconds)
        permission.check()
        return True


class Transaction:
    """It begins with its first request; mutations are sent with the commit. Raises GoogleAPICallError."""

    def __init__(
        self, client: api.SpannerClient, session: str, metadata: Sequence[tuple[str, str]], deadline: Deadline
    ) -> None:
        self._client = client
        self._session = session
        self._metadata = metadata
        self._deadline = deadline
        self._id = b""
        self._statements = 0
        self._mutations: list[api.Mutation] = []

    def read(self, table: str, columns: Sequence[str], keys: api.KeySetPB) -> list[Row]:
        """The rows with those keys, locked until the commit."""
        request = api.ReadRequest(
            session=self._session, transaction=self._selector(), table=table, columns=columns, key_set=keys
        )
        return values.rows(self._noting_id(self._client.streaming_read(request=request, **self._options())))

    def execute(self, statement: Statement) -> list[Row]:
        """The rows of a query, or of a change THEN RETURN."""
        self._statements += 1
        request = statement.request(self._session)
        request.transaction = self._selector()
        request.seqno = self._statements
        return values.rows(self._noting_id(self._client.execute_streaming_sql(request=request, **self._options())))

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[ListValue]) -> None:
        """Rows that must not exist."""
        if rows:
            self._mutations.append(api.Mutation(insert=_write(table, columns, rows)))

    def upsert(self, table: str, columns: Sequence[str], rows: Sequence[ListValue]) -> None:
        """Rows that may exist; of those the columns that are not named stay as they are."""
        if rows:
            self._mutations.append(api.Mutation(insert_or_update=_write(table, columns, rows)))

    def update(self, table: str, columns: Sequence[str], rows: Sequence[ListValue]) -> None:
        """Rows that must exist; the columns that are not named stay as they are."""
        if rows:
            self._mutations.append(api.Mutation(update=_write(table, columns, rows)))

    def delete(self, table: str, keys: api.KeySetPB) -> None:
        """Rows that may exist."""
        self._mutations.append(api.Mutation(delete=api.Mutation.Delete(table=table, key_set=keys)))

    def commit(self) -> datetime:
        """The commit's time. What only read is committed too, to let go of its locks.

        Raises Permanent(RECORD_REJECTED).
        """
        request = api.CommitRequest(session=self._session, transaction_id=self._id, mutations=self._mutations)
        try:
            response = self._client.commit(request=request, **self._options())
        except spanner_errors.REFUSED as error:
            raise spanner_errors.refusal(error) from None
        # Typed as the protobuf message, but what proto-plus gives is a datetime.
        return cast("datetime", response.commit_timestamp)

    def rollback(self) -> None:
        """Let go of the locks, if that is to be had quickly; the server does it by itself after a while."""
        if not self._id:
            return
        request = api.RollbackRequest(session=self._session, transaction_id=self._id)
        try:
            self._client.rollback(request=request, retry=None, timeout=_ROLLBACK_SECONDS, metadata=self._metadata)
        except google.GoogleAPICallError:
            pass

    def _selector(self) -> api.TransactionSelector:
        if self._id:
            return api.TransactionSelector(id=self._id)
        read_write = api.TransactionOptions.ReadWrite()
        return api.TransactionSelector(begin=api.TransactionOptions(read_write=read_write))

    def _options(self) -> dict[str, Any]:
        timeout = min(self._deadline.left(), ATTEMPT_SECONDS)
        return {"retry": None, "timeout": timeout, "metadata": self._metadata}

    def _noting_id(self, parts: Iterable[api.PartialResultSet]) -> Iterator[api.PartialResultSet]:
        for part in parts:
            self._id = self._id or part.metadata.transaction.id
            yield part


def _write(table: str, columns: Sequence[str], rows: Sequence[ListValue]) -> api.Mutation.Write:
    return api.Mutation.Write(table=table, columns=columns, values=rows)
