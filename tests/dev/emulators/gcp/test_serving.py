"""The stand-in as a server: its faults over the wire, and alone in a process."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from dev.emulators.faults import Faults
from dev.emulators.gcp import messages
from dev.emulators.gcp.server import SERVICE, BatchServer
from dev.emulators.gcp.service import BatchService
from tests.dev.emulators.gcp.harness import OK, creation


@pytest.fixture
async def server(service: BatchService) -> AsyncIterator[BatchServer]:
    async with BatchServer(service).serving() as server:
        yield server


async def create_over_the_wire(server: BatchServer, job_id: str) -> grpc.StatusCode:
    async with grpc.aio.insecure_channel(server.endpoint) as channel:
        call = channel.unary_unary(
            f"/{SERVICE}/CreateJob",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=messages.Job.FromString,
        )
        try:
            await call(creation(job_id))
        except grpc.aio.AioRpcError as error:
            return error.code()
        return OK


@pytest.mark.parametrize(
    ("faults", "codes", "made"),
    [
        (Faults(), {OK}, 1),
        (Faults(lost_requests=1), {grpc.StatusCode.UNAVAILABLE}, 0),
        (Faults(lost_replies=1), {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}, 1),
        (Faults(throttled=1), {grpc.StatusCode.RESOURCE_EXHAUSTED}, 0),
    ],
)
async def test_faults_are_what_they_are_called(
    server: BatchServer, faults: Faults, codes: set[grpc.StatusCode], made: int
) -> None:
    server.service.dice.faults = faults
    assert await create_over_the_wire(server, "j") in codes
    assert len(server.service.ledger()) == made


def test_it_runs_alone_and_says_where() -> None:
    root = Path(__file__).parents[4]
    command = [sys.executable, "-m", "dev.emulators.gcp_batch", "--lost-replies", "0.3", "--seed", "1"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready, endpoint, control, side = process.stdout.readline().split()
            assert (ready, control) == ("ready:", "control:")
            assert endpoint.startswith("127.0.0.1:")
            with urllib.request.urlopen(f"http://{side}/faults") as answer:
                assert json.load(answer)["lost_replies"] == 0.3
            with urllib.request.urlopen(f"http://{side}/ledger") as answer:
                assert json.load(answer) == []
        finally:
            process.terminate()
    assert process.returncode == 0
