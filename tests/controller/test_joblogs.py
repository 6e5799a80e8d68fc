"""``jennah logs`` of a job that no service has: it says why, and asks for no extra first."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller import joblogs
from controller.domain import conditions, names
from controller.domain.errors import NotFound
from controller.kube import paths
from controller.kube.client import KubeClient
from tests.kubeapi import serving


@pytest.fixture
async def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KubeClient]:
    async with serving(tmp_path) as client:
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield client


def condition(kind: str, status: str, message: str) -> dict[str, str]:
    at = "2026-01-01T00:00:00Z"
    return {"type": kind, "status": status, "reason": "Because", "message": message, "lastTransitionTime": at}


UNKNOWN = condition(conditions.SUBMITTED, "False", "provider aws is not set up in this controller")
MISSING = condition(conditions.ENVIRONMENT_READY, "False", "secret s does not exist")
HELD = condition(conditions.SUSPENDED, "True", "held back by spec.suspend")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({}, "j was not submitted yet"),
        ({"phase": "Pending", "provider": "aws"}, "j was not submitted yet"),
        (
            {"phase": "Pending", "provider": "aws", "conditions": [UNKNOWN]},
            f"j was not submitted: {UNKNOWN['message']}",
        ),
        (
            {"phase": "Pending", "provider": "aws", "conditions": [MISSING]},
            f"j was not submitted: {MISSING['message']}",
        ),
        ({"phase": "Pending", "provider": "aws", "conditions": [HELD]}, f"j was not submitted: {HELD['message']}"),
        ({"phase": "Failed", "provider": "aws", "message": "no such profile"}, "j was not submitted: no such profile"),
    ],
)
async def test_a_job_that_was_not_submitted_says_why(client: KubeClient, status: dict[str, Any], words: str) -> None:
    job = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {"name": "j"}, "spec": {"image": "i"}}
    await client.post(paths.jobs("default"), job)
    await client.merge_patch(paths.job_status("default", "j"), {"status": status})
    with pytest.raises(NotFound) as raised:
        await joblogs.show("default", "j")
    assert str(raised.value) == words
