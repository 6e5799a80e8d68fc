"""curl, as people call the API by hand."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.api.harness import IMAGE, SERVICE, TENANT, Api

pytestmark = pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")


async def curl(api: Api, path: str, *arguments: str) -> tuple[int, str]:
    """The HTTP status and the body."""
    command = ["curl", "--silent", "--write-out", "\n%{http_code}", *arguments, api.url + path]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await asyncio.wait_for(process.communicate(), 20)
    body, _, status = output.decode().rpartition("\n")
    return int(status), body


async def call(api: Api, method: str, data: str, *more: str) -> tuple[int, Any]:
    headers = ("-H", "Content-Type: application/json", "-H", f"X-Tenant-Id: {TENANT}")
    status, body = await curl(api, SERVICE + method, "-X", "POST", *headers, "-d", data, *more)
    return status, json.loads(body)


async def test_submit_and_get(api: Api) -> None:
    status, answer = await call(api, "SubmitJob", json.dumps({"job_id": "a", "image_uri": IMAGE}), "--compressed")
    assert (status, answer["status"]) == (200, "PENDING")
    status, answer = await call(api, "GetJob", '{"job_id": "a"}')
    assert (status, answer["job"]["jobId"]) == (200, "a")
    assert await curl(api, "/health") == (200, "OK")


async def test_a_body_that_is_too_large_is_told_so(api: Api, tmp_path: Path) -> None:
    large = tmp_path / "large.json"
    large.write_text(json.dumps({"image_uri": "i" * 10_000_000}))
    for expect in ("Expect: 100-continue", "Expect:"):  # curl asks first, unless it is told not to
        status, answer = await call(api, "SubmitJob", f"@{large}", "-H", expect)
        assert (status, answer["code"]) == (429, "resource_exhausted")
    assert await api.count() == (0, 0, 0)
