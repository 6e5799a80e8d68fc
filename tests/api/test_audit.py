"""The audit log: a line for each call that changes something, also for one that was refused; nothing secret in it."""

import hashlib
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller.kube.client import KubeClient
from controller.logs import JsonFormatter
from controller.stores.sqlite import SqliteStore
from tests.api.harness import SERVICE, TENANT, Api, api_settings, serving

TOKEN = "token-of-the-tenant-1"
SECRET = "s3cr3t-v4lu3"


@pytest.fixture
async def guarded(kube: KubeClient, store: SqliteStore, tmp_path: Path) -> AsyncIterator[Api]:
    path = tmp_path / "tokens"
    path.write_text(f"ours {hashlib.sha256(TOKEN.encode()).hexdigest()} {TENANT}\n")
    async with serving(kube, store, api_settings(kinds=("token",), tokens_file=path)) as running:
        yield running


def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    found = [json.loads(JsonFormatter().format(each)) for each in caplog.records if each.name == "jennah.audit"]
    caplog.clear()
    return [{name: value for name, value in each.items() if name not in ("time", "level", "message")} for each in found]


async def test_who_did_what_for_whom(
    guarded: Api, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "level", logging.ERROR)  # as by LOG_LEVEL
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    always = {"logger": "jennah.audit", "remote": "127.0.0.1"}
    ours = {**always, "principal": "token:ours", "tenant": TENANT}
    message = {"image_uri": "x", "job_id": "a", "env_vars": {"P": SECRET}}
    await guarded.call("SubmitJob", message, **bearer)
    assert told(caplog) == [{**ours, "method": "SubmitJob", "job": "a", "result": "ok"}]
    made = (await guarded.call("SubmitJob", {"image_uri": "x"}, **bearer)).json["jobId"]
    assert told(caplog) == [{**ours, "method": "SubmitJob", "job": made, "result": "ok"}]
    await guarded.call("SubmitJob", {**message, "image_uri": "other"}, **bearer)
    assert told(caplog) == [{**ours, "method": "SubmitJob", "job": "a", "result": "already_exists"}]
    await guarded.call("CancelJob", {"job_id": "a"}, **bearer)
    await guarded.call("DeleteJob", {"job_id": "b"}, **bearer)
    await guarded.call("AckNotification", {"notification_id": "n"}, **bearer)
    assert told(caplog) == [
        {**ours, "method": "CancelJob", "job": "a", "result": "ok"},
        {**ours, "method": "DeleteJob", "job": "b", "result": "not_found"},
        {**ours, "method": "AckNotification", "notification": "n", "result": "not_found"},
    ]
    await guarded.call("DeleteJob", {"job_id": "a"}, tenant="another", **bearer)
    await guarded.call("DeleteJob", {"job_id": "a"})
    assert told(caplog) == [
        {**ours, "tenant": "another", "method": "DeleteJob", "result": "permission_denied"},
        {**always, "method": "DeleteJob", "result": "unauthenticated"},
    ]
    await guarded.call("SubmitJob", {"image_uri": "x", "job_id": f"not an id {SECRET}"}, **bearer)
    await guarded.raw(SERVICE + "SubmitJob", SECRET.encode(), **{"X-Tenant-Id": TENANT}, **bearer)
    refused = told(caplog)
    assert refused == [{**ours, "method": "SubmitJob", "result": "invalid_argument"}] * 2
    assert TOKEN not in caplog.text
    assert SECRET not in caplog.text


async def test_what_only_reads_is_no_line(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    for method in ("ListJobs", "GetJob", "GetCurrentTenant", "ListNotifications"):
        await api.call(method, {})
    assert told(caplog) == []
