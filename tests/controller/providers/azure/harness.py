"""What the tests of the Azure adapter share: a stand-in, adapters on it, and requests."""

import contextlib
import itertools
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import msgspec
from aiohttp import web

from controller.domain import names
from controller.domain.job import JobSpec
from controller.domain.resources import ResourceSet
from controller.ports import Clock, JobRef, Observation, SubmitRequest
from controller.providers.azure.provider import AzureProvider
from dev.emulators.azure.server import Emulator, drop, failed
from dev.emulators.azure.server import reply as served
from tests.contract.azure_service import azure_settings

START = datetime(2026, 1, 1, tzinfo=UTC)


class HandClock:
    """Time of the adapter and of the stand-in: moves by hand, and by what is slept."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


class Service:
    """A stand-in whose time the test moves, and the adapters that were made for it."""

    def __init__(self, **options: object) -> None:
        self.clock = HandClock()
        self.emulator = Emulator(clock=lambda: self.clock.now().timestamp(), **options)
        self._made: list[AzureProvider] = []

    def provider(self, clock: Clock | None = None, **settings: object) -> AzureProvider:
        return self.made(AzureProvider(azure_settings(self.emulator.url, **settings), clock or self.clock))

    def made(self, provider: AzureProvider) -> AzureProvider:
        """Have it closed at the end."""
        self._made.append(provider)
        return provider

    @property
    def counts(self) -> dict[str, int]:
        return self.emulator.counts

    def answer(self, operation: str, *answers: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> None:
        """Have the next requests of that operation answered so, instead of being done."""
        self.emulator.instead[operation].extend(answers)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["Service"]:
        async with self.emulator.serving():
            try:
                yield self
            finally:
                for provider in self._made:
                    await provider.close()


_numbers = itertools.count()


def wanted(
    command: tuple[str, ...] = ("sleep", "60"),
    *,
    variables: dict[str, str] | None = None,
    created_at: datetime = START,
    **spec: object,
) -> SubmitRequest:
    uid = str(uuid.uuid4())
    return SubmitRequest(
        external_name=names.external_name(f"job-{next(_numbers)}", uid),
        uid=uid,
        job_id="id",
        tenant_id="tenant",
        spec=JobSpec(image="busybox", **{"command": command, "backoff_limit": 0, **spec}),
        resources=ResourceSet(cpu_millis=1000, memory_mib=4096, max_run_duration_seconds=3600),
        env=variables or {},
        created_at=created_at,
    )


def noted(provider: AzureProvider, request: SubmitRequest) -> SubmitRequest:
    """The request with the destination that the controller writes down before it submits."""
    return msgspec.structs.replace(request, destination=provider.destination(request.spec, "team-a"))


def ref(request: SubmitRequest, path: str | None = None) -> JobRef:
    return JobRef(
        external_name=request.external_name,
        uid=request.uid,
        resource_path=path,
        spec=request.spec,
        destination=request.destination,
        created_at=request.created_at,
    )


class Watched:
    """A job as the controller looks after it: it remembers what was told last, and has the tasks made that are due."""

    def __init__(self, provider: AzureProvider, request: SubmitRequest) -> None:
        self.provider = provider
        self.request = request
        self.seen: Observation | None = None

    @property
    def ref(self) -> JobRef:
        told = self.seen.tasks.submitted if self.seen and self.seen.tasks else None
        known = ref(self.request, self.seen.resource_path if self.seen else None)
        return msgspec.structs.replace(known, tasks_submitted=told)

    async def submit(self) -> Observation:
        self.seen = await self.provider.submit(self.request)
        return self.seen

    async def look(self) -> Observation:
        self.seen = (await self.provider.observe([self.ref]))[self.request.external_name]
        return self.seen

    async def go_on(self) -> Observation:
        if (await self.look()).tasks_due:
            self.seen = await self.provider.submit(msgspec.structs.replace(self.request, begun=self.seen))
        return self.seen


def answer(status: int, code: str, text: str = "words"):
    async def reply(request: web.Request) -> web.StreamResponse:
        return failed(status, code, text)

    return reply


async def observed(provider: AzureProvider, request: SubmitRequest, path: str | None = None) -> Observation | None:
    return (await provider.observe([ref(request, path)])).get(request.external_name)


async def many(provider: AzureProvider, number: int) -> list:
    return [ref(one, (await provider.submit(one)).resource_path) for one in [wanted() for _ in range(number)]]


def each_task(status: str, code: str, text: str):
    async def reply(request: web.Request) -> web.StreamResponse:
        error = {"code": code, "message": {"lang": "en", "value": text}}
        asked = (await request.json())["value"]
        return served({"value": [{"taskId": one["id"], "status": status, "error": error} for one in asked]})

    return reply


async def lost(request: web.Request) -> web.StreamResponse:
    return drop(request)


def entries(service: Service, request: SubmitRequest) -> list:
    return [one for one in service.emulator.service.ledger() if one.uid == request.uid]
