"""Tokens that end: an exec plugin's and a file's are taken anew, without a restart."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio import client as kube
from kubernetes.aio import config as kube_config

from controller.kube import client, fresh_token

PLUGIN = """
import json, pathlib, sys
tries = pathlib.Path(sys.argv[1])
tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
status = {"token": f"token-{len(tries.read_text())}"}
if sys.argv[2]:
    status["expirationTimestamp"] = sys.argv[2]
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}))
"""
LONG_AGO, LONG_AFTER = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def kubeconfig(folder: Path, user: dict[str, Any]) -> Path:
    path = folder / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    path.write_text(json.dumps(document))
    return path


def plugin(folder: Path, expiry: str) -> dict[str, Any]:
    arguments = ["-c", PLUGIN, str(folder / "tries"), expiry]
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": arguments}}


async def loaded(path: Path, clock: Clock) -> kube.Configuration:
    configuration = kube.Configuration()
    loader = await kube_config.load_kube_config(config_file=str(path), client_configuration=configuration)
    fresh_token.keep_fresh(configuration, loader, clock)
    return configuration


async def token(configuration: kube.Configuration) -> str | None:
    found: str | None = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
    return found


async def test_a_plugin_is_asked_again_when_its_token_ends(tmp_path: Path) -> None:
    clock = Clock()
    configuration = await loaded(kubeconfig(tmp_path, plugin(tmp_path, LONG_AGO)), clock)
    assert [await token(configuration) for _ in range(3)] == ["Bearer token-1"] * 3, "not at each call"
    clock.now += fresh_token.LOOK_SECONDS
    assert [await token(configuration) for _ in range(3)] == ["Bearer token-2"] * 3


@pytest.mark.parametrize("expiry", [LONG_AFTER, ""])
async def test_a_token_that_is_good_is_kept(tmp_path: Path, expiry: str) -> None:
    clock = Clock()
    configuration = await loaded(kubeconfig(tmp_path, plugin(tmp_path, expiry)), clock)
    clock.now += 10 * fresh_token.LOOK_SECONDS
    assert await token(configuration) == "Bearer token-1"


async def test_a_plugin_that_hands_out_its_token_to_the_end_is_asked_again_at_the_end(tmp_path: Path) -> None:
    clock = Clock()
    expiry = datetime.now(UTC) + timedelta(seconds=30)
    user = plugin(tmp_path, expiry.isoformat(timespec="seconds").replace("+00:00", "Z"))
    configuration = await loaded(kubeconfig(tmp_path, user), clock)
    assert await token(configuration) == "Bearer token-1"
    clock.now += 31
    assert await token(configuration) == "Bearer token-2"


async def test_a_plugin_that_fails_leaves_the_token_that_there_is(tmp_path: Path) -> None:
    clock = Clock()
    user = plugin(tmp_path, LONG_AGO)
    configuration = await loaded(kubeconfig(tmp_path, user), clock)
    (tmp_path / "tries").unlink()
    (tmp_path / "tries").mkdir()
    clock.now += fresh_token.LOOK_SECONDS
    assert await token(configuration) == "Bearer token-1"


async def test_a_file_is_read_again(tmp_path: Path) -> None:
    clock = Clock()
    (tmp_path / "token").write_text("first")
    configuration = await loaded(kubeconfig(tmp_path, {"tokenFile": str(tmp_path / "token")}), clock)
    (tmp_path / "token").write_text("second")
    assert await token(configuration) == "Bearer first"
    clock.now += fresh_token.LOOK_SECONDS
    assert await token(configuration) == "Bearer second"


async def test_the_programs_load_it_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, plugin(tmp_path, LONG_AGO))))
    assert (await client.load_configuration()).refresh_api_key_hook is not None
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, {"token": "fixed"})))
    assert (await client.load_configuration()).refresh_api_key_hook is None
