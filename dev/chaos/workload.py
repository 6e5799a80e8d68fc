"""Jobs that are submitted while things break, by callers who do not give up: what was asked for, and acknowledged."""

import asyncio
import contextlib
import math
import random
import time
from collections.abc import Sequence
from typing import Any

import aiohttp
import msgspec

from api.submissions import BEING_DELETED
from controller.domain import names
from controller.domain.errors import AlreadyExists, JennahError, NotFound
from controller.kube import paths
from controller.kube.client import KubeClient, items_of
from dev.chaos.plan import Plan

TENANT = "chaos"
CALL_SECONDS = 15.0
RETRY_SECONDS = 0.5
SETS = {"azure": 0.15}
"""The share of jobs that are sets of tasks with a parallelism, where the operator itself sees to that."""
REPEATED = 0.2
"""The share of submissions that are made once more later, while the job waits, runs, or has long ended."""
_RPC = "/jennah.v1.DeploymentService/"
_AT_ONCE = 40


class Asked(msgspec.Struct, kw_only=True):
    """One job as it was asked for."""

    name: str
    """What the job is called, its job id, and the name of its object where it came by kubectl."""
    seconds: float
    exit_code: int
    tasks: int = 1
    parallelism: int = 0
    """Of them at once; 0: all."""
    by_kubectl: bool = False
    wish: str = ""
    """cancel, delete, or force (deleted with the finalizer taken off by hand), while it waits, runs, or has ended."""
    wish_after: float = 0.0
    has_secret: bool = False
    repeat_after: float | None = None
    """When the very same request is made once more, by a caller who has lost the answer."""
    expires: bool = False
    """Whether its object is removed some time after its end."""
    is_acknowledged: bool = False
    wish_acknowledged_at: float = math.inf
    """Seconds since 1970."""
    is_emptied: bool = False
    """Whether its status was emptied by hand."""

    @property
    def goes(self) -> bool:
        """Whether its object is to be gone at the end."""
        return self.wish in ("delete", "force")

    @property
    def can_be_repeated(self) -> bool:
        """Whether the same request again is to change nothing: after a deletion it would be a new job."""
        return self.is_acknowledged and not self.by_kubectl and not self.goes

    @property
    def script(self) -> str:
        return f"sleep {self.seconds:.1f}; exit {self.exit_code}"


