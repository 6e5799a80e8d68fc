"""The Connect protocol as raw requests over a real socket: paths, headers, codecs, compression, limits, time."""

import asyncio
import gzip
import io
import json
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from api import errors
from api.app import make_runner
from api.connect.endpoint import LARGE_REQUEST, Endpoint
from api.connect.errors import HTTP_STATUS, Code, ConnectError
from api.connect.methods import Context, Method
from api.gen import deployment_pb2 as pb
from controller.domain import errors as domain
from tests.api.harness import Reply

LIMIT = 64 * 1024
JSON = {"Content-Type": "application/json"}
PROTO = {"Content-Type": "application/proto"}

Behaviour = Callable[[pb.GetJobRequest], Awaitable[pb.Job]]


class Echo:
    """A service of one method that does what the test says; without a word, it echoes."""

    def __init__(self) -> None:
        self.behaviour: Behaviour = self.echo
        self.url = ""
        self.calls = 0

    async def echo(self, request: pb.GetJobRequest) -> pb.Job:
        return pb.Job(job_id=request.job_id, retry_count=7, status="RUNNING")

    async def call(self, context: Context, request: Any) -> pb.Job:
        self.calls += 1
        return await self.behaviour(request)

    def raises(self, error: Exception) -> None:
        async def behaviour(_: pb.GetJobRequest) -> pb.Job:
            raise error

        self.behaviour = behaviour

    async def post(self, data: Any, path: str = "/x.Service/Echo", *, method: str = "POST", **headers: str) -> Reply:
        sent = {name.replace("_", "-"): value for name, value in ({"Accept_Encoding": "identity"} | headers).items()}
        async with (
            aiohttp.ClientSession(auto_decompress=False) as http,
            http.request(method, self.url + path, data=data, headers=sent) as response,
        ):
            return Reply(response.status, response.headers, await response.read())


async def anybody(_: Context) -> None:
    """Lets every call in."""


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    echo = Echo()
    methods = [Method(name="Echo", request=pb.GetJobRequest, call=echo.call)]
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", Endpoint("/x.Service/", methods, max_bytes=LIMIT, admit=anybody).handle)
    runner = make_runner(app, grace_seconds=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    echo.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield echo
    await runner.cleanup()


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"]
)
async def test_json_is_camel_case_without_defaults_and_with_long_numbers_as_text(echo: Echo, content_type: str) -> None:
    reply = await echo.post(b'{"job_id": "a", "unknown": [1]}', Content_Type=content_type)
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.json == {"jobId": "a", "status": "RUNNING", "retryCount": "7"}


async def test_json_may_be_camel_case(echo: Echo) -> None:
    assert (await echo.post(b'{"jobId": "a"}', **JSON)).json["jobId"] == "a"


async def test_binary_is_answered_in_binary_and_its_errors_in_json(echo: Echo) -> None:
    reply = await echo.post(pb.GetJobRequest(job_id="a").SerializeToString(), **PROTO)
    assert reply.headers["Content-Type"] == "application/proto"
    assert pb.Job.FromString(reply.data) == pb.Job(job_id="a", retry_count=7, status="RUNNING")
    echo.raises(domain.NotFound("job a not found"))
    reply = await echo.post(b"", **PROTO)
    assert (reply.status, reply.headers["Content-Type"]) == (404, "application/json")
    assert reply.json == {"code": "not_found", "message": "job a not found"}


@pytest.mark.parametrize("code", list(Code))
async def test_every_code_has_its_http_status_and_its_details(echo: Echo, code: Code) -> None:
    echo.raises(ConnectError(code, "because", (pb.GetJobRequest(job_id="a"),)))
    reply = await echo.post(b"{}", **JSON)
    assert reply.status == HTTP_STATUS[code]
    detail = {"type": "jennah.v1.GetJobRequest", "value": "CgFh"}
    assert reply.json == {"code": code.value, "message": "because", "details": [detail]}


def test_the_table_is_that_of_the_contract() -> None:
    assert {code.value: status for code, status in HTTP_STATUS.items()} == {
        "canceled": 499, "unknown": 500, "invalid_argument": 400, "deadline_exceeded": 504, "not_found": 404,
        "already_exists": 409, "permission_denied": 403, "resource_exhausted": 429, "failed_precondition": 400,
        "aborted": 409, "out_of_range": 400, "unimplemented": 501, "internal": 500, "unavailable": 503,
        "data_loss": 500, "unauthenticated": 401,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "code", "shown"),
    [
        (domain.Invalid("image is wrong"), Code.INVALID_ARGUMENT, "image is wrong"),
        (domain.NotFound("job a not found"), Code.NOT_FOUND, "job a not found"),
        (domain.AlreadyExists("taken"), Code.ALREADY_EXISTS, "taken"),
        (domain.Permanent("refused", reason="X"), Code.FAILED_PRECONDITION, "refused"),
        (domain.Conflict("at 10.0.0.1"), Code.ABORTED, "try again"),
        (domain.Throttled("at 10.0.0.1"), Code.RESOURCE_EXHAUSTED, "try again"),
        (domain.Unavailable("at 10.0.0.1"), Code.UNAVAILABLE, "try again"),
        (domain.Retryable("at 10.0.0.1"), Code.UNAVAILABLE, "try again"),
        (domain.JennahError("at 10.0.0.1"), Code.INTERNAL, errors.INTERNAL),
        (RuntimeError("at 10.0.0.1"), Code.INTERNAL, errors.INTERNAL),
        (TimeoutError("at 10.0.0.1"), Code.INTERNAL, errors.INTERNAL),
    ],
)
async def test_every_error_of_the_domain_has_a_code(echo: Echo, error: Exception, code: Code, shown: str) -> None:
    echo.raises(error)
    reply = await echo.post(b"{}", **JSON)
    assert reply.code == code
    assert shown in reply.message
    assert "10.0.0.1" not in reply.message


