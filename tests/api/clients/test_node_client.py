"""The official client for Node, as the web page uses it: @connectrpc/connect-node with @bufbuild/protobuf."""

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from grpc_tools import protoc  # type: ignore[import-untyped]

from api.proto import generate
from controller.domain.phases import Phase
from dev.processes import ProcessFailed, output
from tests import outside
from tests.api.harness import IMAGE, TENANT, Api

SOURCE = Path(__file__).parent / "node"
FILES = ("package.json", "package-lock.json", "client.mjs")


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the client and its packages."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("Node.js is not installed")
    folder = tmp_path_factory.mktemp("node")
    for name in FILES:
        shutil.copy(SOURCE / name, folder)
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    try:
        output(*command, cwd=folder, env=outside.for_installers(), timeout=100)
    except ProcessFailed as error:
        pytest.skip(f"npm cannot install the client: {str(error)[-300:]}")
    target = f"--descriptor_set_out={folder / 'descriptors.bin'}"
    assert protoc.main(["protoc", f"-I{generate.PROTO_ROOT}", target, generate.PROTO_FILE]) == 0
    return folder


class Client:
    """One Node process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def __call__(self, method: str, **request: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"method": method, "request": request}).encode() + b"\n")
        return json.loads(await asyncio.wait_for(self._process.stdout.readline(), 20))


@contextlib.asynccontextmanager
async def running(folder: Path, api: Api, codec: str) -> AsyncIterator[Client]:
    process = await asyncio.create_subprocess_exec(
        *("node", "client.mjs", api.url, "descriptors.bin", codec, TENANT),
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    try:
        yield Client(process)
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 10)


@pytest.mark.parametrize("codec", ["binary", "json"])
async def test_a_jobs_whole_life(node: Path, api: Api, codec: str) -> None:
    async with running(node, api, codec) as client:
        submitted = await client("submitJob", jobId="a", imageUri=IMAGE, commands=["x"], envVars={"A": "1"})
        assert submitted["answer"]["status"] == "PENDING"
        job = (await client("getJob", jobId="a"))["answer"]["job"]
        assert (job["imageUri"], job["commands"], job["memoryMib"]) == (IMAGE, ["x"], "4096")
        assert (await client("cancelJob", jobId="a"))["answer"]["jobId"] == "a"
        await api.record("a", Phase.CANCELLED)
        assert [job["status"] for job in (await client("listJobs"))["answer"]["jobs"]] == ["CANCELLED"]
        assert (await client("getCurrentTenant"))["answer"]["tenantId"] == TENANT
        notes = (await client("listNotifications"))["answer"]
        assert notes["unreadCount"] == 1
        note_id = notes["notifications"][0]["id"]
        assert (await client("ackNotification", notificationId=note_id))["answer"] == {"success": True}
        assert (await client("deleteJob", jobId="a"))["answer"]["jobId"] == "a"
        assert await client("getJob", jobId="a") == {"code": "NotFound", "message": "job a not found"}
        assert await client("submitJob") == {"code": "InvalidArgument", "message": "image_uri is required"}
