"""Starts dev.kubeapi for test_kube_contract.py, unless KUBE_CONTRACT_URL names another server to test.

That file runs unchanged against any API server, so what pytest needs around it is here: it reads its
environment when it is imported, and it leaves sockets open.
"""

import gc
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

_ROOT = Path(__file__).parents[2]
_CONTRACT = Path(__file__).with_name("test_kube_contract.py")
_STOP_SECONDS = 5


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> None:
    if file_path == _CONTRACT and "KUBE_CONTRACT_URL" not in os.environ:
        _start_server(parent.config)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path == _CONTRACT:
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


@pytest.fixture(autouse=True)
def no_sockets_left_open(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """End the watches of a contract test with it: they would warn in some later test."""
    if request.path != _CONTRACT:
        yield
        return
    watches: list[Any] = []
    original = request.module.Watch

    def remembered(*args: Any, **query: Any) -> Any:
        watches.append(original(*args, **query))
        return watches[-1]

    monkeypatch.setattr(request.module, "Watch", remembered)
    yield
    for watch in watches:
        if not watch.closed.is_set():
            watch.resp.fp.raw._sock.shutdown(socket.SHUT_RDWR)
        watch.thread.join(_STOP_SECONDS)
        watch.resp.close()
    watches.clear()
    gc.collect()


def _start_server(config: pytest.Config) -> None:
    directory = tempfile.TemporaryDirectory(prefix="kubeapi-contract-")
    process = subprocess.Popen(
        [sys.executable, "-m", "dev.kubeapi", "--port", "0", "--data-dir", directory.name],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    output = process.stdout

    def stop() -> None:
        process.terminate()
        process.wait(_STOP_SECONDS)
        output.close()
        directory.cleanup()
        for name in ("KUBE_CONTRACT_URL", "KUBE_CONTRACT_TOKEN"):
            os.environ.pop(name, None)

    config.add_cleanup(stop)
    kubeconfig = output.readline().removeprefix("kubeconfig:").strip()
    url = output.readline().removeprefix("ready:").strip()
    assert url.startswith("https://"), "dev.kubeapi did not start"
    users = yaml.safe_load(Path(kubeconfig).read_text())["users"]
    os.environ["KUBE_CONTRACT_URL"] = url
    os.environ["KUBE_CONTRACT_TOKEN"] = users[0]["user"]["token"]
