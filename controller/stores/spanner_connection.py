"""The channel to Spanner and the threads that use it. Called by `spanner` and `spanner_schema`.

The SDK's calls block, so they run in a bounded pool of threads (its AsyncClient is "experimental and subject to
breaking changes", 3.71); callers see coroutines only.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import google.auth
import grpc
from google.api_core import exceptions as google_errors
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.cloud.spanner_v1 import SpannerClient
from google.cloud.spanner_v1.services.spanner.transports import SpannerGrpcTransport

from controller import permission, proxies
from controller.domain.errors import ConfigError, Unavailable
from controller.stores import spanner_errors
from controller.stores.spanner_sessions import Sessions
from controller.stores.spanner_transaction import CALL_SECONDS, Deadline

T = TypeVar("T")
Work = Callable[[Sessions, Deadline], T]

THREADS = 8
"""Calls to Spanner at once; more wait for their turn."""
DATA_SCOPE = "https://www.googleapis.com/auth/spanner.data"
ADMIN_SCOPE = "https://www.googleapis.com/auth/spanner.admin"
_EMULATOR = "SPANNER_EMULATOR_HOST"
_NO_CREDENTIALS = "DB_PROVIDER=spanner needs Google credentials: gcloud auth application-default login, or a workload's"
_GRACE_SECONDS = 0.5
_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_time_ms", 120_000),
    # gRPC's own default waits up to two minutes before it looks again for a server that was away.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)


class SpannerConnection:
    """Runs functions on the database's sessions, several at once."""

    def __init__(
        self,
        project: str,
        instance: str,
        database: str,
        *,
        scopes: Sequence[str] = (DATA_SCOPE,),
        seconds: float = CALL_SECONDS,
    ) -> None:
        self.instance_path = f"projects/{project}/instances/{instance}"
        self.database_path = f"{self.instance_path}/databases/{database}"
        self._scopes = scopes
        self._seconds = seconds
        self._executor: ThreadPoolExecutor | None = None
        self._channel: grpc.Channel | None = None
        self._sessions: Sessions | None = None

    async def open(self) -> None:
        """Find the credentials; nothing is sent yet. Raises ConfigError where there are none, Unavailable."""
        self._executor = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="spanner")
        try:
            channel = await self._on_thread(lambda: _connect(self._scopes), self._seconds)
        except BaseException:
            self._executor.shutdown(wait=False)
            self._executor = None
            raise
        self._channel = channel
        client = SpannerClient(transport=SpannerGrpcTransport(channel=channel))
        self._sessions = Sessions(client, self.database_path)

    @property
    def channel(self) -> grpc.Channel:
        """For the admin API. Raises Unavailable where the connection is not open."""
        if self._channel is None:
            raise Unavailable("the database is not open")
        return self._channel

    async def run(self, work: Work[T], *, seconds: float | None = None) -> T:
        """What `work` returns. Raises Unavailable, Throttled, Permanent(RECORD_REJECTED).

        `seconds` is its time, the connection's by default; waiting for a thread is part of it. A caller that is
        cancelled does not stop it.
        """
        seconds = self._seconds if seconds is None else seconds
        sessions = self._sessions
        if sessions is None:
            raise Unavailable("the database is not open")
        deadline = Deadline(seconds)
        return await self._on_thread(lambda: work(sessions, deadline), seconds)

    async def close(self) -> None:
        """Close after the calls that are under way. Closed already is no error."""
        executor, sessions, channel = self._executor, self._sessions, self._channel
        self._executor = self._channel = self._sessions = None
        if executor is not None:
            await asyncio.to_thread(executor.shutdown)
        if sessions is not None:
            await asyncio.to_thread(sessions.close)
        if channel is not None:
            channel.close()

    async def _on_thread(self, function: Callable[[], T], seconds: float) -> T:
        assert self._executor is not None
        future = asyncio.get_running_loop().run_in_executor(self._executor, permission.on_thread(function))
        try:
            return await asyncio.wait_for(future, seconds + _GRACE_SECONDS)
        except TimeoutError as error:
            raise Unavailable("Spanner did not answer in time") from error
        except google_errors.GoogleAPICallError as error:
            raise spanner_errors.translate(error) from error


def _connect(scopes: Sequence[str]) -> grpc.Channel:
    emulator = os.environ.get(_EMULATOR)
    if emulator:
        target = emulator.removeprefix("http://")
        return grpc.insecure_channel(target, options=(*_OPTIONS, *proxies.for_grpc(target)))
    try:
        credentials, _ = google.auth.default(scopes=list(scopes))
    except DefaultCredentialsError as error:
        raise ConfigError([_NO_CREDENTIALS]) from error
    except GoogleAuthError as error:
        raise Unavailable(f"Google's credentials cannot be had: {type(error).__name__}") from error
    # Without the SDK's interceptor for metrics, which asks the metadata server where it runs.
    options = (*_OPTIONS, *proxies.for_grpc(SpannerGrpcTransport.DEFAULT_HOST))
    return SpannerGrpcTransport.create_channel(credentials=credentials, scopes=scopes, options=options)
