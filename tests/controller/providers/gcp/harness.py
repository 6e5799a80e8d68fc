"""The stand-in of Google Cloud Batch in the test's own event loop, with a clock that the test moves."""

import contextlib
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import grpc

from controller.clock import SystemClock
from controller.cloud_settings import GcpSettings
from controller.domain import names
from controller.domain.job import JobSpec
from controller.domain.resources import ResourceSet
from controller.ports import JobRef, Observation, SubmitRequest
from controller.providers.gcp.provider import GcpProvider
from dev.emulators.faults import Dice, Faults
from dev.emulators.gcp.masks import MaskMode
from dev.emulators.gcp.server import BatchServer
from dev.emulators.gcp.service import BatchService

PROJECT, REGION, INSTANCE = "acme", "us-central1", "test"


class LaterClock(SystemClock):
    """The machine's clocks, with seconds added to the one that is waited by."""

    def __init__(self) -> None:
        self.offset = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.offset


class World:
    """A service, its server and an adapter. `ahead` moves the service's time, `later` the adapter's."""

    def __init__(self, faults: Faults | None = None, *, mask_mode: MaskMode = "honour", preempted: float = 0.0) -> None:
        self.offset = 0.0
        self.clock = LaterClock()
        self.service = BatchService(
            Dice(faults or Faults(), seed=7),
            mask_mode=mask_mode,
            preempted=preempted,
            now=lambda: time.time() + self.offset,
        )
        self.server = BatchServer(self.service)
        self.provider: GcpProvider

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["World"]:
        async with self.server.serving():
            self.provider = self.adapter()
            try:
                yield self
            finally:
                await self.provider.close()

    def adapter(self, **settings: object) -> GcpProvider:
        return GcpProvider(settings_for(self.server.endpoint, **settings), self.clock)

    def failing(self, method: str, *codes: grpc.StatusCode) -> None:
        """Have the next calls of that method end with those statuses, one after the other."""
        left = list(codes)

        async def hook(called: str, context: grpc.aio.ServicerContext) -> None:
            if called == method and left:
                await context.abort(left.pop(0), "for now")

        self.server.hook = hook

    def ahead(self, seconds: float) -> None:
        self.offset += seconds

    def later(self, seconds: float) -> None:
        self.clock.offset += seconds

    async def submitted(self, *command: str, **spec: object) -> tuple[JobRef, Observation]:
        request = request_for(command, **spec)
        return ref_of(request), await self.provider.submit(request)

    async def seen(self, ref: JobRef) -> Observation:
        """What a round of observation says; `get` must say the same."""
        seen = (await self.provider.observe([ref]))[ref.external_name]
        assert await self.provider.get(ref) == seen
        return seen

    def aborting(self, *codes: tuple[str, grpc.StatusCode, str]) -> None:
        """Have the calls of those methods end with that status."""
        by_method = {method: (code, text) for method, code, text in codes}

        async def hook(method: str, context: grpc.aio.ServicerContext) -> None:
            if method in by_method:
                await context.abort(*by_method[method])

        self.server.hook = hook


def settings_for(endpoint: str, **settings: object) -> GcpSettings:
    rates = {"reads_per_second": 10_000, "mutations_per_second": 10_000}
    known = {"project": PROJECT, "region": REGION, "instance": INSTANCE, **rates, **settings}
    return GcpSettings(endpoint=endpoint, **known)


def request_for(
    command: tuple[str, ...] = ("sleep", "60"), *, env: dict[str, str] | None = None, **spec: object
) -> SubmitRequest:
    uid = str(uuid.uuid4())
    return SubmitRequest(
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        external_name=names.external_name("job", uid),
        uid=uid,
        job_id="id-1",
        tenant_id="Tenant.One",
        spec=JobSpec(image="busybox", command=command, **{"backoff_limit": 0, **spec}),
        resources=ResourceSet(cpu_millis=1000, memory_mib=128, max_run_duration_seconds=3600),
        env=env or {},
    )


def ref_of(request: SubmitRequest) -> JobRef:
    return JobRef(external_name=request.external_name, uid=request.uid, destination=request.destination)
