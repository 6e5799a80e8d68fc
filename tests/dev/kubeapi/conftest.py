"""An in-process server for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from dev.kubeapi.server import KubeApiServer

from .client import ANYTHING, Api, crd


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    server = KubeApiServer(tmp_path / "data", history_limit=50)
    await server.start()
    headers = {"Authorization": f"Bearer {server.token}"}
    connector = aiohttp.TCPConnector(ssl=False)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        yield Api(server, session)
    await server.stop()


@pytest.fixture
async def widgets(api: Api) -> Api:
    """A server that has widgets with any spec."""
    await api.define(crd(ANYTHING))
    return api
