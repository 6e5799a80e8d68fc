"""What the server held it holds again after a restart, however it ended."""

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from .client import ANYTHING, CRDS, WIDGETS, crd, widget

_ROOT = Path(__file__).parents[3]


class Process:
    """`python -m dev.kubeapi` on a directory."""

    def __init__(self, directory: Path) -> None:
        command = [sys.executable, "-m", "dev.kubeapi", "--port", "0", "--data-dir", str(directory)]
        self.popen = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
        assert self.popen.stdout is not None
        kubeconfig = self.popen.stdout.readline().removeprefix("kubeconfig:").strip()
        self.url = self.popen.stdout.readline().removeprefix("ready:").strip()
        config = yaml.safe_load(Path(kubeconfig).read_text())
        self.token = config["users"][0]["user"]["token"]

    def open(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(self.url + path, method=method, headers=headers, data=data)
        return urllib.request.urlopen(request, timeout=10, context=ssl._create_unverified_context())

    def call(self, method: str, path: str, body: Any = None) -> Any:
        with self.open(method, path, body) as response:
            return json.load(response)

    def end(self, number: signal.Signals) -> int:
        os.kill(self.popen.pid, number)
        code = self.popen.wait(5)
        assert self.popen.stdout is not None
        self.popen.stdout.close()
        return code


def test_objects_versions_and_token_outlive_sigkill(tmp_path: Path) -> None:
    first = Process(tmp_path)
    first.call(
        "POST",
        CRDS,
        crd({**ANYTHING, "properties": {"color": {"type": "string"}}}, selectableFields=[{"jsonPath": ".spec.color"}]),
    )
    with pytest.raises(urllib.error.HTTPError, match="429"):
        first.call("GET", WIDGETS)
    for index in range(20):
        first.call("POST", WIDGETS, widget(f"w{index:02}", {"color": "red" if index % 2 else "blue"}))
    first.call("DELETE", f"{WIDGETS}/w00")
    before = first.call("GET", WIDGETS)
    first.end(signal.SIGKILL)

    second = Process(tmp_path)
    try:
        after = second.call("GET", WIDGETS)
        assert second.token == first.token
        assert after["items"] == before["items"]
        assert int(after["metadata"]["resourceVersion"]) >= int(before["metadata"]["resourceVersion"])
        red = second.call("GET", f"{WIDGETS}?fieldSelector=spec.color%3Dred")
        assert len(red["items"]) == 10
        created = second.call("POST", WIDGETS, widget("later"))
        assert int(created["metadata"]["resourceVersion"]) > int(before["metadata"]["resourceVersion"])
    finally:
        assert second.end(signal.SIGTERM) == 0


def test_sigterm_ends_the_server_quickly_though_a_watch_is_open(tmp_path: Path) -> None:
    server = Process(tmp_path)
    watch = server.open("GET", "/api/v1/namespaces?watch=true")
    assert b"ADDED" in watch.readline()
    began = time.monotonic()
    code = server.end(signal.SIGTERM)
    watch.close()
    assert code == 0
    assert time.monotonic() - began < 2
