"""The image without a container engine: the Dockerfile's own steps, run in a folder that holds what its context would.

What only an engine can show (the base image, the layers) is not shown here; `make lint` has hadolint's rules.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from dev.processes import output
from tests import outside
from tests.image import dockerfile

ROOT = Path(__file__).parents[2]
BUILD, FINAL = dockerfile.stages((ROOT / "Dockerfile").read_text())
EXTRAS = "postgres"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def copy_context(folder: Path) -> None:
    """What .dockerignore lets in."""
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for name in allowed:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copy(source, target)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the build stage leaves for the final one: /opt/jennah, elsewhere."""
    folder = tmp_path_factory.mktemp("image")
    copy_context(folder)
    source, opt = folder / "src", folder / "opt"
    source.mkdir()
    for keyword, text in BUILD:
        if keyword == "COPY":
            *names, target = text.split()
            for name in names:
                shutil.move(folder / name, source / target / ("" if name.endswith("/") else name))
        elif keyword == "RUN" and "requirements-build.lock" not in text:
            _run(text.replace("/opt/jennah", str(opt)), source)
    return opt


def _run(command: str, folder: Path) -> None:
    # pip, uv and python are those of the tests' own environment, which are of the versions that the lock says.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**outside.for_installers(), "EXTRAS": EXTRAS, "PATH": path}
    done = subprocess.run(
        ["sh", "-ec", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr


def run(image: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run it as the image does: nothing of the checkout is near."""
    path = image / "bin" / command[0]
    environment = {"PATH": str(image / "bin"), "HOME": "/nonexistent"}
    return subprocess.run(
        [path, *command[1:]], cwd="/", env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_entry_point_runs_away_from_the_checkout(image: Path) -> None:
    entry = re.findall(r'"([^"]+)"', dict(FINAL)["ENTRYPOINT"])
    command = re.findall(r'"([^"]+)"', dict(FINAL)["CMD"])
    assert run(image, *entry, "--help").stdout.startswith("usage: jennah")
    refused = run(image, *entry, *command)
    assert (refused.returncode, "BATCH_PROVIDER is not set" in refused.stderr) == (2, True)
    refused = run(image, *entry, "api")
    assert (refused.returncode, "DB_PROVIDER is not set" in refused.stderr) == (2, True)


def test_a_database_of_the_extras_is_there_and_another_is_not(image: Path) -> None:
    assert run(image, "python", "-c", "import controller.stores.postgres").returncode == 0
    assert run(image, "python", "-c", "import boto3").returncode == 1


def test_the_package_holds_its_data_and_nothing_of_the_development(image: Path) -> None:
    [site] = image.glob("lib/python3*/site-packages")
    for data in ("postgres/0001_initial.sql", "sqlite/0001_initial.sql", "spanner.sql"):
        assert (site / "controller" / "stores" / "schema" / data).is_file()
    for folder in ("controller", "api"):
        shipped = {path.relative_to(site) for path in (site / folder).rglob("*") if "__pycache__" not in path.parts}
        ours = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if "__pycache__" not in path.parts}
        assert shipped == ours
    assert not {"dev", "tests", "bench", "pip", "pytest"} & {path.name for path in site.iterdir()}
    assert any((site / "controller" / "__pycache__").iterdir()), "byte code: the root is read-only later"


def test_each_package_is_of_the_lock(image: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    frozen = output(uv, "pip", "freeze", "-q", "--python", image)
    installed = {line for line in frozen.splitlines() if not line.startswith("jennah-controller @")}
    assert installed <= _pins("requirements-image.lock")


@pytest.mark.parametrize(
    ("pattern", "replacement", "refusal"),
    [
        (r"sha256:[0-9a-f]{64}", "sha256:" + "0" * 64, "Hash mismatch for `msgspec"),
        (r"(?s).*", "", "no trusted hash was provided for: `msgspec`"),
    ],
    ids=["another hash", "not in the lock"],
)
def test_a_package_that_is_not_the_locked_one_is_refused(
    image: Path, tmp_path: Path, pattern: str, replacement: str, refusal: str
) -> None:
    [command] = [text for keyword, text in BUILD if keyword == "RUN" and "requirements-image.lock" in text]
    [install] = re.findall(r"uv pip install .*?wanted\.txt", command)
    entry = re.compile(r"^msgspec==.*?(?=^\S)", re.M | re.S)
    wrong = entry.sub(lambda found: re.sub(pattern, replacement, found[0], count=0), _lock())
    assert wrong != _lock()
    shutil.copytree(image.parent / "src" / "dist", tmp_path / "dist")
    (tmp_path / "requirements-image.lock").write_text(wrong)
    python = tmp_path / "venv"
    _run(f"python -m venv --without-pip {python}", tmp_path)
    with pytest.raises(AssertionError, match=refusal):
        _run(install.replace("/opt/jennah", str(python)).replace("install", "install --no-cache", 1), tmp_path)


def test_the_image_says_what_it_is_made_of(image: Path) -> None:
    told = json.loads((image / "sbom.cdx.json").read_text())
    assert (told["bomFormat"], told["metadata"]["component"]["name"]) == ("CycloneDX", "jennah-controller")
    uv = Path(sys.executable).with_name("uv")
    installed = output(uv, "pip", "list", "-q", "--format", "json", "--python", image)
    ours = ("jennah-controller", PROJECT["project"]["version"])
    assert {ours, *_versions(told["components"])} == _versions(json.loads(installed))


def _versions(packages: list[dict[str, str]]) -> set[tuple[str, str]]:
    return {(re.sub(r"[-_.]+", "-", each["name"]).lower(), each["version"]) for each in packages}


def _lock() -> str:
    return (ROOT / "requirements-image.lock").read_text()


def _pins(lock: str) -> set[str]:
    return set(re.findall(r"^([A-Za-z0-9_.-]+==[^ ;\\]+)", (ROOT / lock).read_text(), re.M))


def test_locks_agree() -> None:
    tested = _pins("requirements-dev.lock")
    assert _pins("requirements-image.lock") <= tested, "the image has what the tests ran with"
    assert _pins("requirements-build.lock") <= tested
    for lock in ("requirements-image.lock", "requirements-build.lock"):
        text = (ROOT / lock).read_text()
        assert len(re.findall(r"^\S+==.*\\\n +--hash=sha256:", text, re.M)) == len(_pins(lock)), "a hash each"


def test_the_image_has_the_python_that_the_locks_are_for() -> None:
    base = re.search(r"^ARG PYTHON_IMAGE=\S*python:(\d+\.\d+)-slim", (ROOT / "Dockerfile").read_text(), re.M)
    assert base is not None
    assert PROJECT["project"]["requires-python"] == f">={base[1]}"


def test_by_default_the_image_has_every_extra() -> None:
    default = next(text for keyword, text in BUILD if keyword == "ARG" and text.startswith("EXTRAS="))
    assert set(default.removeprefix("EXTRAS=").split(",")) == set(PROJECT["project"]["optional-dependencies"])


def test_the_final_stage_is_not_root_and_builds_nothing() -> None:
    keywords = [instruction.keyword for instruction in FINAL]
    assert "RUN" not in keywords, "what is installed comes from the stage before"
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", dict(FINAL)["USER"]), "a number, for runAsNonRoot"
    labels = dict(FINAL)["LABEL"]
    for label in ("title", "description", "source", "version", "revision"):
        assert f"org.opencontainers.image.{label}=" in labels
    version = next(text for keyword, text in FINAL if keyword == "ARG" and text.startswith("VERSION="))
    assert version == f"VERSION={PROJECT['project']['version']}"


def test_the_context_lets_in_what_is_named_and_nothing_else() -> None:
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert patterns[0] == "*", "what nobody thought of stays out"
    copied = {name.rstrip("/") for keyword, text in BUILD if keyword == "COPY" for name in text.split()[:-1]}
    assert {pattern[1:] for pattern in patterns if pattern.startswith("!")} == copied
