"""The derived files: what each of them should hold."""

from collections.abc import Callable, Iterator
from pathlib import Path

from dev.manifests import descriptions, fields, helm, values

ROOT = Path(__file__).parents[2]
CHART = ROOT / "manifests" / "chart"
CRD = ROOT / "crds" / "jennahjob.yaml"
TENANT_CRD = ROOT / "crds" / "jennahtenant.yaml"
PAGE = ROOT / "docs" / "jennahjob.md"
INSTALL_VALUES = ROOT / "manifests" / "install-values.yaml"
RELEASE, NAMESPACE = "jennah", "jennah-system"

_INSTALL_HEAD = f"""\
# Jennah without Helm: made by `make manifests` from manifests/chart and manifests/install-values.yaml; do not edit.
# docs/install.md says what it needs: the ConfigMap and the Secret jennah-settings, and the image's place.
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""


def write() -> list[Path]:
    """Write those that are not current; which they were, relative to the repository. Raises HelmError."""
    return [path.relative_to(ROOT) for path in _stale(writes=True)]


def check() -> list[Path]:
    """Those that are not current. Raises HelmError."""
    return [path.relative_to(ROOT) for path in _stale(writes=False)]


def _stale(*, writes: bool) -> Iterator[Path]:
    # One after the other: the CRD is copied into the chart, and what is rendered last holds that copy.
    for path, make in _FILES.items():
        text = make()
        if not path.exists() or path.read_text() != text:
            if writes:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
            yield path


def _crd() -> str:
    return descriptions.described(CRD.read_text(), fields.descriptions())


def _page() -> str:
    return fields.with_tables(PAGE.read_text())


def _readme() -> str:
    return values.with_tables((CHART / "README.md").read_text(), (CHART / "values.yaml").read_text())


def _install() -> str:
    rendered = helm.run("template", RELEASE, CHART, "--namespace", NAMESPACE, "--values", INSTALL_VALUES)
    return _INSTALL_HEAD + rendered


_FILES: dict[Path, Callable[[], str]] = {
    CRD: _crd,
    PAGE: _page,
    CHART / "files" / CRD.name: CRD.read_text,
    CHART / "files" / TENANT_CRD.name: TENANT_CRD.read_text,
    CHART / "README.md": _readme,
    ROOT / "manifests" / "install.yaml": _install,
}
