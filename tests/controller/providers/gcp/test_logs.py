"""Reading a job's log: the query, the forms of an entry, and what is said where something is missing."""

import contextlib
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import grpc
import msgspec
import pytest
from google.cloud.logging_v2.types import ListLogEntriesRequest, ListLogEntriesResponse, LogEntry

from controller.domain.errors import ConfigError, Forbidden, NotFound
from controller.domain.job import Job, JobSpec, JobStatus, Metadata
from controller.domain.phases import Phase
from controller.providers.gcp import logs, places

PLACE = places.Place(project="acme", region="us-central1", instance="test")
JOB = Job(
    metadata=Metadata(name="j", uid="u"),
    spec=JobSpec(image="busybox"),
    status=JobStatus(resource_path=PLACE.path("n"), logs_url=places.logs_url(PLACE, "job-uid-1")),
)


class Logging:
    """A stand-in of Cloud Logging that answers with those pages."""

    def __init__(self, *pages: list[LogEntry]) -> None:
        self.pages = pages
        self.asked: list[Any] = []
        self.refusal: grpc.StatusCode | None = None

    async def list(self, request: Any, context: Any) -> Any:
        self.asked.append(request)
        if self.refusal:
            await context.abort(self.refusal, "no")
        number = int(request.page_token or 0)
        token = str(number + 1) if number + 1 < len(self.pages) else ""
        return ListLogEntriesResponse.pb(ListLogEntriesResponse(entries=self.pages[number], next_page_token=token))

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        handler = grpc.unary_unary_rpc_method_handler(
            self.list,
            request_deserializer=ListLogEntriesRequest.pb().FromString,
            response_serializer=lambda answer: answer.SerializeToString(),
        )
        server = grpc.aio.server()
        service = "google.logging.v2.LoggingServiceV2"
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"ListLogEntries": handler}),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            await server.stop(grace=None)


async def read(logging: Logging, job: Job = JOB) -> list[str]:
    async with logging.serving() as endpoint:
        return [line async for line in logs.lines(job, endpoint=endpoint)]


async def test_lines_come_in_order_from_all_pages() -> None:
    logging = Logging(
        [LogEntry(text_payload="one\ntwo"), LogEntry(text_payload="")],
        [LogEntry(json_payload={"message": "three"}), LogEntry(json_payload={"level": "x"})],
    )
    assert await read(logging) == ["one", "two", "", "three", '{"level": "x"}']
    assert logging.asked[0].resource_names == ["projects/acme"]
    assert logging.asked[0].filter == places.logs_query("acme", "job-uid-1")
    assert logging.asked[0].order_by == "timestamp asc"


async def test_a_job_that_was_never_submitted_has_no_logs() -> None:
    job = Job(metadata=Metadata(name="j"), spec=JobSpec(image="busybox"))
    with pytest.raises(NotFound, match="j has no logs"):
        await read(Logging([]), job)


STARTED = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"phase": Phase.PENDING}, r"none of its tasks has begun yet$"),
        (
            {"phase": Phase.FAILED, "reason": "ImagePullFailed", "message": "the image cannot be pulled"},
            r"none of its tasks began: ImagePullFailed: the image cannot be pulled$",
        ),
        ({"phase": Phase.RUNNING, "started_at": STARTED}, r"has written nothing yet, .*roles/logging\.logWriter"),
        (
            {"phase": Phase.COMPLETED, "started_at": STARTED},
            r'wrote nothing, .*batch_task_logs" AND labels\.job_uid="job-uid-1"$',
        ),
    ],
)
async def test_no_entries_are_an_error_that_says_why(changes: dict[str, Any], words: str) -> None:
    job = msgspec.structs.replace(JOB, status=msgspec.structs.replace(JOB.status, **changes))
    with pytest.raises(NotFound, match=f"j has no log entries: .*{words}"):
        await read(Logging([]), job)


async def test_a_missing_right_is_named() -> None:
    logging = Logging([])
    logging.refusal = grpc.StatusCode.PERMISSION_DENIED
    with pytest.raises(Forbidden, match=r"roles/logging\.viewer"):
        await read(logging)


async def test_a_missing_package_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.cloud.logging_v2.services.logging_service_v2", None)
    with pytest.raises(ConfigError, match=r"pip install 'jennah-controller\[gcp,gcp-logs\]'"):
        await read(Logging([]))
