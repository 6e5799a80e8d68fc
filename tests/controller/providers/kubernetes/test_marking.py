"""Pods whose task is not run again are marked with the observation that tells of them, on an API server."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from controller import permission
from controller.domain import conditions, reasons
from controller.domain.errors import NotLeading
from controller.ports import SubmitRequest
from controller.providers.kubernetes import places
from controller.providers.kubernetes.provider import KubernetesProvider
from tests.controller.providers.kubernetes.harness import at, condition, fresh, terminated
from tests.controller.providers.kubernetes.service import NAMESPACE, Service, path_of, ref_of, until
from tests.faulty_kube import status

LATE = {
    "phase": "Failed",
    "reason": "DeadlineExceeded",
    "conditions": [condition("PodScheduled")],
    "containerStatuses": [{"name": "task", "state": terminated(137)}],
}


async def marks(service: Service, name: str = "p") -> list[dict[str, Any]]:
    pod = await service.client.get(f"{places.pods(NAMESPACE)}/{name}")
    return [one for one in pod["status"]["conditions"] if one["type"] == "jennah.alphaus.cloud/NotRunAgain"]


def is_mark(request: web.BaseRequest) -> bool:
    return request.method == "PATCH" and "/pods/" in request.path


async def until_it_holds(
    service: Service, provider: KubernetesProvider, request: SubmitRequest, holds: Callable[[list[Any]], bool]
) -> list[dict[str, Any]]:
    """The marks of its Pod, once that holds of them; the provider observes with each change."""
    async with asyncio.timeout(30):
        while not holds(found := await marks(service)):
            await until(provider, request, lambda seen: seen is not None)
            await asyncio.sleep(0.01)
    return found


async def test_a_pod_that_ran_into_its_limit_is_marked_and_the_job_is_ending(service: Service) -> None:
    provider, request = service.provider(), fresh(backoff_limit=3)
    await provider.submit(request)
    await service.make_pod(request, **LATE)
    (mark,) = await until_it_holds(service, provider, request, bool)
    assert (mark["status"], mark["reason"]) == ("True", reasons.DEADLINE_EXCEEDED)
    assert "is not run again" in mark["message"]
    pod = await service.client.get(f"{places.pods(NAMESPACE)}/p")
    assert len(pod["status"]["conditions"]) == 2, "what others wrote stays"
    ending = await until(provider, request, lambda seen: seen is not None and seen.phase is None)
    assert ending is not None and ending.retries == 0


async def test_it_is_marked_once(service: Service) -> None:
    provider, request = service.provider(), fresh()
    await provider.submit(request)
    await service.make_pod(request, **LATE)
    await until_it_holds(service, provider, request, bool)
    for _ in range(3):
        await provider.observe([ref_of(request)])
    assert service.front.count(lambda method, path, watch: method == "PATCH" and "/pods/" in path) == 1


async def test_a_pod_that_was_late_before_this_process_began_is_marked(service: Service) -> None:
    request = fresh()
    await service.provider().submit(request)
    await service.make_pod(request, **LATE)
    await until_it_holds(service, service.provider(), request, bool)


async def test_a_pod_whose_image_never_comes_is_failed_at_once(service: Service) -> None:
    provider, request = service.provider(), fresh()
    await provider.submit(request)
    waits = {"waiting": {"reason": "InvalidImageName", "message": "no"}}
    scheduled = [condition("PodScheduled")]
    await service.make_pod(
        request, phase="Pending", conditions=scheduled, containerStatuses=[{"name": "task", "state": waits}]
    )
    await until_it_holds(service, provider, request, bool)
    pod = await service.client.get(f"{places.pods(NAMESPACE)}/p")
    assert pod["status"]["phase"] == "Failed"
    failed = {"status": "True", "reason": "PodFailurePolicy", "lastTransitionTime": at(9)}
    ends = [{**failed, "type": kind} for kind in ("FailureTarget", "Failed")]
    await service.client.merge_patch(
        f"{path_of(request)}/status", {"status": {"failed": 1, "startTime": at(1), "conditions": ends}}
    )
    end = await until(provider, request, lambda seen: seen is not None and seen.has_ended)
    assert end is not None and end.reason == reasons.IMAGE_PULL_FAILED


@pytest.mark.parametrize("answer", [status(409, "Conflict"), status(500, "Down"), status(403, "Forbidden")])
async def test_a_mark_that_is_not_taken_ends_no_observation_and_is_tried_again(
    service: Service, answer: web.Response, caplog: pytest.LogCaptureFixture
) -> None:
    provider, request = service.provider(), fresh()
    await provider.submit(request)
    refused = asyncio.Event()

    def rule(one: web.BaseRequest) -> web.Response | None:
        if not is_mark(one):
            return None
        refused.set()
        return status(answer.status, "Forbidden" if answer.status == 403 else "Conflict")

    service.front.rule = rule
    await service.make_pod(request, **LATE)
    await until(provider, request, lambda seen: seen is not None and seen.phase is None)
    assert refused.is_set()
    assert ("docs/providers/kubernetes.md" in caplog.text) == (answer.status == 403)
    service.front.rule = lambda one: None
    await service.client.merge_patch(f"{places.pods(NAMESPACE)}/p", {"metadata": {"annotations": {"moved": "yes"}}})
    await until_it_holds(service, provider, request, bool)


async def test_who_does_not_lead_marks_nothing(service: Service) -> None:
    provider, request = service.provider(), fresh()
    await provider.submit(request)
    await service.make_pod(request, **LATE)

    def refuse() -> None:
        raise NotLeading("no longer")

    with permission.asked_of(refuse), pytest.raises(NotLeading):
        await until(provider, request, lambda seen: False)
    assert await marks(service) == []


async def test_a_submission_tells_what_differs_also_where_the_job_was_there(service: Service) -> None:
    provider, request = service.provider(), fresh(machine_type="e2-standard-4")
    first = await provider.submit(request)
    (told,) = first.remarks
    assert told.condition == conditions.RESOURCES_EXACT
    assert (await provider.submit(request)).remarks == first.remarks, "who adopts it may be another process"
    assert (await provider.observe([ref_of(request)]))[request.external_name].remarks == ()
