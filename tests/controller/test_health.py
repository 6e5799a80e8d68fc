"""Probes and metrics, on ports of their own."""

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from controller import health
from dev.stack import free_port


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("seen_total", "What was seen", registry=registry).inc(3)
    return registry


async def get(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()


async def test_an_operators_port_has_probes_and_metrics(registry: CollectorRegistry) -> None:
    port, is_ready = free_port(0), [False]
    async with health.serving(port, lambda: is_ready[0], host="127.0.0.1", registry=registry):
        assert await get(port, "/livez") == (200, "ok")
        assert await get(port, "/readyz") == (503, "not ready")
        is_ready[0] = True
        assert await get(port, "/readyz") == (200, "ok")
        status, text = await get(port, "/metrics")
        assert status == 200
        assert "seen_total 3.0" in text.splitlines()
        assert (await get(port, "/other"))[0] == 404


async def test_an_api_that_starts_shows_no_metrics_to_its_callers() -> None:
    port = free_port(0)
    async with health.serving(port, lambda: False, host="127.0.0.1"):
        assert await get(port, "/metrics") == (503, "not ready")


async def test_a_port_for_metrics_has_nothing_else(registry: CollectorRegistry) -> None:
    port = free_port(0)
    async with health.exposing(registry, port, host="127.0.0.1"):
        status, text = await get(port, "/metrics")
        assert status == 200
        assert "seen_total 3.0" in text.splitlines()
        for path in ("/livez", "/readyz", "/", "/jennah.v1.DeploymentService/ListJobs"):
            assert (await get(port, path))[0] == 404
    with pytest.raises(aiohttp.ClientConnectionError):
        await get(port, "/metrics")


async def test_no_port_is_opened_where_none_is_asked_for(registry: CollectorRegistry) -> None:
    async with health.exposing(registry, 0), health.serving(0, lambda: True):
        pass


async def test_a_port_that_is_taken_is_an_error(registry: CollectorRegistry) -> None:
    port = free_port(0)
    async with health.exposing(registry, port, host="127.0.0.1"):
        with pytest.raises(OSError, match="in use"):
            async with health.exposing(registry, port, host="127.0.0.1"):
                pass
