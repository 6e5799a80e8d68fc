"""One unary call from its HTTP request to its HTTP answer. Called by aiohttp for every path of the service.

The order of the checks is the original's: path (404), HTTP method (405), content type (415), then the
protocol's headers, who calls for which tenant, the body, the message, the method. An error is always JSON, never
compressed.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final

from aiohttp import hdrs, http_exceptions, web
from google.protobuf.message import Message

from api import audit, errors, metrics
from api.connect import codecs, compression, headers
from api.connect.errors import Code, ConnectError
from api.connect.methods import Context, Method
from controller.domain.errors import JennahError, Retryable

LOG = logging.getLogger(__name__)

CALL_SECONDS: Final = 60.0
"""The longest life of a call, whatever the caller says: a body that never ends must end."""
LARGE: Final = 256 * 1024
"""Answers over this many bytes are encoded beside the event loop, so that others need not wait for them."""
LARGE_REQUEST: Final = 64 * 1024
"""The same for requests that are decoded: 4 MiB of JSON, a few kilobytes as gzip, can take more than a second."""

WARNINGS_MAX: Final = 8
"""The most unknown fields that an answer names."""
_NO_TEXT = re.compile(r"[^ !#-\[\]-~]")
"""What is not put between the quotes of a header: quotes, backslashes, and all but printable ASCII."""

Admit = Callable[[Context], Awaitable[None]]


class Endpoint:
    """The methods of one service behind one path prefix."""

    def __init__(self, prefix: str, methods: Sequence[Method], *, max_bytes: int, admit: Admit) -> None:
        """`admit` raises for a call that may not be made, and notes in it who calls for which tenant.

        `max_bytes` bounds a request, inflated.
        """
        self._methods = {prefix + method.name: method for method in methods}
        self._max_bytes = max_bytes
        self._admit = admit

    @property
    def paths(self) -> Collection[str]:
        return self._methods.keys()

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request, and count it. Never raises but for cancellation."""
        began = time.perf_counter()
        method = self._methods.get(request.path)
        response, result = await self._handle(request, method)
        metrics.count(method.name if method else metrics.OTHER, result, time.perf_counter() - began)
        return response

    async def _handle(self, request: web.Request, method: Method | None) -> tuple[web.Response, str]:
        """The answer, and what the metrics call its result."""
        if method is None:
            return _error(ConnectError(Code.UNIMPLEMENTED, "there is no such method"), status=404)
        if request.method != hdrs.METH_POST:
            return _error(ConnectError(Code.UNIMPLEMENTED, "only POST is taken"), status=405, Allow="POST")
        codec = codecs.find(request.headers.get(hdrs.CONTENT_TYPE, ""))
        if codec is None:
            error = ConnectError(Code.INVALID_ARGUMENT, f"the content type must be one of: {codecs.ACCEPT_POST}")
            return _error(error, status=415, **{"Accept-Post": codecs.ACCEPT_POST})
        call = Context(headers=request.headers, target=request.raw_path, remote=request.remote or "")
        result: str = Code.CANCELED
        try:
            answer = await self._within_time(request, method, codec, call)
            result = metrics.OK
            response = await _answer(answer, codec, request.headers.get(hdrs.ACCEPT_ENCODING, ""))
            return _warned(response, call.unknown_fields), result
        except Exception as error:
            response, result = _error(_connect_error(error, method.name))
            return _warned(response, call.unknown_fields), result
        finally:
            if method.is_audited:
                audit.write(call, method.name, result)

    async def _within_time(self, request: web.Request, method: Method, codec: codecs.Codec, call: Context) -> Message:
        headers.check_version(request.headers)
        asked = headers.timeout_seconds(request.headers)
        seconds = CALL_SECONDS if asked is None else min(asked, CALL_SECONDS)
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await self._call(request, method, codec, call)
        except TimeoutError:
            if limit.expired():
                raise ConnectError(Code.DEADLINE_EXCEEDED, f"no answer within {seconds:g} s") from None
            raise

    async def _call(self, request: web.Request, method: Method, codec: codecs.Codec, call: Context) -> Message:
        await self._admit(call)
        data = await self._read(request)
        if len(data) > LARGE_REQUEST:
            message, call.unknown_fields = await asyncio.to_thread(codec.decode, data, method.request)
        else:
            message, call.unknown_fields = codec.decode(data, method.request)
        return await method.call(call, message)

    async def _read(self, request: web.Request) -> bytes:
        """The body, inflated. Raises ConnectError."""
        body = compression.Body(request.headers.get(hdrs.CONTENT_ENCODING, ""), self._max_bytes)
        body.expect(request.content_length or 0)
        try:
            async for chunk in request.content.iter_any():
                body.feed(chunk)
        except (http_exceptions.HttpProcessingError, web.RequestPayloadError):
            raise ConnectError(Code.INVALID_ARGUMENT, "malformed body: its transfer encoding is broken") from None
        except ConnectionError:
            raise ConnectError(Code.CANCELED, "the caller hung up") from None
        return body.finish()


async def _answer(message: Message, codec: codecs.Codec, accept_encoding: str) -> web.Response:
    use_gzip = compression.accepts_gzip(accept_encoding)
    if message.ByteSize() > LARGE:
        data = await asyncio.to_thread(_encode, message, codec, use_gzip)
    else:
        data = _encode(message, codec, use_gzip)
    response = web.Response(body=data, headers={hdrs.CONTENT_TYPE: codec.content_type})
    if use_gzip and data:
        response.headers[hdrs.CONTENT_ENCODING] = compression.GZIP
    _describe(response)
    return response


def _encode(message: Message, codec: codecs.Codec, use_gzip: bool) -> bytes:
    data = codec.encode(message)
    return compression.compress(data) if use_gzip and data else data


def _error(error: ConnectError, *, status: int | None = None, **extra: str) -> tuple[web.Response, str]:
    body, content_type = error.to_json(), codecs.JsonCodec.content_type
    response = web.Response(status=status or error.http_status, body=body, headers={hdrs.CONTENT_TYPE: content_type})
    response.headers.update(extra)
    if error.retry_after is not None:
        response.headers[hdrs.RETRY_AFTER] = str(error.retry_after)
    _describe(response)
    return response, error.code


def _warned(response: web.Response, unknown_fields: Sequence[str]) -> web.Response:
    """The response, which tells what of the request was ignored."""
    for path in unknown_fields[:WARNINGS_MAX]:
        response.headers.add(hdrs.WARNING, f'299 - "unknown field {_NO_TEXT.sub("?", path)}"')
    if len(unknown_fields) > WARNINGS_MAX:
        response.headers.add(hdrs.WARNING, f'299 - "{len(unknown_fields) - WARNINGS_MAX} more unknown fields"')
    return response


def _describe(response: web.Response) -> None:
    """Tell which compressions requests may have, and caches that the answer depends on what was accepted."""
    response.headers[hdrs.ACCEPT_ENCODING] = compression.ACCEPTED
    response.headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING


def _connect_error(error: Exception, method: str) -> ConnectError:
    """The answer for whatever a method raised; what no caller can do anything about goes to the log."""
    if isinstance(error, ConnectError):
        return error
    if isinstance(error, JennahError) and (known := errors.from_domain(error)):
        if isinstance(error, Retryable):
            LOG.warning("%s could not be answered: %s", method, error)
        return known
    LOG.error("%s failed", method, exc_info=error)
    return ConnectError(Code.INTERNAL, errors.INTERNAL)
