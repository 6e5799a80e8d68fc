"""``jennah logs`` as a user calls it."""

import asyncio
import sys

from dev.stack import Stack
from tests.e2e.client import is_finished, submit, wait_for


async def logs(stack: Stack, *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "api.cli",
        "logs",
        *arguments,
        env={"KUBECONFIG": str(stack.kubeconfig), "PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_the_lines_of_a_job_by_its_name(stack: Stack) -> None:
    name = await submit(stack.api_url, "echo first; echo second >&2")
    async with await stack.client() as kube:
        await wait_for(kube, [name], is_finished, "finished")
    code, out, err = await logs(stack, name)
    assert (code, sorted(out.split()), err) == (0, ["first", "second"], "")


async def test_the_lines_of_each_task_are_told_apart(stack: Stack) -> None:
    name = await submit(stack.api_url, "echo I am $JENNAH_TASK_INDEX", env_vars={"JENNAH_TASK_COUNT": "2"})
    async with await stack.client() as kube:
        await wait_for(kube, [name], is_finished, "finished")
    _, out, _ = await logs(stack, "-n", "default", name)
    assert [line[:4] for line in out.splitlines()] == ["[0] ", "[1] "]


async def test_a_job_that_does_not_exist_is_one_line(stack: Stack) -> None:
    assert await logs(stack, "nothing") == (1, "", "jennah logs: no JennahJob 'nothing' in namespace default\n")
