"""A proxy between the adapter and the service: what a connection that breaks there says about a submission."""

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.clock import SystemClock
from controller.cloud_settings import AwsSettings
from controller.domain.errors import Unavailable
from controller.providers.aws.connection import AwsConnection
from dev.kubeapi.certs import server_context

HOST = "kubernetes.default.svc"
"""A name that the development certificate is for; only the proxy hears of it."""
RESET = struct.pack("ii", 1, 0)


class LossyProxy:
    """Takes each request, as a forward proxy or through CONNECT, and closes before the reply."""

    def __init__(self, tls: ssl.SSLContext | None, *, resets: bool) -> None:
        self._tls = tls
        self._resets = resets
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.received: list[bytes] = []
        """The first lines of the requests that arrived complete."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._serve(connection)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        if self._tls is None:
            self._take(connection)
            return
        head, _ = _head(connection)
        assert head.startswith(b"CONNECT")
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with self._tls.wrap_socket(connection, server_side=True) as encrypted:
            self._take(encrypted)

    def _take(self, connection: socket.socket) -> None:
        head, body = _head(connection)
        lines = head.split(b"\r\n")
        length = next(int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length"))
        while len(body) < length:
            body += connection.recv(65536)
        self.received.append(lines[0])
        if self._resets:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def _head(connection: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    return head, body


@pytest.fixture(params=["http", "https"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[False, True], ids=["closes", "resets"])
def proxy(
    request: pytest.FixtureRequest, scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LossyProxy]:
    context, _ = server_context(tmp_path) if scheme == "https" else (None, b"")
    found = LossyProxy(context, resets=request.param)
    thread = threading.Thread(target=found.run, daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.crt"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, found.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    yield found
    found.close()
    thread.join(5)


def connected(scheme: str, monkeypatch: pytest.MonkeyPatch) -> AwsConnection:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    rates = {"calls_per_second": 100.0, "submits_per_second": 100.0}
    settings = AwsSettings(region="eu-west-1", instance="test", job_queue="q", endpoint=f"{scheme}://{HOST}", **rates)
    return AwsConnection(settings, SystemClock())


async def test_a_reply_that_is_lost_behind_a_proxy_leaves_the_outcome_unknown(
    proxy: LossyProxy, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connected(scheme, monkeypatch)
    with pytest.raises(Unavailable) as error:
        await connection.submit({"jobName": "a", "jobQueue": "q", "jobDefinition": "d"}, None)
    assert type(error.value) is Unavailable
    assert len(proxy.received) == 1
    await connection.close()


async def test_a_proxy_that_is_away_is_no_proof_either(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was sent, but the SDK says it in the same words."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://127.0.0.1:{port}")
    connection = connected(scheme, monkeypatch)
    with pytest.raises(Unavailable):
        await connection.submit({"jobName": "a", "jobQueue": "q", "jobDefinition": "d"}, None)
    await connection.close()
