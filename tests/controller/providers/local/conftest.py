from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.clock import SystemClock
from controller.providers.local.folder import JobFolder
from controller.providers.local.provider import LocalProvider
from tests.controller.providers.local.harness import NAME, end_of_runner


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[LocalProvider]:
    provider = LocalProvider(tmp_path, "here", SystemClock())
    yield provider
    await provider.close()
    for path in tmp_path.glob("local/*/job.json"):
        await end_of_runner(JobFolder(path.parent), kill=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "local" / NAME
