"""The API on the in-memory Kubernetes server and SQLite, all in this process, spoken to over a real socket."""

import contextlib
import io
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from api.app import create_app, make_runner
from api.auth.settings import AuthSettings
from api.settings import ApiSettings
from controller.clock import SystemClock
from controller.domain import names
from controller.domain.errors import NotFound
from controller.domain.phases import Phase
from controller.domain.records import JobRow, Recorded, Transition
from controller.domain.resources import Profiles
from controller.kube import paths
from controller.kube.client import KubeClient, Object
from controller.ports import JobStore, RecordFailure
from controller.settings import CommonSettings, DatabaseSettings
from controller.stores.sqlite import SqliteStore

SERVICE = "/jennah.v1.DeploymentService/"
TENANT = "tenant-1"
IMAGE = "gcr.io/project/image:1"


def api_settings(**changes: Any) -> ApiSettings:
    redact = changes.pop("redact_env", False)
    common = CommonSettings(
        worker_id="worker-1",
        data_dir=Path("unused"),
        database=DatabaseSettings(kind="sqlite", endpoint="unused", redact_env=redact),
        profiles=Profiles(),
        log_format="text",
        log_level="info",
    )
    auth = AuthSettings(**{name: changes.pop(name) for name in AuthSettings.__struct_fields__ if name in changes})
    return ApiSettings(common=common, auth=auth, host="127.0.0.1", **{"port": 0, "cancel_wait_seconds": 0.0, **changes})


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    data: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.data)

    @property
    def code(self) -> str:
        return str(self.json.get("code", ""))

    @property
    def message(self) -> str:
        return str(self.json.get("message", ""))


@dataclass
class Api:
    """One running API and what stands behind it."""

    url: str
    http: aiohttp.ClientSession
    kube: KubeClient
    store: JobStore
    app: web.Application
    settings: ApiSettings = field(default_factory=api_settings)

    async def call(self, method: str, message: object = None, *, tenant: str = TENANT, **headers: str) -> Reply:
        """A JSON call as curl makes it."""
        data = json.dumps({} if message is None else message).encode()
        sent = {"X-Tenant-Id": tenant, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return await self.raw(SERVICE + method, data, **sent)

    async def raw(self, path: str, data: bytes | None, *, method: str = "POST", **headers: str) -> Reply:
        headers.setdefault("Content-Type", "application/json")
        headers.setdefault("Accept-Encoding", "identity")
        body = io.BytesIO(data) if data is not None else None  # aiohttp warns of large bodies that are bytes
        async with self.http.request(method, self.url + path, data=body, headers=headers) as response:
            return Reply(response.status, response.headers, await response.read())

    async def submit(self, **request: object) -> Reply:
        tenant = str(request.pop("tenant", TENANT))
        return await self.call("SubmitJob", {"image_uri": IMAGE, **request}, tenant=tenant)

    async def objects(self) -> list[Object]:
        found: list[Object] = (await self.kube.get(paths.jobs()))["items"]
        return found

    async def job_object(self, job_id: str) -> Object:
        """The object of that job id, or of that name where kubectl made it."""
        found = [item for item in await self.objects() if item["spec"].get("jobId") == job_id]
        if not found:
            return await self.kube.get(paths.job("default", job_id))
        (item,) = found
        return item

    async def release(self, job_id: str) -> None:
        """Take its finalizer off, as the controller does when it lets a deleted object go."""
        metadata = (await self.job_object(job_id))["metadata"]
        await self.kube.merge_patch(paths.job("default", metadata["name"]), {"metadata": {"finalizers": None}})

    async def remove(self, job_id: str) -> None:
        """Remove the object, as its ttl or kubectl does, and the finalizer with it."""
        await self.release(job_id)
        with contextlib.suppress(NotFound):  # it was being deleted
            await self.kube.delete(paths.job("default", (await self.job_object(job_id))["metadata"]["name"]))

    async def secrets(self) -> list[Object]:
        found: list[Object] = (await self.kube.get(paths.secrets("default")))["items"]
        return found

    async def set_status(self, name: str, **status: object) -> None:
        """What the controller would write."""
        found = (await self.job_object(name))["metadata"]["name"]
        await self.kube.merge_patch(paths.job_status("default", found), {"status": status})

    async def record(self, name: str, phase: Phase, *, number: int = 1, tenant: str = TENANT) -> None:
        """The next transition of a recorded job, as the controller writes it: record, then status."""
        row = await self.store.get_job(tenant, name)
        assert row is not None
        uid = (await self.job_object(name))["metadata"]["uid"]
        at = datetime.now(UTC)
        changed = msgspec.structs.replace(row, status=phase, completed_at=at if phase.is_terminal else None)
        transition = Transition(uid=uid, number=number, from_phase=row.status, row=changed, at=at, reason="test")
        (result,) = await self.store.record([transition])
        assert isinstance(result, Recorded)
        await self.set_status(name, phase=phase.value, transition=number)

    async def write_again(self, row: JobRow) -> Recorded | RecordFailure:
        """The first transition of that row's object, as one that was in flight writes it."""
        uid = (await self.job_object(row.job_id))["metadata"]["uid"]
        first = Transition(uid=uid, number=0, from_phase=None, row=row, at=row.created_at, reason="late")
        (result,) = await self.store.record([first])
        return result

    async def lose_row(self, job_id: str) -> None:
        """As if the process had died before it wrote the row."""
        store = self.store
        assert isinstance(store, SqliteStore)
        await store._writer.run(lambda db: db.execute("DELETE FROM jobs WHERE job_id = ?", (job_id,)))

    async def apply(self, name: str, namespace: str = "default", **spec: object) -> Object:
        """A JennahJob as kubectl creates it."""
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"image": IMAGE, **spec},
        }
        return await self.kube.post(paths.jobs(namespace), body)

    async def count(self) -> tuple[int, int, int]:
        """How many jobs, Secrets and rows there are: a refused request leaves all three alone."""
        rows = await self.store.list_jobs(TENANT)
        return len(await self.objects()), len(await self.secrets()), len(rows.jobs)


async def wipe(client: KubeClient) -> None:
    """Remove what a test left, finalizers or not."""
    for job in (await client.get(paths.jobs()))["items"]:
        path = paths.job(job["metadata"]["namespace"], job["metadata"]["name"])
        if job["metadata"].get("finalizers"):
            await client.merge_patch(path, {"metadata": {"finalizers": None}})
        with contextlib.suppress(NotFound):
            await client.delete(path)
    for secret in (await client.get("/api/v1/secrets"))["items"]:
        with contextlib.suppress(NotFound):  # the garbage collector may be faster
            await client.delete(paths.secret(secret["metadata"]["namespace"], secret["metadata"]["name"]))


@contextlib.asynccontextmanager
async def serving(
    client: KubeClient, store: JobStore, settings: ApiSettings | None = None, **collaborators: Any
) -> AsyncIterator[Api]:
    """The API over those two, on a free port."""
    settings = settings or api_settings()
    clock = collaborators.pop("clock", None) or SystemClock()
    app = create_app(client=client, store=store, settings=settings, clock=clock, **collaborators)
    runner = make_runner(app, grace_seconds=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession(auto_decompress=False) as http:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield Api(url=url, http=http, kube=client, store=store, app=app, settings=settings)
    finally:
        await runner.cleanup()
