"""API_AUTH=kubernetes against an API server that reviews tokens."""

from pathlib import Path

import aiohttp
import pytest

from dev import stack as stacks
from dev.stack import Stack
from tests.e2e.client import RPC


@pytest.mark.parametrize(("token", "status"), [("own", 200), ("wrong", 401), (None, 401)])
async def test_only_tokens_that_kubernetes_knows_may_call(tmp_path: Path, token: str | None, status: int) -> None:
    stack = Stack(
        tmp_path,
        api_port=stacks.free_port(0),
        kube_port=stacks.free_port(0),
        on_line=lambda line: None,
        env={"API_AUTH": "kubernetes"},
    )
    async with stack.running(), aiohttp.ClientSession(stack.api_url) as http:
        own = (tmp_path / "token").read_text().strip()
        headers = {"X-Tenant-Id": "t"}
        if token is not None:
            headers["Authorization"] = f"Bearer {own if token == 'own' else token}"
        async with http.post(f"{RPC}ListJobs", json={}, headers=headers) as response:
            assert response.status == status, await response.text()
            if status == 401:
                assert (await response.json())["code"] == "unauthenticated"
        async with http.get("/health") as response:
            assert response.status == 200
