"""The install works in a folder whose path a locale has no letters for, and has a space in it."""

import os
import shutil
import subprocess
import venv
from pathlib import Path

import pytest

from dev import link

CODES = {"C": {"LC_ALL": "C"}, "C without UTF-8": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}}


@pytest.mark.parametrize("locale", sorted(CODES))
def test_the_checkout_is_importable_and_has_its_command(locale: str, tmp_path: Path) -> None:
    root = tmp_path / "a folder, naïve"
    bin_folder = root / ".venv" / "bin"
    (root / "api").mkdir(parents=True)
    (root / "api" / "cli.py").write_text("import sys\nprint('cli', *sys.argv[1:])\n")
    (root / "dev").mkdir()
    shutil.copy(link.__file__, root / "dev")
    venv.create(root / ".venv", symlinks=True)
    environment = {"PATH": os.environ["PATH"], **CODES[locale]}

    def run(*command: str | Path, cwd: Path = root) -> str:
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(bin_folder / "python", "-I", root / "dev" / "link.py")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "api").mkdir(parents=True)
    (elsewhere / "api" / "cli.py").write_text("raise SystemExit('another api')")
    assert run(bin_folder / "python", "-P", "-c", "import api.cli", cwd=elsewhere) == "cli\n"
    assert run(bin_folder / "jennah", "migrate", "--dry-run", cwd=elsewhere) == "cli migrate --dry-run\n"
    (tmp_path / "jennah").symlink_to(bin_folder / "jennah")
    assert run(tmp_path / "jennah", cwd=elsewhere) == "cli\n"
