"""TLS on the API's port, with certificates that change while it runs."""

import asyncio
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from api import tls
from api.app import create_app
from api.main import serve
from api.reloading import LOOK_SECONDS
from api.settings import read_api
from controller.clock import SystemClock
from controller.domain.errors import ConfigError
from controller.kube.client import KubeClient
from controller.stores.sqlite import SqliteStore
from dev.kubeapi import certs
from tests.api.harness import api_settings
from tests.api.test_http import listening
from tests.controller.fakes import FakeClock


class Pair:
    """A certificate and its key, each time of an authority of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.cert, self.key = folder / "tls.crt", folder / "tls.key"
        self._number = 0

    def make(self) -> tuple[bytes, bytes, bytes]:
        """The authority's certificate, ours, and the key."""
        self._number += 1
        made = self._folder / str(self._number)
        made.mkdir()
        _, authority = certs.server_context(made)
        return authority, (made / "server.crt").read_bytes(), (made / "server.key").read_bytes()

    def renew(self) -> bytes:
        """Write another pair. Its authority's certificate."""
        authority, cert, key = self.make()
        self.cert.write_bytes(cert)
        self.key.write_bytes(key)
        return authority


async def is_trusted(port: int, authority: bytes) -> bool:
    """Whether a client that trusts that authority alone gets an answer."""
    context = ssl.create_default_context(cadata=authority.decode())
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    except ssl.SSLCertVerificationError:
        return False
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()
    return True


async def test_connections_have_the_certificate_of_now(
    kube: KubeClient, store: SqliteStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair, clock, stop = Pair(tmp_path), FakeClock(), asyncio.Event()
    first = pair.renew()
    settings = api_settings(stop_delay_seconds=0.0, tls_files=(pair.cert, pair.key))
    app = create_app(client=kube, store=store, settings=settings, clock=clock)
    failing: list[int] = []
    context = tls.server_context(pair.cert, pair.key, clock, failing.append)
    server = asyncio.create_task(serve(app, settings, clock=SystemClock(), stop=stop, tls_context=context))
    port = int((await listening(capsys)).rpartition(":")[2])
    assert await is_trusted(port, first)

    second, cert, key = pair.make()
    pair.cert.write_bytes(cert)  # its key is still that of the first
    clock.pause(LOOK_SECONDS)
    assert await is_trusted(port, first)
    assert failing == [0, 1]
    pair.key.write_bytes(key)
    assert await is_trusted(port, first), "it is not looked at for each connection"
    clock.pause(LOOK_SECONDS)
    assert not await is_trusted(port, first)
    assert await is_trusted(port, second)
    assert failing == [0, 1, 0]
    stop.set()
    await server


@pytest.mark.parametrize("wrong", ["cert", "key", "both", "missing", "encrypted"])
def test_files_that_are_no_pair_stop_the_start(tmp_path: Path, wrong: str) -> None:
    pair = Pair(tmp_path)
    pair.renew()
    match wrong:
        case "cert":
            pair.cert.write_text("no certificate")
        case "key":
            pair.key.write_bytes(pair.make()[2])
        case "both":
            pair.cert.write_bytes(pair.key.read_bytes())
        case "missing":
            pair.key.unlink()
        case _:
            pair.key.write_bytes(encrypted(pair.key.read_bytes()))
    with pytest.raises(ConfigError, match=r"API_TLS_CERT_FILE=.* and API_TLS_KEY_FILE=") as caught:
        tls.read(pair.cert, pair.key)
    assert "PRIVATE" not in str(caught.value)


def encrypted(key: bytes) -> bytes:
    loaded = serialization.load_pem_private_key(key, None)
    closed = serialization.BestAvailableEncryption(b"password")
    return loaded.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, closed)


def test_one_file_without_the_other_is_a_fault(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.renew()
    given = {"DB_PROVIDER": "sqlite", "API_TLS_CERT_FILE": str(pair.cert)}
    with pytest.raises(ConfigError, match="go together"):
        read_api(given)
    assert read_api(given | {"API_TLS_KEY_FILE": str(pair.key)}).tls_files == (pair.cert, pair.key)
