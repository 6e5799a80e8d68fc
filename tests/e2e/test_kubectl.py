"""A JennahJob as its users see it with kubectl: the whole life, from apply to delete."""

import asyncio
import shutil
from pathlib import Path

import pytest

from dev.stack import ROOT, Stack

pytestmark = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")

SAMPLES = ROOT / "manifests" / "samples"


class Kubectl:
    def __init__(self, stack: Stack) -> None:
        self._kubeconfig = str(stack.kubeconfig)

    async def __call__(self, *arguments: str, stdin: str = "") -> str:
        """What it prints; fails the test for another exit code than 0."""
        code, output = await self.run(*arguments, stdin=stdin)
        assert code == 0, output
        return output

    async def run(self, *arguments: str, stdin: str = "") -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *("kubectl", "--kubeconfig", self._kubeconfig, *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate(stdin.encode())
        assert process.returncode is not None
        return process.returncode, output.decode()


def manifest(name: str, **spec: str) -> str:
    lines = "\n".join(f"  {key}: {value}" for key, value in spec.items())
    return (
        f"apiVersion: jennah.alphaus.cloud/v1\nkind: JennahJob\nmetadata: {{name: {name}}}\n"
        f"spec:\n  image: busybox\n{lines}\n"
    )


async def test_the_life_of_jobs_with_kubectl(stack: Stack, tmp_path: Path) -> None:
    kubectl = Kubectl(stack)
    applied = await kubectl("apply", "-f", str(SAMPLES))
    assert "jennahjob.jennah.alphaus.cloud/hello created" in applied
    assert "unchanged" in await kubectl("apply", "-f", str(SAMPLES / "hello.yaml"))
    await kubectl("wait", "--for=condition=Complete", "jj/hello", "jj/array", "jj/environment", "--timeout=30s")
    table = await kubectl("get", "jj", "-o", "wide")
    assert table.split()[:4] == ["NAME", "PHASE", "TENANT", "PROVIDER"]
    assert "busybox:1.36" in table
    await kubectl("wait", "--for=condition=Suspended", "jj/suspended", "--timeout=5s")
    await kubectl("patch", "jj", "suspended", "--type", "merge", "-p", '{"spec":{"suspend":false}}')
    await kubectl("wait", "--for=condition=Complete", "jj/suspended", "--timeout=15s")
    described = await kubectl("describe", "jj", "hello")
    for event in ("Submitted", "Completed"):
        assert event in described
    assert "hello" in await kubectl("get", "jennah", "--field-selector", "status.phase=Completed", "-o", "name")
    assert "activeDeadlineSeconds" in await kubectl("explain", "jennahjob.spec")
    await kubectl("delete", "jj", "hello", "--timeout=15s")
    assert "NotFound" in (await kubectl.run("get", "jj", "hello"))[1]


async def test_a_command_that_does_not_exist_fails_and_names_it(stack: Stack) -> None:
    kubectl = Kubectl(stack)
    await kubectl("apply", "-f", "-", stdin=manifest("nothing", command="[no-such-program]"))
    await kubectl("wait", "--for=condition=Failed", "jj/nothing", "--timeout=15s")
    assert "no-such-program" in await kubectl("get", "jj", "nothing", "-o", "jsonpath={.status.message}")
    assert "127" in await kubectl("get", "jj", "nothing", "-o", "jsonpath={.status.exitCode}")


async def test_an_unknown_profile_fails_the_job_and_lists_the_known_ones(stack: Stack) -> None:
    kubectl = Kubectl(stack)
    await kubectl("apply", "-f", "-", stdin=manifest("giant", resources="{profile: giant}"))
    await kubectl("wait", "--for=condition=Failed", "jj/giant", "--timeout=15s")
    assert "small" in await kubectl("get", "jj", "giant", "-o", "jsonpath={.status.message}")


async def test_deleting_a_running_job_ends_its_process_before_the_object_goes(stack: Stack, tmp_path: Path) -> None:
    kubectl = Kubectl(stack)
    script = f'[sh, -c, "echo $$ > {tmp_path}/pid; exec sleep 300"]'
    await kubectl("apply", "-f", "-", stdin=manifest("long", command=script))
    await kubectl("wait", "--for=jsonpath={.status.phase}=Running", "jj/long", "--timeout=15s")
    await kubectl("delete", "jj", "long", "--timeout=20s")
    pid = int((tmp_path / "pid").read_text())
    assert not Path(f"/proc/{pid}").exists()


async def test_ttl_removes_the_object_after_its_end(stack: Stack) -> None:
    kubectl = Kubectl(stack)
    await kubectl("apply", "-f", "-", stdin=manifest("brief", command='["true"]', ttlSecondsAfterFinished="1"))
    await kubectl("wait", "--for=delete", "jj/brief", "--timeout=20s")


async def test_what_cannot_be_meant_is_refused_by_kubectl_apply(stack: Stack) -> None:
    kubectl = Kubectl(stack)
    code, output = await kubectl.run("apply", "-f", "-", stdin=manifest("bad", parallelism="3"))
    assert code != 0
    assert "parallelism must not exceed completions" in output
