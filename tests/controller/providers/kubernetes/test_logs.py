"""``jennah logs`` of Kubernetes Jobs: all attempts of all tasks, in their order."""

from typing import Any

import pytest

from controller.domain.errors import Forbidden, NotFound, Unavailable
from controller.domain.job import Job, JobStatus, Metadata
from controller.ports import SubmitRequest
from controller.providers.kubernetes import labels, logs
from dev.kubeapi import podlogs
from tests.controller.providers.kubernetes.harness import wanted
from tests.controller.providers.kubernetes.service import Service, path_of
from tests.faulty_kube import status


@pytest.fixture
async def request_of(service: Service, monkeypatch: pytest.MonkeyPatch) -> SubmitRequest:
    """One that was submitted; the variable points at its cluster."""
    provider, request = service.provider(), wanted(completions=2)
    monkeypatch.setenv("KUBERNETES_JOB_KUBECONFIG", provider._settings.kubeconfig)
    await provider.submit(request)
    return request


async def shown(request: SubmitRequest, path: str | None = None) -> list[str]:
    job_status = JobStatus(provider="kubernetes", resource_path=path or path_of(request))
    job = Job(metadata=Metadata(name="j", uid=request.uid), spec=request.spec, status=job_status)
    return [line async for line in logs.lines(job)]


def carrying(index: int, text: str) -> dict[str, Any]:
    return {"annotations": {labels.INDEX: str(index), podlogs.ANNOTATION: text}}


async def test_each_line_says_its_task_and_attempts_follow_each_other(
    service: Service, request_of: SubmitRequest
) -> None:
    await service.make_pod(request_of, "b", carrying(1, "one\n"), phase="Succeeded")
    await service.make_pod(request_of, "a", carrying(0, "first\ntry\n"), phase="Failed")
    await service.make_pod(request_of, "c", carrying(0, "second\n"), phase="Running")
    await service.make_pod(request_of, "d", carrying(1, "never\n"), phase="Pending")
    assert await shown(request_of) == ["[0] first", "[0] try", "[0] second", "[1] one"]


async def test_a_job_none_of_whose_pods_has_run_has_no_logs(service: Service, request_of: SubmitRequest) -> None:
    await service.make_pod(request_of, phase="Pending")
    with pytest.raises(NotFound, match="none of its Pods has run"):
        await shown(request_of)


async def test_a_job_that_was_not_submitted_has_no_logs(request_of: SubmitRequest) -> None:
    with pytest.raises(NotFound, match="not submitted"):
        await shown(request_of, "somewhere/else")


@pytest.mark.parametrize(("code", "error"), [(403, Forbidden), (502, Unavailable)])
async def test_what_cannot_be_read_is_an_error(
    service: Service, request_of: SubmitRequest, code: int, error: type[Exception]
) -> None:
    await service.make_pod(request_of, phase="Running")
    service.front.rule = lambda one: status(code) if one.path.endswith("/log") else None
    with pytest.raises(error):
        await shown(request_of)


async def test_a_log_that_is_too_long_is_cut_and_says_so(
    service: Service, request_of: SubmitRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LIMIT_BYTES", 4)
    await service.make_pod(request_of, "a", carrying(0, "1234"), phase="Running")
    assert await shown(request_of) == ["[0] 1234", "... cut after 4 bytes: kubectl logs -n team-a a"]
