"""The SDK's client: with the application default credentials, or to a stand-in without any."""

import asyncio
from typing import Any

import google.auth
import grpc  # type: ignore[import-untyped]
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError
from google.auth.transport.requests import Request
from google.cloud import batch_v1
from google.cloud.batch_v1.services.batch_service.transports import BatchServiceGrpcAsyncIOTransport

from controller.domain.errors import Unavailable
from controller.providers.gcp import calls

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)

_CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", -1),  # a page of jobs may have many megabytes
    ("grpc.max_send_message_length", -1),
)


async def make(endpoint: str) -> batch_v1.BatchServiceAsyncClient:
    """A client of the service, or of the stand-in at that host:port. Raises ConfigError, Unavailable."""
    if endpoint:
        channel = grpc.aio.insecure_channel(endpoint, options=_CHANNEL_OPTIONS)
        return batch_v1.BatchServiceAsyncClient(transport=BatchServiceGrpcAsyncIOTransport(channel=channel))
    # In a thread: it reads files and asks servers, and waits for them.
    return batch_v1.BatchServiceAsyncClient(credentials=await asyncio.to_thread(_credentials))


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