class Workload:
    """All jobs of a plan."""

    def __init__(self, plan: Plan, *, api_url: str, kube: KubeClient, namespace: str) -> None:
        self._plan = plan
        self._api_url = api_url
        self._kube = kube
        self._namespace = namespace
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._end = 0.0
        dice = random.Random(plan.seed + 1)
        self.asked = [_draw(plan, number, dice) for number in range(plan.jobs)]

    async def run(self) -> None:
        """Submit them all, and see to their wishes; each call until it is answered."""
        pause, self._end = self._plan.seconds / len(self.asked), time.monotonic() + self._plan.seconds
        async with _session() as http, asyncio.TaskGroup() as group:
            for one in self.asked:
                group.create_task(self._see_to(one, http))
                await asyncio.sleep(pause)

    async def _see_to(self, one: Asked, http: aiohttp.ClientSession) -> None:
        async with self._at_once:
            await (self._create(one) if one.by_kubectl else self._submit(one, http))
            one.is_acknowledged = True
        if one.repeat_after is not None:
            await asyncio.sleep(min(one.repeat_after, max(self._end - time.monotonic(), 0.0)))
            await self._submit(one, http)
        if one.wish:
            await asyncio.sleep(one.wish_after)
            if one.by_kubectl:
                await (self._cancel(one) if one.wish == "cancel" else self._delete(one))
            else:
                method = "DeleteJob" if one.wish == "delete" else "CancelJob"
                # A job that has ended cannot be cancelled, and one that is gone not be deleted again.
                await self._call(http, method, {"job_id": one.name}, also=("invalid_argument", "not_found"))
            one.wish_acknowledged_at = time.time()

    async def repeat(self, shares: Sequence[float]) -> None:
        """Make the very same requests once more of some jobs, each at that share of those there are, until answered."""
        there = [one for one in self.asked if one.can_be_repeated]
        if there:
            async with _session() as http:
                again = (there[int(share * len(there))] for share in shares)
                await asyncio.gather(*(self._submit(one, http) for one in again))

    async def empty_a_status(self, share: float) -> None:
        """Empty the status of the job at that share of those that were submitted, as an admin may."""
        with contextlib.suppress(JennahError):  # Kubernetes is down, or the job is gone
            raw = items_of(await self._kube.get(paths.jobs(self._namespace)))
            submitted = [one for one in raw if (one.get("status") or {}).get("resourcePath")]
            there = {one["spec"]["jobId"]: one["metadata"]["name"] for one in submitted}
            if there:
                job_id, name = sorted(there.items())[int(share * len(there))]
                next(one for one in self.asked if one.name == job_id).is_emptied = True
                await self._kube.merge_patch(paths.job_status(self._namespace, name), {"status": None})

    async def _submit(self, one: Asked, http: aiohttp.ClientSession) -> None:
        await self._call(http, "SubmitJob", _request(one))

    async def _call(
        self, http: aiohttp.ClientSession, method: str, request: dict[str, Any], also: tuple[str, ...] = ()
    ) -> None:
        """Until it is answered with success, or with one of those codes."""
        while True:
            try:
                headers = {"X-Tenant-Id": TENANT}
                async with http.post(f"{self._api_url}{_RPC}{method}", json=request, headers=headers) as response:
                    if response.status == 200:
                        return
                    error = await response.json(content_type=None)
                    code = error.get("code", "")
                    if code in also:
                        return
                    is_going = code == "already_exists" and BEING_DELETED in error.get("message", "")
                    if code in ("invalid_argument", "already_exists") and not is_going:
                        raise AssertionError(f"{method} {request}: {error}")
            except (aiohttp.ClientError, TimeoutError, ValueError):
                pass  # whether it was done is unknown; the same call again is safe
            await asyncio.sleep(RETRY_SECONDS)

    async def _create(self, one: Asked) -> None:
        spec: dict[str, Any] = {"image": "busybox", "args": ["sh", "-c", one.script]}
        spec |= {"tenantId": TENANT, "jobId": one.name}
        if one.tasks > 1:
            spec |= {"completions": one.tasks, "parallelism": one.parallelism}
        metadata = {"name": one.name, "namespace": self._namespace}
        body = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": metadata, "spec": spec}
        while True:
            try:
                await self._kube.post(paths.jobs(self._namespace), body)
            except AlreadyExists:
                return
            except JennahError:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def _cancel(self, one: Asked) -> None:
        while True:
            try:
                await self._kube.merge_patch(paths.job(self._namespace, one.name), {"spec": {"cancel": True}})
            except NotFound:
                return  # Kubernetes was restored, and does not have it
            except JennahError:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def _delete(self, one: Asked) -> None:
        path = paths.job(self._namespace, one.name)
        while True:
            try:
                await self._kube.delete(path)
                if one.wish == "force":
                    await self._kube.merge_patch(path, {"metadata": {"finalizers": None}})
            except NotFound:
                return
            except JennahError:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(CALL_SECONDS))


def _request(one: Asked) -> dict[str, Any]:
    request: dict[str, Any] = {"job_id": one.name, "name": one.name, "image_uri": "busybox"}
    request["commands"] = ["sh", "-c", one.script]
    env = {"TOKEN": "secret"} if one.has_secret else {}
    if one.tasks > 1:
        env |= {"JENNAH_TASK_COUNT": str(one.tasks), "JENNAH_PARALLELISM": str(one.parallelism)}
    return request | ({"env_vars": env} if env else {})


def _draw(plan: Plan, number: int, dice: random.Random) -> Asked:
    seconds, exit_code = round(dice.uniform(0.2, 4), 1), dice.choice((0, 0, 0, 3))
    fate, kind, after = dice.random(), dice.random(), dice.uniform(0, 6)
    one = Asked(name=f"chaos-{plan.seed}-{number}", seconds=seconds, exit_code=exit_code)
    if dice.random() < SETS.get(plan.provider, 0.0):
        one.tasks, one.parallelism = dice.randint(3, 6), dice.randint(1, 3)
        one.seconds = round(seconds / 4, 1)
    if plan.wishes:
        one.by_kubectl = kind < 0.15
        one.has_secret = 0.15 <= kind < 0.4
        one.wish = "cancel" if fate < 0.1 else "delete" if fate < 0.2 else ""
        if one.by_kubectl and 0.2 <= fate < 0.4:
            one.wish = "force"
        one.wish_after = round(after, 1)
        if not one.by_kubectl and not one.wish and dice.random() < REPEATED:
            one.repeat_after = round(dice.uniform(0, 20), 1)
        one.expires = plan.ttl > 0 and not one.by_kubectl
    return one
