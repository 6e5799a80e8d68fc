"""The service over HTTP and JSON, by its REST reference (https://cloud.google.com/batch/docs/reference/rest): for
networks and stand-ins that have no gRPC.

Reading JSON takes many times as long as gRPC's messages do, so a large installation does not want this.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
import grpc
from google.api_core import exceptions as api
from google.auth.transport.requests import Request
from google.cloud import batch_v1
from google.protobuf import json_format

from controller import proxies
from controller.providers.gcp import calls

LARGE_BYTES = 64 * 1024
"""Answers that are larger are read in a thread."""


class _WordlessNotFound(api.NotFound):
    """HTTP status 404 and no word for what it is about: there may be no such method."""


class _WordlessConflict(api.FailedPrecondition):
    """HTTP status 409 and no word for what it is about."""


_BY_STATUS: Mapping[int, type[api.GoogleAPICallError]] = {
    400: api.InvalidArgument,
    401: api.Unauthenticated,
    403: api.PermissionDenied,
    404: _WordlessNotFound,
    405: api.MethodNotImplemented,
    409: _WordlessConflict,
    412: api.FailedPrecondition,
    413: api.InvalidArgument,
    422: api.InvalidArgument,
    429: api.ResourceExhausted,
    501: api.MethodNotImplemented,
    504: api.DeadlineExceeded,
}
"""What an answer means that has not the usual body, whose word for it is `error.status`."""


class RestClient:
    """A `clients.Client` of the service at that URL. `credentials`: google.auth's; None: none are sent."""

    def __init__(self, url: str, credentials: Any = None) -> None:
        self._base = f"{url.rstrip('/').removesuffix('/v1')}/v1/"
        self._credentials = credentials
        self._refreshing = asyncio.Lock()
        self._http = aiohttp.ClientSession(proxy=proxies.for_url(self._base))

    async def create_job(self, asked: batch_v1.CreateJobRequest) -> Any:
        body = json_format.MessageToDict(batch_v1.Job.pb(asked.job))
        query = {"jobId": asked.job_id, "requestId": asked.request_id}
        try:
            return await self._call("POST", f"{asked.parent}/jobs", batch_v1.Job, query=query, body=body)
        except _WordlessConflict as error:  # whoever hears that looks what is there
            raise _made(api.AlreadyExists, error.message) from None

    async def get_job(self, asked: batch_v1.GetJobRequest) -> Any:
        return await self._call("GET", asked.name, batch_v1.Job)

    async def list_jobs(self, asked: batch_v1.ListJobsRequest, mask: str) -> Any:
        query = {"filter": asked.filter, "orderBy": asked.order_by, **_page(asked)}
        headers = {calls.MASK_HEADER: mask} if mask else {}
        return await self._call("GET", f"{asked.parent}/jobs", batch_v1.ListJobsResponse, query=query, headers=headers)

    async def list_tasks(self, asked: batch_v1.ListTasksRequest) -> Any:
        try:
            return await self._call("GET", f"{asked.parent}/tasks", batch_v1.ListTasksResponse, query=_page(asked))
        except _WordlessNotFound as error:  # the job is there: it is the method that is not
            raise _made(api.MethodNotImplemented, error.message) from None

    async def cancel_job(self, asked: batch_v1.CancelJobRequest) -> None:
        body = {"requestId": asked.request_id} if asked.request_id else {}
        try:
            await self._call("POST", f"{asked.name}:cancel", None, body=body)
        except _WordlessNotFound as error:  # that is no proof that there is no such job
            raise _made(api.MethodNotImplemented, error.message) from None

    async def delete_job(self, asked: batch_v1.DeleteJobRequest) -> None:
        query = {"reason": asked.reason, "requestId": asked.request_id}
        await self._call("DELETE", asked.name, None, query=query)

    async def close(self) -> None:
        await self._http.close()

    async def _call(
        self,
        method: str,
        path: str,
        answer: Any,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """One request. The answer as a message of that type of the SDK's; of None nothing is read."""
        asked = {name: text for name, text in (query or {}).items() if text}
        url = self._base + quote(path, safe="/:")
        try:
            async with asyncio.timeout(calls.CALL_SECONDS):
                sent = {**(headers or {}), **await self._authorization()}
                request = self._http.request(method, url, params=asked, json=body, headers=sent, allow_redirects=False)
                async with request as response:
                    text = await response.read()
                    status = response.status
        except TimeoutError:
            raise _made(api.DeadlineExceeded, "no answer in time") from None
        except aiohttp.ClientError as error:
            raise _made(api.ServiceUnavailable, type(error).__name__) from None
        if not 200 <= status < 300:
            raise _error(status, text)
        if answer is None:
            return None
        return await asyncio.to_thread(_read, answer, text) if len(text) > LARGE_BYTES else _read(answer, text)

    async def _authorization(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        if self._credentials is not None:
            async with self._refreshing:
                if not self._credentials.valid:
                    await asyncio.to_thread(self._credentials.refresh, Request())
            self._credentials.apply(headers)
        return headers


def _page(asked: Any) -> dict[str, str]:
    return {"pageSize": str(asked.page_size or ""), "pageToken": asked.page_token}


def _read(kind: Any, text: bytes) -> Any:
    """Fields and enum values that are not known are passed over."""
    try:
        return json_format.Parse(text, kind.pb()(), ignore_unknown_fields=True)
    except (json_format.ParseError, ValueError) as error:
        raise _made(api.Unknown, f"the answer is not to be read: {type(error).__name__}") from None  # it quotes values


def _error(status: int, text: bytes) -> api.GoogleAPICallError:
    """The error that an answer stands for: by the service's word for it, else by its HTTP status."""
    told: dict[str, Any] = {}
    try:
        body = json.loads(text)
        found = body.get("error") if isinstance(body, dict) else None
        told = found if isinstance(found, dict) else {}
    except ValueError:
        pass
    word = getattr(grpc.StatusCode, str(told.get("status", "")), None)
    words = str(told.get("message") or f"HTTP status {status}")
    if isinstance(word, grpc.StatusCode):
        return _made(api.exception_class_for_grpc_status(word), words)  # type: ignore[no-untyped-call]
    return _made(_BY_STATUS.get(status, api.ServiceUnavailable), words)


def _made(kind: Callable[[str], Any], words: str) -> api.GoogleAPICallError:
    """The SDK's classes have no types."""
    found: api.GoogleAPICallError = kind(words)
    return found