def test_every_error_class_of_the_domain_but_two_is_covered() -> None:
    covered = tuple(kind for kind, _, _ in errors.CODES)
    classes = [
        kind for kind in vars(domain).values() if isinstance(kind, type) and issubclass(kind, domain.JennahError)
    ]
    assert {kind for kind in classes if not issubclass(kind, covered)} == {domain.JennahError, domain.ConfigError}


async def test_an_unknown_exception_is_logged_once_and_not_shown(echo: Echo, caplog: pytest.LogCaptureFixture) -> None:
    echo.raises(ValueError("the secret"))
    with caplog.at_level(logging.WARNING):
        reply = await echo.post(b"{}", **JSON)
    assert (reply.status, reply.code) == (500, "internal")
    assert "secret" not in reply.message
    (record,) = caplog.records
    assert record.exc_info is not None


@pytest.mark.parametrize(
    "path", ["/", "/x.Service/", "/x.Service/Nope", "/x.Service/Echo/", "/y.Service/Echo", "/%00", "//x"]
)
async def test_an_unknown_path_is_404(echo: Echo, path: str) -> None:
    reply = await echo.post(b"{}", path, **JSON)
    assert (reply.status, reply.code) == (404, "unimplemented")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_only_post_is_taken(echo: Echo, method: str) -> None:
    reply = await echo.post(None, method=method, **JSON)
    assert (reply.status, reply.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/xml",
        "application/grpc",
        "application/connect+json",
        "application/json; charset=latin-1",
        "application/proto; x=y",
        "application/json, application/json",
        "",
        ";",
    ],
)
async def test_another_content_type_is_415(echo: Echo, content_type: str) -> None:
    reply = await echo.post(b"{}", Content_Type=content_type)
    assert reply.status == 415
    assert reply.headers["Accept-Post"] == "application/json, application/json; charset=utf-8, application/proto"


async def test_the_version_is_checked_only_when_it_is_sent(echo: Echo) -> None:
    assert (await echo.post(b"{}", Connect_Protocol_Version="1", **JSON)).status == 200
    for version in ("2", "", "one"):
        assert (await echo.post(b"{}", Connect_Protocol_Version=version, **JSON)).code == "invalid_argument"


@pytest.mark.parametrize("timeout", ["", "soon", "-1", "1.5", "12345678901", "٣", "0x10"])
async def test_a_timeout_that_is_none(echo: Echo, timeout: str) -> None:
    assert (await echo.post(b"{}", Connect_Timeout_Ms=timeout, **JSON)).code == "invalid_argument"
    assert echo.calls == 0


async def test_a_call_ends_with_its_callers_patience(echo: Echo) -> None:
    ended = asyncio.Event()

    async def behaviour(_: pb.GetJobRequest) -> pb.Job:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    echo.behaviour = behaviour
    reply = await echo.post(b"{}", Connect_Timeout_Ms="20", **JSON)
    assert (reply.status, reply.code) == (504, "deadline_exceeded")
    assert ended.is_set()
    echo.behaviour = echo.echo
    assert (await echo.post(b"{}", Connect_Timeout_Ms="9999999999", **JSON)).status == 200


@pytest.mark.parametrize("headers", [JSON, PROTO], ids=["json", "binary"])
async def test_gzip_both_ways(echo: Echo, headers: dict[str, str]) -> None:
    request = pb.GetJobRequest(job_id="a")
    plain = b'{"jobId": "a"}' if headers is JSON else request.SerializeToString()
    for data in (gzip.compress(plain), gzip.compress(plain[:3]) + gzip.compress(plain[3:])):
        reply = await echo.post(data, Content_Encoding="gzip", Accept_Encoding="br, gzip", **headers)
        assert reply.headers["Content-Encoding"] == "gzip"
        assert b"RUNNING" in gzip.decompress(reply.data)
    echo.raises(domain.NotFound("no"))
    error = await echo.post(plain, Accept_Encoding="gzip", **headers)
    assert "Content-Encoding" not in error.headers
    assert error.code == "not_found"


