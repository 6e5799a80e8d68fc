"""``jennah logs`` where there is nothing to print: it says why, and asks for no extra first. Other ends of it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller import joblogs
from controller.domain import conditions, names
from controller.domain.errors import Invalid, NotFound
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


async def create(client: KubeClient, status: dict[str, Any]) -> None:
    job = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {"name": "j"}, "spec": {"image": "i"}}
    await client.post(paths.jobs("default"), job)
    await client.merge_patch(paths.job_status("default", "j"), {"status": status})


def local(folder: Path, text: str | None, **status: object) -> dict[str, Any]:
    """The status of a job whose only task has written that; None: it left no file."""
    file = folder / "task-0.log"
    if text is not None:
        file.write_text(text)
    at = "2026-01-01T00:00:00Z"
    return {"provider": "local", "submittedAt": at, "logsUrl": file.as_uri(), "phase": "Running", **status}


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
    await create(client, status)
    with pytest.raises(NotFound) as raised:
        await joblogs.show("default", "j")
    assert str(raised.value) == words


STARTED = {"startedAt": "2026-01-01T00:00:00Z"}
WAITS = {"reason": "ImagePullFailed", "message": "Back-off pulling image"}


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ("", STARTED, "j has no logs yet: it has written nothing, or its lines have not arrived; file:///"),
        ("", {**STARTED, "phase": "Failed"}, "j has no logs: it wrote nothing, or local does not have its logs (any"),
        ("", WAITS, "j has no logs: no task is known to have begun: Back-off pulling image"),
        (None, {**WAITS, "phase": "Failed"}, "j has no logs on this machine: Back-off pulling image"),
    ],
)
async def test_no_line_is_no_success_and_the_reason_is_that_of_the_job(
    client: KubeClient, tmp_path: Path, text: str | None, status: dict[str, Any], words: str
) -> None:
    await create(client, local(tmp_path, text, **status))
    with pytest.raises(NotFound) as raised:
        await joblogs.show("default", "j")
    assert str(raised.value).startswith(words)


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "My nice job!! \u00fc", "hello/status", "../x", "j?x=", "-", "a" * 300]
)
async def test_what_can_be_no_name_is_asked_of_nobody(client: KubeClient, name: str) -> None:
    await create(client, {})
    with pytest.raises(Invalid, match="is neither the name of a JennahJob nor a job id"):
        await joblogs.show("default", name)
    if name:
        with pytest.raises(Invalid, match="is not a namespace name"):
            await joblogs.show(name, "j")


async def test_a_job_id_of_two_tenants_is_told_apart_by_the_objects_names(client: KubeClient) -> None:
    for name in ("first", "second"):
        metadata = {"name": name, "labels": {names.LABEL_JOB_ID: "nightly"}}
        job = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": metadata, "spec": {"image": "i"}}
        await client.post(paths.jobs("default"), job)
    with pytest.raises(Invalid, match=r"'nightly' is the job id of several jobs in namespace .*: first, second"):
        await joblogs.show("default", "nightly")
    with pytest.raises(NotFound, match="first was not submitted"):
        await joblogs.show("default", "first")


async def test_a_reader_that_has_enough_is_no_error(client: KubeClient, tmp_path: Path) -> None:
    """``jennah logs j | head -1``, its reader gone before the first line, so that nothing depends on who is faster."""
    await create(client, local(tmp_path, "line\n" * 10_000, **STARTED))
    reading, writing = os.pipe()
    os.close(reading)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "api.cli", "logs", "j"),
        env={"KUBECONFIG": os.environ["KUBECONFIG"], "PATH": os.environ["PATH"]},
        stdout=writing,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(writing)
    _, err = await process.communicate()
    assert (process.returncode, err.decode()) == (141, "")
