"""A copy of the disk, and the server that begins again with it."""

import asyncio
import os
import signal
from pathlib import Path

import aiohttp

from dev.kubeapi import backups
from dev.kubeapi.server import KubeApiServer

from .client import ANYTHING, CRDS, WIDGETS, Api, crd, widget
from .test_persistence import Process


async def started(data_dir: Path, session: aiohttp.ClientSession) -> Api:
    server = KubeApiServer(data_dir, token="t")
    await server.start()
    return Api(server, session)


async def names_of(api: Api) -> list[str]:
    return [one["metadata"]["name"] for one in (await api.ok("GET", WIDGETS))["items"]]


async def test_a_copy_brings_back_what_there_was_at_later_versions(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    headers = {"Authorization": "Bearer t"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(ssl=False)) as session:
        api = await started(data, session)
        await api.ok("POST", CRDS, crd(ANYTHING))
        for name in ("stays", "goes"):
            await api.ok("POST", WIDGETS, widget(name, {}))
        await api.server.stop()
        backups.save(data, copy)

        api = await started(data, session)
        await api.ok("DELETE", f"{WIDGETS}/goes")
        last = await api.ok("POST", WIDGETS, widget("later", {}))
        await api.server.stop()
        backups.restore(data, copy)

        api = await started(data, session)
        assert await names_of(api) == ["goes", "stays"]
        next_one = await api.ok("POST", WIDGETS, widget("next", {}))
        versions = [int(one["metadata"]["resourceVersion"]) for one in (last, next_one)]
        assert versions[1] > versions[0] + backups.BUMP
        watch = f"{WIDGETS}?watch=1&resourceVersion={versions[0]}"
        async with session.get(api.server.url + watch) as response:
            told = await (response.json() if response.status == 410 else response.content.readline())
        assert "410" in str(told), "who watched before must list again"
        await api.server.stop()


async def test_a_copy_of_a_running_server_that_is_paused_is_whole(tmp_path: Path) -> None:
    server = Process(tmp_path / "data")
    try:
        await asyncio.to_thread(server.call, "POST", CRDS, crd(ANYTHING))
        for number in range(20):
            await asyncio.to_thread(server.call, "POST", WIDGETS, widget(f"w{number:02}", {}))
        os.kill(server.popen.pid, signal.SIGSTOP)
        backups.save(tmp_path / "data", tmp_path / "copy")
        os.kill(server.popen.pid, signal.SIGCONT)
    finally:
        server.end(signal.SIGTERM)
    found = backups.objects(tmp_path / "copy", "widgets.example.com", "default")
    assert sorted(one["metadata"]["name"] for one in found) == [f"w{number:02}" for number in range(20)]
