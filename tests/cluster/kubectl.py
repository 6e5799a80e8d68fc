"""kubectl as a user calls it, on one namespace of the cluster."""

import asyncio
import shutil
from pathlib import Path

import pytest

from dev.stack import ROOT

needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")


class Kubectl:
    def __init__(self, kubeconfig: Path, namespace: str, limit: float = 40) -> None:
        """`limit`: seconds that a wait may take."""
        self.timeout = f"--timeout={limit:g}s"
        self._options = ("--kubeconfig", str(kubeconfig), "--namespace", namespace)

    async def __call__(self, *arguments: str, stdin: str = "") -> str:
        """What it prints; fails the test for another exit code than 0."""
        code, output = await self.run(*arguments, stdin=stdin)
        assert code == 0, output
        return output

    async def run(self, *arguments: str, stdin: str = "") -> tuple[int, str]:
        """Its exit code, and what it prints."""
        process = await self.start(*arguments)
        output, _ = await process.communicate(stdin.encode())
        assert process.returncode is not None
        return process.returncode, output.decode()

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """With pipes to and from it."""
        return await asyncio.create_subprocess_exec(
            *("kubectl", *self._options, *arguments),
            cwd=ROOT,  # paths of the checkout are relative: kubectl takes a comma for the end of one
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def apply(self, name: str, **spec: str) -> None:
        """A job; `spec` has its fields as YAML."""
        await self("apply", "-f", "-", stdin=manifest(name, **spec))

    async def wait(self, name: str, condition: str) -> None:
        """`condition`: as --for takes it."""
        await self("wait", f"--for={condition}", f"jj/{name}", self.timeout)

    async def field(self, name: str, path: str) -> str:
        """Of a job, by its JSONPath."""
        return await self("get", "jj", name, "-o", f"jsonpath={{{path}}}")


def manifest(name: str, **spec: str) -> str:
    """A job; `spec` has its fields as YAML."""
    lines = "\n".join(f"  {field}: {value}" for field, value in spec.items())
    return (
        f"apiVersion: jennah.alphaus.cloud/v1\nkind: JennahJob\nmetadata: {{name: {name}}}\n"
        f"spec:\n  image: busybox:1.36\n{lines}\n"
    )
