"""The stand-in of Google Cloud Batch as a process, for all tests of a run; its jobs have names of their own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from controller.clock import SystemClock
from controller.cloud_settings import GcpSettings
from controller.ports import BatchProvider
from controller.providers.gcp.provider import GcpProvider

_ROOT = Path(__file__).parents[2]


class GcpService:
    """Started when it is first needed, ended by `close`."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._endpoint = ""

    def provider(self, instance: str = "contract") -> BatchProvider:
        """An adapter of its own for that one service, of that installation."""
        if not self._endpoint:
            self._endpoint = self._stack.enter_context(_running())
        settings = GcpSettings(
            project="project",
            region="us-central1",
            instance=instance,
            endpoint=self._endpoint,
            reads_per_second=10_000,
            mutations_per_second=10_000,
        )
        return GcpProvider(settings, SystemClock())

    def close(self) -> None:
        self._stack.close()
        self._endpoint = ""


@contextmanager
def _running() -> Iterator[str]:
    """The stand-in's endpoint."""
    command = [sys.executable, "-m", "dev.emulators.gcp_batch", "--port", "0", "--seed", "7"]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            words = process.stdout.readline().split()
            assert words[:1] == ["ready:"], "the stand-in did not start"
            yield words[1]
        finally:
            process.terminate()
