"""Starting, stopping, embedding, and the forms that requests come in."""

import io
import ssl
from pathlib import Path

import aiohttp
import pytest

from dev.kubeapi import database
from dev.kubeapi.server import KubeApiServer

from .client import WIDGETS, Api, widget

PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"


async def test_a_second_server_on_the_directory_is_refused(api: Api) -> None:
    other = KubeApiServer(api.server.kubeconfig.parent)
    with pytest.raises(database.InUse):
        await other.start()


async def test_a_stopped_server_starts_again_on_the_same_directory(tmp_path: Path) -> None:
    first = KubeApiServer(tmp_path)
    await first.start()
    await first.stop()
    second = KubeApiServer(tmp_path, port=first.port, token="given")
    await second.start()
    assert (second.url, second.token, second.ca) == (first.url, "given", first.ca)
    await second.stop()


async def send(api: Api, body: bytes, media_type: str) -> int:
    headers = {"Content-Type": media_type}
    async with api.session.post(api.server.url + WIDGETS, data=io.BytesIO(body), headers=headers) as response:
        return response.status


async def test_bodies_may_be_yaml_but_not_protobuf(widgets: Api) -> None:
    text = b"apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\nspec: {when: 2026-01-01T00:00:00Z}\n"
    assert await send(widgets, text, "application/yaml") == 201
    assert (await widgets.ok("GET", f"{WIDGETS}/w"))["spec"] == {"when": "2026-01-01T00:00:00Z"}
    assert await send(widgets, b"k8s\0", "application/vnd.kubernetes.protobuf") == 415
    assert await send(widgets, b"x" * (3 * 1024 * 1024 + 1), "application/json") == 413


async def test_metadata_alone(widgets: Api) -> None:
    created = await widgets.ok("POST", WIDGETS, widget("w", {"size": 1}))
    async with widgets.session.get(f"{widgets.server.url}{WIDGETS}/w", headers={"Accept": PARTIAL}) as response:
        body = await response.json()
    assert body["kind"] == "PartialObjectMetadata"
    assert body["metadata"] == created["metadata"]
    assert "spec" not in body


async def test_the_certificate_is_good_for_the_address(api: Api, tmp_path: Path) -> None:
    context = ssl.create_default_context(cadata=api.server.ca.decode())
    headers = {"Authorization": f"Bearer {api.server.token}"}
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
        session.get(f"{api.server.url}/version", headers=headers) as response,
    ):
        assert response.status == 200


async def test_nothing_is_answered_without_the_token(api: Api) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
        for path, expected in (("/api/v1/namespaces", 401), ("/readyz", 200)):
            async with session.get(api.server.url + path) as response:
                assert response.status == expected
