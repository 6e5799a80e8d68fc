"""The demo and the suite are closed to the shell around them: the list is whole, and both work in a hostile one."""

import ast
import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from api import cli
from dev import stack, surroundings
from tests import hostile

ROOT = Path(__file__).parents[2]
READERS = ("text", "choice", "flag", "integer", "number", "pairs", "get", "getenv")
OF_THE_MACHINE = {"PATH", "HOME"}
SMALL_TIER = (
    "tests/api/test_http.py",
    "tests/api/test_settings.py",
    "tests/api/clients",
    "tests/controller/kube/test_resources.py",
    "tests/controller/kube/test_fresh_token.py",
    "tests/controller/providers/aws/test_opening.py",
    "tests/controller/providers/azure/test_logs.py",
    "tests/controller/providers/gcp/test_rest.py",
    "tests/controller/stores/cosmosdb/test_schema.py",
    "tests/controller/stores/dynamodb/test_items.py",
    "tests/controller/stores/postgres/test_sessions.py",
    "tests/controller/stores/spanner/test_schema.py",
    "tests/controller/test_logs.py",
    "tests/controller/test_settings.py",
    "tests/dev/kubeapi/test_kubectl.py",
    "tests/manifests/test_install_guide.py",
)


def read_in(folder: str) -> Iterator[str]:
    """The names that stand where our code reads variables: ``env.text("NAME")``, ``os.environ["NAME"]``."""
    for path in (ROOT / folder).rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        names = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            found: ast.expr | None = None
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                of = ast.unparse(node.func.value)
                if node.func.attr in READERS and (of in ("env", "os", "os.environ", "variables")):
                    found = node.args[0]
            elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
                found = node.slice
            if isinstance(found, ast.Name):
                found = ast.Constant(names.get(found.id))
            if isinstance(found, ast.Constant) and isinstance(found.value, str):
                yield found.value


def unknown(names: set[str]) -> set[str]:
    return names - set(surroundings.found(names, *surroundings.ALL)) - OF_THE_MACHINE


def test_each_variable_that_the_programs_read_is_in_the_list() -> None:
    read = {*read_in("controller"), *read_in("api")}
    assert {"DB_PROVIDER", "AZURE_BATCH_KEY", "SPANNER_EMULATOR_HOST", "KUBECONFIG", "API_TOKENS_FILE"} <= read
    assert unknown(read) == set()


def test_each_setting_that_is_documented_is_in_the_list() -> None:
    configuration = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    rows = "\n".join(re.findall(r"^\| (`[A-Z].*?) \|", configuration, re.MULTILINE))
    documented = set(re.findall(r"`([A-Z][A-Z_]+)`", rows))
    shown = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", cli._SETTINGS))
    assert len(documented) > 70 and len(shown) > 70
    assert unknown(documented | shown) == set()
    assert (
        documented - surroundings.settings_of_programs() - set(surroundings.found(documented, *surroundings.PROXIES))
        == set()
    )


def test_the_hostile_shell_has_something_of_each_kind() -> None:
    names = {*hostile.variables(can_install=False), *hostile.OF_PYTHON}
    for pattern in surroundings.ALL:
        assert any(re.fullmatch(pattern, name) for name in names), pattern
    assert unknown(names) == set()


def test_nothing_of_it_is_left_and_what_the_suite_itself_takes_stays() -> None:
    own = {
        "PATH": "/bin",
        "DB_TEST_POSTGRES_URL": "x",
        "E2E_KUBECONFIG": "x",
        "KUBE_CONTRACT_URL": "x",
        "CHAOS_SEED": "7",
    }
    environment = {**own, **hostile.variables(can_install=False), **hostile.OF_PYTHON}
    taken = surroundings.clear(environment, *surroundings.ALL)
    assert environment == own
    assert taken["DB_PROVIDER"] == hostile.VALUE


def test_a_variable_that_is_kept_stays() -> None:
    environment = {"WORKER_PORT": "1", "DB_PROVIDER": "x"}
    assert surroundings.clear(environment, keep=("WORKER_PORT",)) == {"DB_PROVIDER": "x"}
    assert environment == {"WORKER_PORT": "1"}


def in_hostile_shell() -> dict[str, str]:
    # PYTHONHOME would end the interpreter before any of our code; the Makefile takes it away.
    return {**os.environ, **hostile.variables(can_install=False), "PYTHONPATH": hostile.OF_PYTHON["PYTHONPATH"]}


@pytest.mark.timeout(400)
async def test_the_suite_is_closed_to_a_hostile_shell() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *SMALL_TIER),
        cwd=ROOT,
        env=in_hostile_shell(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode("utf-8", "replace")


async def test_the_demo_is_closed_to_a_hostile_shell(tmp_path: Path) -> None:
    ports = {"WORKER_PORT": str(stack.free_port(0)), "KUBE_API_PORT": str(stack.free_port(0))}
    secret = "postgresql://u:a-secret@db.example/jennah"
    readable = {"COLUMNS": "200", "FORCE_COLOR": ""}
    environment = {**in_hostile_shell(), **ports, **readable, "JENNAH_DATA_DIR": str(tmp_path), "DB_ENDPOINT": secret}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dev", "demo"),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    said = output.decode()
    assert process.returncode == 0, said
    [ignored] = [line for line in said.splitlines() if line.startswith("Ignored from the environment: ")]
    assert {"API_AUTH", "AWS_PROFILE", "DB_ENDPOINT", "DB_PROVIDER", "HTTPS_PROXY", "JENNAH_NAMESPACE"} <= set(
        ignored.partition(": ")[2].split(", ")
    )
    assert "WORKER_PORT" not in ignored
    assert "a-secret" not in said
    assert (
        f"API on http://127.0.0.1:{ports['WORKER_PORT']}, Kubernetes on https://127.0.0.1:{ports['KUBE_API_PORT']}"
        in said
    )
    assert list(tmp_path.iterdir()) == [], "its folder has gone"


def test_a_makefile_takes_from_python_and_pytest_what_the_shell_says_to_them(tmp_path: Path) -> None:
    lines = (ROOT / "Makefile").read_text("utf-8").splitlines()
    [rule] = [line for line in lines if line.startswith("unexport ")]
    (tmp_path / "Makefile").write_text(f"{rule}\nall:\n\t@env\n")
    environment = {**os.environ, **hostile.OF_PYTHON, "PYTHON": "python3.12"}
    done = subprocess.run(["make", "-s"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    seen = {line.partition("=")[0] for line in done.stdout.splitlines()}
    assert seen & {*hostile.OF_PYTHON, "PYTHON", "PATH"} == {"PYTHON", "PATH"}
