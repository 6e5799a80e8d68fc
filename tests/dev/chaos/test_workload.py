"""Callers who repeat themselves, and an admin who empties a status."""

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from aiohttp import web

from api.submissions import BEING_DELETED, DIFFERENT
from controller.domain.errors import NotFound
from controller.kube.client import KubeClient
from dev.chaos.plan import Plan
from dev.chaos.workload import Workload
from dev.emulators.faults import Faults


class Callee:
    """An API that notes what it is asked for, and gives the next of these errors first."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.errors: list[dict[str, str]] = []
        self.url = ""

    async def submit(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        if self.errors:
            return web.json_response(self.errors.pop(0), status=409)
        return web.json_response({})


class Kube:
    """Jobs, and the patches that were asked for."""

    def __init__(self) -> None:
        self.jobs: list[dict[str, Any]] = []
        self.patched: list[tuple[str, Any]] = []

    async def get(self, path: str) -> dict[str, Any]:
        return {"items": self.jobs or None}

    async def merge_patch(self, path: str, patch: Any) -> None:
        self.patched.append((path, patch))


@pytest.fixture
async def callee() -> AsyncIterator[Callee]:
    made = Callee()
    app = web.Application()
    app.router.add_post("/jennah.v1.DeploymentService/SubmitJob", made.submit)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


def workload(url: str = "", kube: Kube | None = None, **changes: Any) -> Workload:
    plan = Plan(**{"provider": "gcp", "seed": 1, "jobs": 200, "seconds": 60, "faults": Faults()} | changes)
    return Workload(plan, api_url=url, kube=cast("KubeClient", kube or Kube()), namespace="n")


async def test_the_very_same_request_is_made_again_of_jobs_that_a_caller_may_repeat(callee: Callee) -> None:
    found = workload(callee.url)
    for one in found.asked:
        one.is_acknowledged = True
    by_name = {one.name: one for one in found.asked}
    await found.repeat([number / 100 for number in range(100)])
    assert len(callee.asked) == 100
    repeated = [by_name[request["job_id"]] for request in callee.asked]
    assert not any(one.by_kubectl or one.goes for one in repeated)
    assert {one.wish for one in repeated} == {"", "cancel"}
    assert all(request["commands"][-1] == by_name[request["job_id"]].script for request in callee.asked)


async def test_nothing_is_repeated_that_was_not_acknowledged(callee: Callee) -> None:
    await workload(callee.url).repeat([0.5])
    assert callee.asked == []


async def test_a_job_that_is_being_removed_is_asked_for_again_and_another_answer_is_a_fault(
    callee: Callee, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dev.chaos.workload.RETRY_SECONDS", 0)
    found = workload(callee.url)
    for one in found.asked:
        one.is_acknowledged = True
    callee.errors = [{"code": "already_exists", "message": BEING_DELETED}]
    await found.repeat([0])
    assert len(callee.asked) == 2
    callee.errors = [{"code": "already_exists", "message": DIFFERENT}]
    with pytest.raises(AssertionError, match="different request"):
        await found.repeat([0])


async def test_the_status_of_a_submitted_job_is_emptied_and_remembered() -> None:
    kube = Kube()
    found = workload(kube=kube)
    await found.empty_a_status(0.9)
    assert kube.patched == [], "there is no job"
    first, second, third = found.asked[:3]
    kube.jobs = [
        {"metadata": {"name": "1"}, "spec": {"jobId": first.name}, "status": {"resourcePath": "p"}},
        {"metadata": {"name": "2"}, "spec": {"jobId": second.name}, "status": {"phase": "Pending"}},
        {"metadata": {"name": "3"}, "spec": {"jobId": third.name}},
    ]
    await found.empty_a_status(0.9)
    (path, patch), *_ = kube.patched
    assert path.endswith("/1/status")
    assert patch == {"status": None}
    assert [one.name for one in found.asked if one.is_emptied] == [first.name]


async def test_who_cancels_what_a_restored_kubernetes_has_forgotten_is_done() -> None:
    class Empty(Kube):
        async def merge_patch(self, path: str, patch: Any) -> None:
            raise NotFound(path)

    found = workload(kube=Empty())
    await found._cancel(found.asked[0])


def test_jobs_of_the_api_expire_where_the_plan_says_so() -> None:
    assert not any(one.expires for one in workload().asked)
    expiring = [one for one in workload(ttl=3).asked if one.expires]
    assert expiring
    assert not any(one.by_kubectl for one in expiring)
