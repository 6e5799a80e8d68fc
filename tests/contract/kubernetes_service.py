"""An API server with the Job controller's stand-in, both as processes, for all tests of a run."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from controller.clock import SystemClock
from controller.cloud_settings import KubernetesSettings
from controller.ports import BatchProvider
from controller.providers.kubernetes.provider import KubernetesProvider

_ROOT = Path(__file__).parents[2]
NAMESPACE = "default"


class KubernetesService:
    """Started when it is first needed, ended by `close`."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._kubeconfig = ""

    def provider(self, instance: str = "contract") -> BatchProvider:
        """An adapter of its own for that one cluster, of that installation."""
        if not self._kubeconfig:
            folder = self._stack.enter_context(TemporaryDirectory(prefix="kubernetes-jobs-"))
            kubeapi = [sys.executable, "-m", "dev.kubeapi", "--port", "0", "--data-dir", folder]
            self._stack.enter_context(_running(kubeapi, "ready:"))
            self._kubeconfig = str(Path(folder) / "kubeconfig")
            stand_in = [sys.executable, "-m", "dev.emulators.kubernetes_jobs", "--kubeconfig", self._kubeconfig]
            stand_in += ["--backoff-seconds", "0.05"]
            self._stack.enter_context(_running(stand_in, "ready:"))
        settings = KubernetesSettings(
            region="cluster", instance=instance, namespace=NAMESPACE, kubeconfig=self._kubeconfig
        )
        return KubernetesProvider(settings, SystemClock())

    def close(self) -> None:
        self._stack.close()
        self._kubeconfig = ""


@contextmanager
def _running(command: list[str], ready: str) -> Iterator[None]:
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert any(line.startswith(ready) for line in process.stdout), f"{command[2]} did not start"
            yield
        finally:
            process.terminate()
