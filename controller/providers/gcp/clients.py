"""The calls of the service, one method each: by gRPC with the SDK's client, or over HTTP (`rest`).

Messages that come back are plain protobuf ones; errors are those of google.api_core and google.auth.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import google.auth
import grpc
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError
from google.auth.transport.requests import Request
from google.cloud import batch_v1
from google.cloud.batch_v1.services.batch_service.transports import BatchServiceGrpcAsyncIOTransport

from controller import proxies
from controller.domain.errors import Unavailable
from controller.providers.gcp import calls
from controller.providers.gcp.rest import RestClient

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)

CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", -1),  # a page of jobs may have many megabytes
    ("grpc.max_send_message_length", -1),
    # A connection that a firewall or NAT dropped silently would have every call run into its time limit, for up to 15
    # minutes until the kernel gives it up.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Not while nothing is asked: servers close connections that ping without calls more often than every 5 minutes.
    ("grpc.keepalive_permit_without_calls", 0),
    # Its default is 2 minutes: an outage would last that much longer for us.
    ("grpc.max_reconnect_backoff_ms", 10_000),
)


class Client(Protocol):
    """What is called. `mask` is a field mask of the answer, "" for none. Nothing is tried again, and each call has the
    time limit of `calls`."""

    async def create_job(self, asked: batch_v1.CreateJobRequest) -> Any: ...

    async def get_job(self, asked: batch_v1.GetJobRequest) -> Any: ...

    async def list_jobs(self, asked: batch_v1.ListJobsRequest, mask: str) -> Any: ...

    async def list_tasks(self, asked: batch_v1.ListTasksRequest) -> Any: ...

    async def cancel_job(self, asked: batch_v1.CancelJobRequest) -> None: ...

    async def delete_job(self, asked: batch_v1.DeleteJobRequest) -> None: ...

    async def close(self) -> None: ...


async def make(endpoint: str) -> Client:
    """A client of the service by gRPC, of a stand-in of it at that host:port, or of whatever is at that URL by REST,
    with credentials where it is https. Raises ConfigError, Unavailable."""
    if endpoint.startswith("http://"):
        return RestClient(endpoint)
    # In a thread: it reads files and asks servers, and waits for them.
    if endpoint.startswith("https://"):
        return RestClient(endpoint, await asyncio.to_thread(_credentials))
    if endpoint:
        channel = grpc.aio.insecure_channel(endpoint, options=(*CHANNEL_OPTIONS, *proxies.for_grpc(endpoint)))
        return GrpcClient(batch_v1.BatchServiceAsyncClient(transport=BatchServiceGrpcAsyncIOTransport(channel=channel)))
    credentials = await asyncio.to_thread(_credentials)
    return GrpcClient(batch_v1.BatchServiceAsyncClient(credentials=credentials, transport=_transport))


class GrpcClient:
    """The SDK's client as a `Client`."""

    def __init__(self, sdk: batch_v1.BatchServiceAsyncClient) -> None:
        self._sdk = sdk

    async def create_job(self, asked: batch_v1.CreateJobRequest) -> Any:
        return batch_v1.Job.pb(await _once(self._sdk.create_job, asked))

    async def get_job(self, asked: batch_v1.GetJobRequest) -> Any:
        return batch_v1.Job.pb(await _once(self._sdk.get_job, asked))

    async def list_jobs(self, asked: batch_v1.ListJobsRequest, mask: str) -> Any:
        metadata = ((calls.MASK_HEADER, mask),) if mask else ()
        pager = await _once(self._sdk.list_jobs, asked, metadata=metadata)
        return batch_v1.ListJobsResponse.pb(await _first_page(pager.pages))

    async def list_tasks(self, asked: batch_v1.ListTasksRequest) -> Any:
        pager = await _once(self._sdk.list_tasks, asked)
        return batch_v1.ListTasksResponse.pb(await _first_page(pager.pages))

    async def cancel_job(self, asked: batch_v1.CancelJobRequest) -> None:
        await _once(self._sdk.cancel_job, asked)  # the operation that it answers with is not waited for

    async def delete_job(self, asked: batch_v1.DeleteJobRequest) -> None:
        await _once(self._sdk.delete_job, asked)

    async def close(self) -> None:
        await self._sdk.transport.close()  # type: ignore[no-untyped-call]


async def _once(method: Callable[..., Awaitable[Any]], asked: Any, **more: Any) -> Any:
    return await method(asked, retry=None, timeout=calls.CALL_SECONDS, **more)


async def _first_page(pages: Any) -> Any:
    """The answer of the call that was made. The SDK's pager would go on by itself, past our limits."""
    try:
        return await anext(pages)
    finally:
        await pages.aclose()


def _transport(**settings: Any) -> BatchServiceGrpcAsyncIOTransport:
    """The SDK's own transport, with our options on its channel."""
    return BatchServiceGrpcAsyncIOTransport(channel=_channel, **settings)


def _channel(host: str, **settings: Any) -> grpc.aio.Channel:
    options = (*CHANNEL_OPTIONS, *proxies.for_grpc(host))
    return BatchServiceGrpcAsyncIOTransport.create_channel(host, **{**settings, "options": options})


def _credentials() -> Any:
    """The application default credentials, with a first token: inside a call a refused one would look like a service
    that cannot be reached. Raises ConfigError, Unavailable."""
    try:
        credentials, _ = google.auth.default(scopes=SCOPES)
        credentials.refresh(Request())  # type: ignore[no-untyped-call]
        _ = credentials.universe_domain  # asked of the metadata server once; the SDK would do it on the event loop
    except GoogleAuthError as error:
        if isinstance(error, DefaultCredentialsError) or not (error.retryable or isinstance(error, TransportError)):
            raise calls.missing_rights(error) from error
        raise Unavailable(f"no access token was to be had: {error}") from error
    return credentials
