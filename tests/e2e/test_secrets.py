"""Values of environment variables are where the job is, in its Secret and in the record; nowhere else."""

from pathlib import Path

from controller.kube import paths
from dev.stack import Stack
from tests.e2e.client import call, is_finished, submit, wait_for
from tests.e2e.conftest import make_stack

SECRET = "s3cr3t-v4lu3"


async def test_no_log_event_or_resource_shows_a_value(tmp_path: Path) -> None:
    lines: list[str] = []
    stack = Stack(
        tmp_path,
        api_port=make_stack(tmp_path, lines).api_port,
        kube_port=make_stack(tmp_path, lines).kube_port,
        on_line=lines.append,
        env={"LOG_LEVEL": "debug"},
    )
    async with stack.running(), await stack.client() as kube:
        good = await submit(stack.api_url, f'test "$PASSWORD" = {SECRET}' + "; true", env_vars={"PASSWORD": SECRET})
        bad = await submit(stack.api_url, "exit 1", env_vars={"PASSWORD": SECRET}, name="fails")
        await call(stack.api_url, "GetJob", {"job_id": bad})
        jobs = await wait_for(kube, [good, bad], is_finished, "finished")
        assert {job.status.phase for job in jobs.values()} == {"Completed", "Failed"}
        for path in (paths.job("default", bad), paths.events("default"), "/api/v1/namespaces/default/configmaps"):
            assert SECRET not in str(await kube.get(path))
        assert "PASSWORD" in str(await kube.get(paths.secret("default", f"{bad}-env")))
    assert not [line for line in lines if SECRET in line]
    assert any("submitted" in line for line in lines), "the log is there"
