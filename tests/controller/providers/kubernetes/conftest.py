from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.controller.providers.kubernetes.service import Service, serving_jobs


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with serving_jobs(tmp_path) as made:
        yield made
