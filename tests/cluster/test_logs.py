"""``jennah logs`` as a user calls it."""

import pytest

from tests.cluster.installation import Installation
from tests.e2e.client import is_finished, logs


def skip_without_logs(jennah: Installation) -> None:
    if not jennah.runs_commands:
        pytest.skip("nothing runs what jobs are told to, so they write nothing")


async def test_the_lines_of_a_job_by_its_name(jennah: Installation) -> None:
    skip_without_logs(jennah)
    name = await jennah.submit("echo first; echo second >&2")
    await jennah.wait_for([name], is_finished, "finished")
    code, out, err = await logs(jennah.cluster.kubeconfig, "-n", jennah.namespace, name)
    assert (code, sorted(out.split()), err) == (0, ["first", "second"], "")


async def test_the_lines_of_each_task_are_told_apart(jennah: Installation) -> None:
    skip_without_logs(jennah)
    name = await jennah.submit("echo hello", env_vars={"JENNAH_TASK_COUNT": "2"})
    await jennah.wait_for([name], is_finished, "finished")
    _, out, _ = await logs(jennah.cluster.kubeconfig, "-n", jennah.namespace, name)
    assert sorted(out.splitlines()) == ["[0] hello", "[1] hello"]


async def test_a_job_that_does_not_exist_is_one_line(jennah: Installation) -> None:
    line = f"jennah logs: no JennahJob 'never-made' in namespace {jennah.team}\n"
    assert await logs(jennah.cluster.kubeconfig, "-n", jennah.team, "never-made") == (1, "", line)
