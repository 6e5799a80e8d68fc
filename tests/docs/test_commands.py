"""Commands that the documentation shows name targets, modules and files that are there."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.test_links import PAGES, ROOT

TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def commands() -> Iterator[tuple[Path, str]]:
    """Each line after a prompt, and what stands between backticks, by its page."""
    for page in PAGES:
        for found in re.findall(r"^\$ (.+)$|`([^`\n]+)`", page.read_text(), re.MULTILINE):
            yield page, "".join(found)


def parts(pattern: str) -> list[object]:
    """What the pattern finds in commands, each once."""
    found = {(page.name, part) for page, command in commands() for part in re.findall(pattern, command)}
    return [pytest.param(part, id=f"{page}: {part}") for page, part in sorted(found)]


@pytest.mark.parametrize("target", parts(r"(?:^|&& )make ([a-z0-9-]+)"))
def test_make_has_the_target(target: str) -> None:
    assert target in TARGETS


@pytest.mark.parametrize("module", parts(r"python -m (dev[a-z0-9_.]*)"))
def test_python_has_the_module(module: str) -> None:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.submodule_search_locations is None or importlib.util.find_spec(f"{module}.__main__")


@pytest.mark.parametrize("path", parts(r" ((?:manifests|crds|docs|dev|tests)/[\w./-]+)"))
def test_the_file_is_there(path: str) -> None:
    assert (ROOT / path).exists()
