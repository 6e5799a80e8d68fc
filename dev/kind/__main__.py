"""``python -m dev.kind``: a kind cluster, the image, PostgreSQL, the chart, the suite; then the cluster is removed.

KEEP=1 keeps it; a cluster of that name that is there already is used, and kept. Without a container engine, kind or
kubectl it says so in one line and does nothing.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dev.manifests import helm
from dev.manifests.files import CHART, NAMESPACE, RELEASE

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CLUSTER = "jennah"
REPOSITORY, TAG = "localhost/jennah-controller", "kind"
ENGINES = ("docker", "podman")
ROLLOUT_SECONDS = 300


class Missing(Exception):
    """Something that is needed is not on this machine."""


def find_engine() -> str:
    """The container engine that answers. Raises Missing."""
    for name in ENGINES:
        if shutil.which(name) and subprocess.run([name, "info"], capture_output=True, check=False).returncode == 0:
            return name
    raise Missing("no container engine runs here (docker or podman)")


def find_programs() -> None:
    """Those beside the engine. Raises Missing."""
    try:
        helm.program()
    except helm.HelmError as error:
        raise Missing(str(error)) from error
    for name, where in (
        ("kind", "https://kind.sigs.k8s.io/docs/user/quick-start/#installation"),
        ("kubectl", "https://kubernetes.io/docs/tasks/tools/"),
    ):
        if shutil.which(name) is None:
            raise Missing(f"{name} is not installed ({where})")


def run(*command: str | Path, environment: Mapping[str, str] | None = None, data: str | None = None) -> str:
    """Say what is done, do it, and give what it prints on stdout. Raises CalledProcessError."""
    print("$", *command, flush=True)
    done = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, **(environment or {})},
        cwd=ROOT,
        input=data,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    print(done.stdout, end="", flush=True)
    done.check_returncode()
    return done.stdout


class Kind:
    """One cluster, by the program kind."""

    def __init__(self, engine: str, folder: Path) -> None:
        self.engine = engine
        self.kubeconfig = folder / "kubeconfig"
        self._folder = folder
        # kind itself looks for docker alone unless it is told.
        self._environment = {"KUBECONFIG": str(self.kubeconfig)}
        if engine != "docker":
            self._environment["KIND_EXPERIMENTAL_PROVIDER"] = engine

    def create(self) -> bool:
        """Create it, or use the one that there is; whether it is new."""
        if CLUSTER in self._kind("get", "clusters").split():
            self._kind("export", "kubeconfig", "--name", CLUSTER, "--kubeconfig", self.kubeconfig)
            return False
        config = ("--config", HERE / "cluster.yaml", "--kubeconfig", self.kubeconfig)
        self._kind("create", "cluster", "--name", CLUSTER, *config, "--wait", f"{ROLLOUT_SECONDS}s")
        return True

    def delete(self) -> None:
        self._kind("delete", "cluster", "--name", CLUSTER, "--kubeconfig", self.kubeconfig)

    def load(self, image: str) -> None:
        """Put an image of this machine into the nodes; as an archive, which works with every engine."""
        archive = self._folder / "image.tar"
        archive.unlink(missing_ok=True)  # podman does not write over one
        run(self.engine, "save", "--output", archive, image)
        self._kind("load", "image-archive", archive, "--name", CLUSTER)

    def kubectl(self, *arguments: str | Path, data: str | None = None) -> str:
        return run("kubectl", *arguments, environment=self._environment, data=data)

    def helm(self, *arguments: str | Path) -> str:
        return run(helm.program(), *arguments, environment=self._environment)

    def _kind(self, *arguments: str | Path) -> str:
        return run("kind", *arguments, environment=self._environment)


def load_image(kind: Kind) -> None:
    """Built from this tree. The nodes pull the others, PostgreSQL and what the suite's jobs run, by themselves."""
    image = f"{REPOSITORY}:{TAG}"
    # Without attestations, which make an index of the image: not every kind can load one.
    plain = {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    run(kind.engine, "build", "--build-arg", "EXTRAS=postgres", "--tag", image, ".", environment=plain)
    kind.load(image)


def install(kind: Kind) -> None:
    """PostgreSQL, then the chart; again, after a change, too."""
    namespace = kind.kubectl("create", "namespace", NAMESPACE, "--dry-run=client", "--output=yaml")
    kind.kubectl("apply", "--filename=-", data=namespace)
    kind.kubectl("--namespace", NAMESPACE, "apply", "--filename", HERE / "postgres.yaml")
    rollout = ("rollout", "status", "deployment/postgres", f"--timeout={ROLLOUT_SECONDS}s")
    kind.kubectl("--namespace", NAMESPACE, *rollout)
    kind.helm(
        *("upgrade", "--install", RELEASE, CHART, "--namespace", NAMESPACE, "--values", HERE / "values.yaml"),
        *("--set", f"image.repository={REPOSITORY},image.tag={TAG}"),
        *("--set-json", f"profiles={json.dumps(json.loads((HERE / 'profiles.json').read_text()))}"),
        *("--wait", "--timeout", f"{ROLLOUT_SECONDS}s"),
    )


def run_suite(kind: Kind) -> None:
    """Against what is installed, with the tests that need a kubelet."""
    environment = {"E2E_KUBECONFIG": str(kind.kubeconfig), "E2E_INSTALLED": NAMESPACE, "E2E_PROVIDER": "kubernetes"}
    print("$", *(f"{name}={value}" for name, value in environment.items()), "pytest tests/cluster", flush=True)
    command = [sys.executable, "-m", "pytest", "-rs", "tests/cluster", *os.environ.get("ARGS", "").split()]
    subprocess.run(command, env={**os.environ, **environment}, cwd=ROOT, check=True)


def tell(kind: Kind) -> None:
    """What there is, for who looks for a fault."""
    for arguments in (
        ("get", "pods,jobs,jennahjobs", "--all-namespaces", "--output=wide"),
        ("--namespace", NAMESPACE, "get", "events", "--sort-by=.lastTimestamp"),
        ("--namespace", NAMESPACE, "logs", "--selector=app.kubernetes.io/name=jennah", "--tail=100", "--prefix"),
    ):
        try:
            kind.kubectl(*arguments)
        except subprocess.CalledProcessError:
            continue  # its own words are on stderr


def main() -> int:
    try:
        engine = find_engine()
        find_programs()
    except Missing as error:
        print(f"skipped: {error}")
        return 0
    with tempfile.TemporaryDirectory(prefix="jennah-kind-") as folder:
        kind = Kind(engine, Path(folder))
        is_kept = os.environ.get("KEEP", "") not in ("", "0")
        try:
            is_kept = not kind.create() or is_kept
            load_image(kind)
            install(kind)
            run_suite(kind)
        except subprocess.CalledProcessError as error:
            tell(kind)
            print(f"failed: {error}", file=sys.stderr)
            return 1
        finally:
            if is_kept:
                print(f"kept: kind export kubeconfig --name {CLUSTER}")
            else:
                kind.delete()
    return 0


if __name__ == "__main__":
    sys.exit(main())
