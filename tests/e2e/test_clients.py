"""The official Connect clients against the whole system: what they submit runs, ends, notifies, can be taken back."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf import json_format

from api.gen import deployment_pb2 as pb
from dev.stack import Stack
from tests.api.clients import test_node_client, test_python_client
from tests.api.harness import TENANT

node = test_node_client.node  # the fixture that installs the client

Call = Callable[..., Awaitable[Any]]
"""Calls a method in lower camel case with fields in camelCase; the reply as JSON."""


async def until(call: Call, job_id: str, status: str) -> dict[str, Any]:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        job: dict[str, Any] = (await call("getJob", jobId=job_id))["job"]
        if job["status"] == status:
            return job
        await asyncio.sleep(0.05)
    raise AssertionError(job)


async def live(call: Call, prefix: str) -> None:
    """A job that completes, one that fails, one that is cancelled, one that is deleted."""
    done, failing, endless = f"{prefix}-done", f"{prefix}-failing", f"{prefix}-endless"
    script = 'test "$GREETING" = hello'
    first = await call(
        "submitJob", jobId=done, imageUri="i", commands=["sh", "-c", script], envVars={"GREETING": "hello"}
    )
    assert first["status"] == "PENDING"
    again = await call(
        "submitJob", jobId=done, imageUri="i", commands=["sh", "-c", script], envVars={"GREETING": "hello"}
    )
    assert again["jobId"] == done
    job = await until(call, done, "COMPLETED")
    assert {"createdAt", "startedAt", "completedAt", "gcpBatchJobPath"} <= job.keys()
    await call("submitJob", jobId=failing, imageUri="i", commands=["no-such-program"])
    assert "no-such-program" in (await until(call, failing, "FAILED"))["errorMessage"]
    await call("submitJob", jobId=endless, imageUri="i", commands=["sleep", "300"])
    await until(call, endless, "RUNNING")
    assert (await call("cancelJob", jobId=endless))["status"] == "CANCELLED"
    listed = {job["jobId"]: job["status"] for job in (await call("listJobs"))["jobs"]}
    assert listed == {done: "COMPLETED", failing: "FAILED", endless: "CANCELLED"}
    notes = await call("listNotifications")
    assert sorted(n["finalStatus"] for n in notes["notifications"]) == ["CANCELLED", "COMPLETED", "FAILED"]
    assert notes["unreadCount"] == 3
    assert (await call("ackNotification", notificationId=notes["notifications"][0]["id"]))["success"]
    assert (await call("listNotifications"))["unreadCount"] == 2
    assert (await call("getCurrentTenant"))["tenantId"] == TENANT
    for job_id in (done, failing, endless):
        await call("deleteJob", jobId=job_id)
    assert "jobs" not in await call("listJobs")


@pytest.mark.parametrize("codec", sorted(test_python_client.CODECS))
async def test_the_python_client(stack: Stack, codec: str) -> None:
    made = test_python_client.CODECS[codec]()
    async with test_python_client.connect.ConnectClient(stack.api_url, codec=made) as client:
        method = test_python_client.Client(client, TENANT)

        async def call(name: str, **fields: Any) -> Any:
            name = name[0].upper() + name[1:]
            request = json_format.ParseDict(fields, getattr(pb, f"{name}Request")())
            return json_format.MessageToDict(await method(name, request))

        await live(call, "python")


@pytest.mark.parametrize("codec", ["binary", "json"])
async def test_the_node_client(stack: Stack, node: Path, codec: str) -> None:
    api: Any = SimpleNamespace(url=stack.api_url)
    async with test_node_client.running(node, api, codec) as client:

        async def call(name: str, **fields: Any) -> Any:
            reply = await client(name, **fields)
            assert "answer" in reply, reply
            return reply["answer"]

        await live(call, "node")
