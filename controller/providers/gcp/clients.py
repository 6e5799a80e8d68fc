"""The SDK's client: with the application default credentials, or to a stand-in without any."""

import asyncio
from typing import Any

import google.auth
import grpc
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError
from google.auth.transport.requests import Request
from google.cloud import batch_v1
from google.cloud.batch_v1.services.batch_service.transports import BatchServiceGrpcAsyncIOTransport

from controller.domain.errors import Unavailable
from controller.providers.gcp import calls

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


async def make(endpoint: str) -> batch_v1.BatchServiceAsyncClient:
    """A client of the service, or of the stand-in at that host:port. Raises ConfigError, Unavailable."""
    if endpoint:
        channel = grpc.aio.insecure_channel(endpoint, options=CHANNEL_OPTIONS)
        return batch_v1.BatchServiceAsyncClient(transport=BatchServiceGrpcAsyncIOTransport(channel=channel))
    # In a thread: it reads files and asks servers, and waits for them.
    credentials = await asyncio.to_thread(_credentials)
    return batch_v1.BatchServiceAsyncClient(credentials=credentials, transport=_transport)


def _transport(**settings: Any) -> BatchServiceGrpcAsyncIOTransport:
    """The SDK's own transport, with our options on its channel."""
    return BatchServiceGrpcAsyncIOTransport(channel=_channel, **settings)


def _channel(host: str, **settings: Any) -> grpc.aio.Channel:
    return BatchServiceGrpcAsyncIOTransport.create_channel(host, **{**settings, "options": CHANNEL_OPTIONS})


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
