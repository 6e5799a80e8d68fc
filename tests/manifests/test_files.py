"""What derives from the chart is current, and the plain manifests can be applied by those who have no Helm."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from dev.manifests import files, values
from tests.manifests import chart
from tests.manifests.conftest import is_somebodys

INSTALL = files.ROOT / "manifests" / "install.yaml"
Kubectl = Callable[..., str]


@pytest.fixture
def kubectl(kubeconfig: Path) -> Kubectl:
    def run(*arguments: str | Path) -> str:
        command = ["kubectl", f"--kubeconfig={kubeconfig}", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_derived_files_are_current() -> None:
    assert files.check() == [], "make manifests"


def test_the_crds_of_the_chart_are_those_that_are_rendered() -> None:
    for crd in (files.CRD, files.TENANT_CRD):
        wanted = yaml.safe_load(crd.read_text())
        name = wanted["metadata"]["name"]
        rendered = chart.only(chart.parse(INSTALL.read_text()), "CustomResourceDefinition", name)
        assert rendered == wanted, "with each {{ and }} as it was"


def test_tables_hold_what_the_comments_say() -> None:
    text = "a:\n  # -- One\n  # more\n  b: 1\n  c:\n    # -- With | in it\n    d: {e: x|y}\n# -- On top\nf: null\n"
    assert [(".".join(v.path), v.default, v.text) for v in values.documented(text)] == [
        ("a.b", 1, "One more"),
        ("a.c.d", {"e": "x|y"}, "With | in it"),
        ("f", None, "On top"),
    ]
    assert values.undocumented(text + "g:\n  h: 2\n") == ["g.h"]
    assert '| `a.c.d` | `{"e": "x\\|y"}` |' in values.tables(text)
    with pytest.raises(ValueError, match="the text has no"):
        values.with_tables("no place", text)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_plain_manifests_are_applied_by_kubectl(kubectl: Kubectl, kubeconfig: Path, tmp_path: Path) -> None:
    if is_somebodys(kubeconfig):
        pytest.skip("it would install Jennah in that cluster, and remove the CRD with all jobs")
    install = tmp_path / "install.yaml"  # kubectl takes a comma in the checkout's path for the end of it
    install.write_text(INSTALL.read_text())
    assert "deployment.apps/jennah-controller serverside-applied" in kubectl("apply", "--server-side", "-f", install)
    # As docs/install.md has it: the image's place by kustomize.
    images = [{"name": "jennah-controller", "newName": "registry.example.com/jennah", "newTag": "2"}]
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({"resources": ["install.yaml"], "images": images}))
    kubectl("apply", "--server-side", "-k", tmp_path)
    found = kubectl("get", "deploy", "-n", chart.NAMESPACE, "-o", "jsonpath={..image}").split()
    assert set(found) == {"registry.example.com/jennah:2"}
    kubectl("delete", "-f", install, "--ignore-not-found")
