"""The stack of ``make run`` as real processes, on free ports and in a folder of the test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dev import stack as stacks
from dev.stack import Stack


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    lines: list[str] = []
    made = make_stack(tmp_path, lines)
    async with made.running():
        yield made
    left = [line for line in lines if "Traceback" in line or "unexpected failure" in line]
    assert not left, lines


def make_stack(data_dir: Path, lines: list[str]) -> Stack:
    return Stack(data_dir, api_port=stacks.free_port(0), kube_port=stacks.free_port(0), on_line=lines.append)
