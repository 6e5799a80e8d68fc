"""Callers of SubmitJob that cost next to nothing: raw connections, and requests as the Gateway (Go) sends them."""

import asyncio
import re

from api.gen import deployment_pb2 as pb
from controller.domain import names
from dev.bench.installation import TENANT

_NAME = "bench"
RPC = "/jennah.v1.DeploymentService/SubmitJob"
_HEAD = (
    f"POST {RPC} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: connect-go\r\nX-Tenant-Id: {TENANT}\r\n"
    "Content-Type: application/proto\r\nConnect-Protocol-Version: 1\r\nAccept-Encoding: gzip\r\n"
).encode()


def request(job_id: str, **env_vars: str) -> pb.SubmitJobRequest:
    return pb.SubmitJobRequest(
        job_id=job_id,
        image_uri="busybox:1.36",
        name=_NAME,
        commands=["sh", "-c", "true"],
        resource_profile="small",
        env_vars=env_vars,
    )


def object_name(job_id: str) -> str:
    """The object that such a request makes."""
    return names.object_name(TENANT, job_id, _NAME)


class Connection(asyncio.Protocol):
    """One caller: binary, gzip accepted, with an id that it made."""

    def __init__(self) -> None:
        self._data = b""
        self._answer: asyncio.Future[bool] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, port: int) -> "Connection":
        _, connection = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return connection

    async def send(self, wanted: pb.SubmitJobRequest) -> bool:
        """Whether it was taken."""
        assert self._transport is not None
        body = wanted.SerializeToString()
        self._data, self._answer = b"", asyncio.get_running_loop().create_future()
        self._transport.write(_HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, body = self._data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if end and length and len(body) >= int(length[1]) and self._answer is not None:
            self._answer.set_result(head.startswith(b"HTTP/1.1 200"))

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError())
