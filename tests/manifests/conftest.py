"""The clusters that rendered objects are shown to: an in-memory API server, and E2E_KUBECONFIG's where it is set."""

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.kubeapi.server import KubeApiServer


def _clusters() -> list[str]:
    return ["in-memory", *(["E2E_KUBECONFIG"] if os.environ.get("E2E_KUBECONFIG") else [])]


@pytest.fixture(scope="module", params=_clusters())
def kubeconfig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of a cluster. The in-memory one lives for a module, and has nothing in it at first."""
    if request.param == "E2E_KUBECONFIG":
        yield Path(os.environ["E2E_KUBECONFIG"])
        return
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        # On a thread and an event loop of its own, so that Helm and kubectl can be waited for.
        thread = threading.Thread(target=loop.run_forever, name="kubeapi")
        thread.start()
        server = KubeApiServer(tmp_path_factory.mktemp("kubeapi"))
        try:
            asyncio.run_coroutine_threadsafe(server.start(), loop).result()
            yield server.kubeconfig
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