@pytest.mark.parametrize("accept", ["identity", "", "br", "gzip;q=0", "*;q=0, br", "gzip; q=0.0, *"])
async def test_no_gzip_for_who_does_not_take_it(echo: Echo, accept: str) -> None:
    reply = await echo.post(b'{"jobId": "a"}', Accept_Encoding=accept, **JSON)
    assert "Content-Encoding" not in reply.headers
    assert reply.json["jobId"] == "a"


async def test_identity_is_an_encoding_and_an_empty_gzip_body_is_empty(echo: Echo) -> None:
    assert (await echo.post(b"{}", Content_Encoding="identity", **JSON)).status == 200
    assert (await echo.post(b"", Content_Encoding="gzip", **PROTO)).status == 200


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "x" * 500])
async def test_an_unknown_encoding_lists_those_that_are_accepted(echo: Echo, encoding: str) -> None:
    reply = await echo.post(b"{}", Content_Encoding=encoding, **JSON)
    assert (reply.status, reply.code) == (501, "unimplemented")
    assert "gzip" in reply.message and "identity" in reply.message
    assert reply.headers["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize("data", [b"{}", gzip.compress(b"{}")[:-4], gzip.compress(b"{}") + b"rest", b"\x1f\x8b"])
async def test_a_body_that_is_no_gzip(echo: Echo, data: bytes) -> None:
    reply = await echo.post(data, Content_Encoding="gzip", **JSON)
    assert (reply.status, reply.code) == (400, "invalid_argument")


async def test_a_body_may_be_as_large_as_the_limit_and_no_larger(echo: Echo) -> None:
    fits = b'{"jobId": "a"}'.ljust(LIMIT)
    for data, encoding in ((fits, "identity"), (gzip.compress(fits), "gzip")):
        assert (await echo.post(data, Content_Encoding=encoding, **JSON)).status == 200
    for data, encoding in ((fits + b" ", "identity"), (gzip.compress(fits + b" "), "gzip")):
        reply = await echo.post(data, Content_Encoding=encoding, **JSON)
        assert (reply.status, reply.code) == (429, "resource_exhausted")


async def test_a_body_without_a_length_is_bounded_as_well(echo: Echo) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(LIMIT // 1000):
            yield b" " * 2000

    assert (await echo.post(pieces(), **JSON)).code == "resource_exhausted"


async def test_a_gzip_bomb_is_stopped_while_it_inflates(echo: Echo) -> None:
    bomb = gzip.compress(bytes(LIMIT * 1000))
    assert len(bomb) < LIMIT * 2
    assert (await echo.post(bomb, Content_Encoding="gzip", **JSON)).code == "resource_exhausted"
    empty_members = gzip.compress(b"") * 10_000
    assert (await echo.post(empty_members, Content_Encoding="gzip", **JSON)).code == "resource_exhausted"


async def test_large_answers_arrive_whole(echo: Echo) -> None:
    async def behaviour(_: pb.GetJobRequest) -> pb.Job:
        return pb.Job(error_message="x" * 1_000_000)

    echo.behaviour = behaviour
    reply = await echo.post(b"{}", Accept_Encoding="gzip", **JSON)
    assert json.loads(gzip.decompress(reply.data)) == {"errorMessage": "x" * 1_000_000}


async def test_a_large_request_is_decoded_beside_the_event_loop() -> None:
    """A list of a million empty words is 4 MiB of JSON, some kilobytes of gzip, and a second of decoding."""
    threads: list[threading.Thread] = []

    def message() -> pb.SubmitJobRequest:
        threads.append(threading.current_thread())
        return pb.SubmitJobRequest()

    message.DESCRIPTOR = pb.SubmitJobRequest.DESCRIPTOR  # type: ignore[attr-defined]

    async def count(_: Context, request: pb.SubmitJobRequest) -> pb.SubmitJobResponse:
        return pb.SubmitJobResponse(status=str(len(request.commands)))

    methods = [Method(name="Count", request=message, call=count)]  # type: ignore[arg-type]
    app = web.Application()
    app.router.add_post("/{path:.*}", Endpoint("/", methods, max_bytes=LIMIT * 2, admit=anybody).handle)
    async with TestClient(TestServer(app)) as client:
        for words in (10, LARGE_REQUEST // 4 + 10):
            body = json.dumps({"commands": [""] * words}).encode()
            reply = await client.post("/Count", data=io.BytesIO(body), headers=JSON)
            assert await reply.json() == {"status": str(words)}
    small, large = threads
    assert (small is threading.main_thread(), large is threading.main_thread()) == (True, False)


async def test_a_caller_that_hangs_up_in_the_middle_harms_nobody(echo: Echo, caplog: pytest.LogCaptureFixture) -> None:
    host, port = echo.url.removeprefix("http://").split(":")
    head = "POST /x.Service/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    for rest in ("Content-Length: 100\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\nZZ\r\n"):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write((head + rest).encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    assert (await echo.post(b"{}", **JSON)).status == 200
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
