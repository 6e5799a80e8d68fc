"""Queries and transactions on the sessions of one database; blocking, called on the threads of `spanner_connection`.

It uses the SDK's generated client (`SpannerClient`) and not `Database.run_in_transaction` above it, which does the
same but cannot be held to a time limit: its commits wait up to an hour, its retries sleep for seconds, a thread of
its own sleeps ten minutes and close() waits for it, and each process first asks Google's metadata server where it is
(google-cloud-spanner 3.71). The protocol is that of the reference,
https://cloud.google.com/spanner/docs/reference/rpc/google.spanner.v1. Sessions are plain ones, each used by one call
at a time: the emulator takes no two transactions in one, also where it calls it multiplexed.
"""

import random
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from google.api_core import exceptions as google
from google.cloud import spanner_v1 as api

from controller.stores import spanner_errors
from controller.stores import spanner_values as values
from controller.stores.spanner_transaction import ATTEMPT_SECONDS, Deadline, Transaction
from controller.stores.spanner_values import Row, Statement

T = TypeVar("T")

_CLOCK_SECONDS = 60.0
_DELETE_SECONDS = 1.0
_SELECT_NOW = Statement("SELECT CURRENT_TIMESTAMP()")


class Sessions:
    """The sessions of a database, for any number of threads; made when they are needed.

    All methods raise Unavailable or Throttled once the deadline is near, at once where trying again cannot help;
    `transact` also Permanent(RECORD_REJECTED).
    """

    def __init__(self, client: api.SpannerClient, database: str) -> None:
        self._client = client
        self._metadata = (("google-cloud-resource-prefix", database),)
        # Transactions start at the leader's region, where they have to commit.
        self._leader_metadata = (*self._metadata, ("x-goog-spanner-route-to-leader", "true"))
        self._database = database
        self._free: deque[str] = deque()
        self._clock = ServerClock()

    def query(self, statement: Statement, deadline: Deadline) -> list[Row]:
        """The rows, as they are at this moment (a strong read)."""

        def attempt(name: str) -> list[Row]:
            request, left = statement.request(name), deadline.left()
            parts = self._client.execute_streaming_sql(
                request=request, retry=None, timeout=left, metadata=self._metadata
            )
            return values.rows(parts)

        return self._again(attempt, deadline)

    def transact(self, work: Callable[[Transaction], T], deadline: Deadline) -> T:
        """What `work` returns, once everything that it did is committed.

        It is called again when the transaction was aborted or nothing is known of its outcome: it must have no other
        effect. Raises Permanent(RECORD_REJECTED) where the tables refuse a value.
        """

        def attempt(name: str) -> T:
            transaction = Transaction(self._client, name, self._leader_metadata, deadline)
            try:
                result = work(transaction)
                committed_at = transaction.commit()
            except google.Aborted:
                raise
            except BaseException:
                transaction.rollback()
                raise
            self._clock.note(committed_at)
            return result

        return self._again(attempt, deadline)

    def now(self, deadline: Deadline) -> datetime:
        """A time that Spanner's clock has passed, by a few milliseconds. Mostly without a request."""
        now = self._clock.now()
        if now is None:
            [[found]] = self.query(_SELECT_NOW, deadline)
            now = datetime.fromisoformat(found)
            self._clock.note(now)
        return now

    def close(self) -> None:
        """Delete the sessions, if that is to be had quickly; the server does it by itself after an hour."""
        try:
            while self._free:
                self._client.delete_session(name=self._free.pop(), retry=None, timeout=_DELETE_SECONDS)
        except google.GoogleAPICallError:
            self._free.clear()

    def _again(self, attempt: Callable[[str], T], deadline: Deadline) -> T:
        name, tries = "", 0
        cause: google.GoogleAPICallError | None = None
        try:
            while True:
                try:
                    # The same session each time: a transaction that was aborted keeps its turn in it.
                    name = name or self._take(deadline)
                    return attempt(name)
                except google.GoogleAPICallError as error:
                    pause = spanner_errors.pause(error, tries, random.random())  # noqa: S311 - jitter
                    if cause is None or not isinstance(error, google.DeadlineExceeded):
                        cause = error  # what the time ran out over says more than that it did
                    if not (spanner_errors.may_pass(error) and deadline.sleep(pause)):
                        raise spanner_errors.translate(cause) from error
                    if spanner_errors.is_lost_session(error):
                        name = ""
                    tries += 1
        finally:
            if name:
                self._free.append(name)

    def _take(self, deadline: Deadline) -> str:
        try:
            return self._free.pop()
        except IndexError:
            pass
        timeout = min(deadline.left(), ATTEMPT_SECONDS)
        request = api.CreateSessionRequest(database=self._database)
        session = self._client.create_session(request=request, retry=None, timeout=timeout, metadata=self._metadata)
        return session.name


class ServerClock:
    """What Spanner's clock has passed for certain: the last time that it told, and how long that is ago."""

    def __init__(self) -> None:
        self._told: tuple[datetime, float] | None = None

    def note(self, now: datetime) -> None:
        self._told = (now, time.monotonic())

    def now(self) -> datetime | None:
        """None where it was told too long ago for two clocks to agree on how long that is."""
        if self._told is None:
            return None
        now, noted_at = self._told
        age = time.monotonic() - noted_at
        return now + timedelta(seconds=age) if age < _CLOCK_SECONDS else None
