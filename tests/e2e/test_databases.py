"""The whole system on databases that are servers: migrated, then written by the API and the operator together."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from controller.databases import make_store
from controller.domain.phases import Phase
from controller.settings import read_database
from controller.variables import Environment
from dev import stack as stacks
from dev.stack import Stack
from tests.contract.databases import postgres, spanner
from tests.e2e.client import call, is_finished, submit, wait_for


@contextlib.asynccontextmanager
async def empty_postgres(folder: Path) -> AsyncIterator[Mapping[str, str]]:
    with postgres.database() as url:
        yield {"DB_PROVIDER": "postgres", "DB_ENDPOINT": url}


@contextlib.asynccontextmanager
async def empty_spanner(folder: Path) -> AsyncIterator[Mapping[str, str]]:
    with spanner.database() as name:
        yield {
            "DB_PROVIDER": "spanner",
            "SPANNER_EMULATOR_HOST": os.environ["SPANNER_EMULATOR_HOST"],
            "DB_PROJECT_ID": spanner.PROJECT,
            "DB_INSTANCE": spanner.INSTANCE,
            "DB_DATABASE": name,
        }


DATABASES = {"postgres": empty_postgres, "spanner": empty_spanner}


async def jennah(*arguments: str, env: Mapping[str, str]) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "api.cli", *arguments),
        env={**os.environ, **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


@pytest.mark.parametrize("kind", sorted(DATABASES))
async def test_jobs_run_and_are_recorded(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with DATABASES[kind](tmp_path) as env:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        refused, output = await jennah(
            "operator", env={**env, "BATCH_PROVIDER": "local", "JENNAH_ALLOW_LOCAL_PROVIDER": "true"}
        )
        assert refused == 2, output
        assert "jennah migrate" in output
        assert (await jennah("migrate", env=env))[0] == 0
        ports = {"api_port": stacks.free_port(0), "kube_port": stacks.free_port(0)}
        stack = Stack(tmp_path, **ports, on_line=lambda line: None, env=dict(env))
        async with stack.running(), await stack.client() as kube:
            good = [await submit(stack.api_url, "true", name=f"job-{n}", env_vars={"N": str(n)}) for n in range(5)]
            bad = await submit(stack.api_url, "exit 3")
            await wait_for(kube, [*good, bad], is_finished, "finished")
            listed = (await call(stack.api_url, "ListJobs", {}))["jobs"]
            assert [job["jobId"] for job in listed] == [bad, *reversed(good)], "newest first"
        await check_record(env, tmp_path, good, bad)


async def check_record(env: Mapping[str, str], folder: Path, good: list[str], bad: str) -> None:
    settings = Environment(env)
    store = make_store(read_database(settings, folder))
    settings.done()
    await store.open()
    try:
        for job_id in good:
            row = await store.get_job("t", job_id)
            assert row is not None
            assert row.status is Phase.COMPLETED
            assert row.env_vars_json
            assert row.completed_at is not None
        failed = await store.get_job("t", bad)
        assert failed is not None
        assert failed.status is Phase.FAILED
        assert await store.count_unread("t") == len(good) + 1
    finally:
        await store.close()
