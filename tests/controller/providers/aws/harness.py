"""What the tests of the AWS adapter share: an emulator in a thread, adapters on it, and requests."""

import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from controller.clock import SystemClock
from controller.cloud_settings import AwsSettings
from controller.domain import names
from controller.domain.job import JobSpec
from controller.domain.resources import ResourceSet
from controller.ports import Clock, JobRef, SubmitRequest
from controller.providers.aws.provider import AwsProvider
from dev.emulators.aws.server import Emulator, drop, failed

ROLE = "arn:aws:iam::123456789012:role/execution"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
Wire = dict[str, Any]


class Service:
    """An emulator whose time the test moves (`now`), and the adapters that were made for it."""

    def __init__(self, url: str, emulator: Emulator, tell: Callable[[float], None]) -> None:
        self.url = url
        self.emulator = emulator
        self.advance = tell

    def settings(self, **other: object) -> AwsSettings:
        fields = {
            "region": "eu-west-1",
            "instance": "test",
            "job_queue": "jennah",
            "execution_role_arn": ROLE,
            "endpoint": self.url,
            "calls_per_second": 10_000,
            "submits_per_second": 10_000,
        }
        return AwsSettings(**{**fields, **other})

    def provider(self, clock: Clock | None = None, **other: object) -> AwsProvider:
        return AwsProvider(self.settings(**other), clock or SystemClock())

    @property
    def counts(self) -> dict[str, int]:
        return self.emulator.counts

    def answer(self, operation: str, *answers: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> None:
        """Have the next requests of that operation answered so, instead of being done."""
        self.emulator.instead[operation].extend(answers)


def wanted(name: str = "job", *, command: tuple[str, ...] = ("sleep", "60"), env=None, **spec: object) -> SubmitRequest:
    uid = str(uuid.uuid4())
    return SubmitRequest(
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        external_name=names.external_name(name, uid),
        uid=uid,
        job_id=name,
        tenant_id="tenant",
        spec=JobSpec(image="busybox", **{"args": command, "backoff_limit": 0, **spec}),
        resources=ResourceSet(cpu_millis=1000, memory_mib=2048, max_run_duration_seconds=3600),
        env=env or {},
    )


def noted(provider: AwsProvider, request: SubmitRequest) -> SubmitRequest:
    """The request with the destination that the controller writes down before it submits."""
    return msgspec.structs.replace(request, destination=provider.destination(request.spec, "team-a"))


def ref(request: SubmitRequest, path: str | None = None) -> JobRef:
    return JobRef(
        external_name=request.external_name,
        uid=request.uid,
        resource_path=path,
        spec=request.spec,
        destination=request.destination,
    )


def refused(status: int, code: str, message: str = "words") -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return failed(status, code, message)

    return answer


async def dropped(request: web.Request) -> web.StreamResponse:
    return drop(request)


async def garbage(_: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>", content_type="text/html")


async def submit_many(provider: AwsProvider, count: int, **spec: object) -> list[JobRef]:
    requests = [wanted(f"job-{n}", **spec) for n in range(count)]
    return [ref(request, (await provider.submit(request)).resource_path) for request in requests]


def rewritten(service: Service, change: Callable[[Wire], None]) -> None:
    """Have every summary of the lists changed so."""
    played = service.emulator.service
    real = played.list_jobs

    def list_jobs(wanted: Wire) -> Wire:
        page: Wire = msgspec.json.decode(msgspec.json.encode(real(wanted)))
        for job in page["jobSummaryList"]:
            change(job)
        return page

    played.list_jobs = list_jobs
